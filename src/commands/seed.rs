//! `eshopz seed demo`.

use anyhow::Context as _;
use clap::Subcommand;
use eshopz_product::demo;

use super::progress;
use crate::cli::Settings;
use crate::database::Database;
use crate::modules::Module;

#[derive(Debug, Subcommand)]
pub enum SeedCommand {
    /// Make up a catalogue. The same call again changes nothing; a larger one adds the rest.
    Demo {
        /// How many products.
        #[arg(long, env = "ESHOPZ_PRODUCTS", default_value_t = 500,
              value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
        products: u64,
        /// Another seed makes up another catalogue.
        #[arg(long, env = "ESHOPZ_SEED", default_value_t = demo::DEFAULT_SEED)]
        seed: u64,
    },
}

/// Runs the command.
///
/// # Errors
/// When the database cannot be reached; what was made until then stays.
pub async fn run(action: SeedCommand, settings: &Settings) -> anyhow::Result<()> {
    let SeedCommand::Demo { products, seed } = action;
    let database = Database::open_migrated(settings, &[Module::Product]).await?;
    let outcome = demo(&database, settings, products, seed).await;
    database.close().await?;
    outcome
}

async fn demo(database: &Database, settings: &Settings, products: u64, seed: u64) -> anyhow::Result<()> {
    let started = std::time::Instant::now();
    let bar = progress::bar(products, "products");
    let db = database.db(Module::Product)?;
    let report = demo::seed(&db, settings.shop.currency, products, seed, |done| bar.set_position(done)).await;
    bar.finish_and_clear();
    let report = report.map_err(eshopz_kernel::Fault::from).context("seeding stopped")?;
    database.analyze(Module::Product).await?;
    say!(
        "{} products with {} variants made in {:.1} s; {} were there already",
        report.products,
        report.variants,
        started.elapsed().as_secs_f64(),
        report.known
    );
    Ok(())
}
