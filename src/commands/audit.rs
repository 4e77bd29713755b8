//! `eshopz audit prune`: the audit log is only added to, by anybody but the owner of the database.

use anyhow::Context as _;
use clap::Subcommand;
use eshopz_platform::audit::{self, Entry};
use eshopz_platform::context;
use eshopz_platform::db::encryption;

use crate::cli::Settings;
use crate::database::Database;
use crate::modules::Module;

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Remove old entries from the audit log of every module. Only the owner of the database may.
    Prune {
        /// In days.
        #[arg(long, env = "ESHOPZ_OLDER_THAN", value_name = "DAYS", value_parser = clap::value_parser!(i32).range(1..))]
        older_than: i32,
    },
}

/// Runs the command.
///
/// # Errors
/// When a database cannot be reached, or the URL's login does not own it.
pub async fn run(action: AuditCommand, settings: &Settings) -> anyhow::Result<()> {
    let AuditCommand::Prune { older_than } = action;
    let database = Database::open_migrated(settings, &Module::ALL).await?;
    let outcome = context::command(prune(&database, older_than)).await;
    database.close().await?;
    outcome
}

async fn prune(database: &Database, days: i32) -> anyhow::Result<()> {
    for module in Module::ALL {
        let removed = prune_one(database, module, days).await.with_context(|| format!("the log of {module}"))?;
        say!("{module}: {removed} entries removed");
        if removed > 0 {
            let entry = Entry::new("audit_log.pruned", "audit_log", module);
            let mut conn = database.db(module)?.conn().await?;
            audit::record(&mut conn, &entry.with("older_than_days", days).with("removed", removed)).await?;
        }
    }
    Ok(())
}

async fn prune_one(database: &Database, module: Module, days: i32) -> anyhow::Result<u64> {
    let (client, connection) = encryption::connect(&encryption::parse(&database.url(module)?)?).await?;
    let connection = tokio::spawn(connection);
    let delete = format!("DELETE FROM {}.audit_log WHERE at < now() - make_interval(days => $1)", module.schema());
    let removed = client.execute(&delete, &[&days]).await?;
    drop(client);
    connection.await??;
    Ok(removed)
}
