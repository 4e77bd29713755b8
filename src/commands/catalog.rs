//! `eshopz catalog import|export`: a Shopify product CSV in and out.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use eshopz_kernel::Fault;
use eshopz_platform::context;
use eshopz_product::transfer::{self, ImportReport};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWriteExt as _};

use super::progress;
use crate::cli::{Place, Settings};
use crate::compose::{product_module, redis};
use crate::database::Database;
use crate::modules::Module;

#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// Import a file; `-` reads standard input. Rows that are refused are named, the others go in.
    Import {
        /// The CSV file.
        file: String,
    },
    /// Export the catalogue to standard output or a file.
    Export {
        /// The file to write.
        #[arg(long, env = "ESHOPZ_OUT")]
        out: Option<PathBuf>,
    },
}

/// Runs the command. Refused rows are no failure: the report names them.
///
/// # Errors
/// When the file is no product CSV or cannot be read, or the database cannot be reached.
pub async fn run(action: CatalogCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    let database = Database::open_migrated(settings, &[Module::Product]).await?;
    let outcome = match action {
        CatalogCommand::Import { file } => import(&database, settings, &file).await,
        CatalogCommand::Export { out } => export(&database, settings, out).await,
    };
    database.close().await?;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn import(database: &Database, settings: &Settings, file: &str) -> anyhow::Result<()> {
    let (reader, size): (Box<dyn AsyncRead + Unpin>, u64) = match Place::from(file) {
        Place::Standard => (Box::new(tokio::io::stdin()), 0),
        Place::File(path) => {
            let file = File::open(&path).await.with_context(|| format!("cannot read {}", path.display()))?;
            let size = file.metadata().await?.len();
            (Box::new(file), size)
        }
    };
    let bar = progress::bar(size, if size == 0 { "rows" } else { "bytes" });
    let redis = redis(settings)?;
    // By the module, which tells the processes that serve the catalogue to forget their copies.
    let products = product_module(database.db(Module::Product)?, &redis, settings);
    let importing = products.import(reader, |at| bar.set_position(if size == 0 { at.rows } else { at.bytes }));
    let report = context::command(importing).await;
    bar.finish_and_clear();
    print(&report.map_err(Fault::from).with_context(|| format!("{file} was not imported whole"))?);
    database.analyze(Module::Product).await
}

fn print(report: &ImportReport) {
    for (what, tally) in [("products", report.products), ("variants", report.variants)] {
        say!("{what}: {} created, {} updated, {} unchanged", tally.created, tally.updated, tally.unchanged);
    }
    say!("images: {} added", report.images);
    say!("rows: {} read, {} refused", report.rows, report.refused_total);
    for refusal in &report.refused {
        say!("  row {} {}: {}", refusal.row, refusal.handle, refusal.reason);
    }
    let named = u64::try_from(report.refused.len()).unwrap_or(0);
    if report.refused_total > named {
        say!("  and {} more", report.refused_total - named);
    }
}

async fn export(database: &Database, settings: &Settings, out: Option<PathBuf>) -> anyhow::Result<()> {
    let db = database.db(Module::Product)?;
    let bar = progress::bar(0, "products");
    let written = match &out {
        None => transfer::export(&db, settings.shop.currency, tokio::io::stdout(), |_| {}).await,
        Some(path) => {
            let mut file = File::create(path).await.with_context(|| format!("cannot write {}", path.display()))?;
            let written = transfer::export(&db, settings.shop.currency, &mut file, |done| bar.set_position(done)).await;
            file.flush().await?;
            written
        }
    };
    bar.finish_and_clear();
    let products = written.map_err(Fault::from).context("the export stopped")?;
    eprintln!("{products} products exported");
    Ok(())
}
