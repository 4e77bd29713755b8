//! `eshopz migrate up|down|redo|status|plan`.

use clap::{Args, Subcommand};
use eshopz_platform::migrate::{Extent, Progress, State};

use crate::cli::{Settings, wrong_call};
use crate::database::Database;
use crate::modules::Module;

/// What to do, and to whom.
#[derive(Args, Debug)]
pub struct MigrateArgs {
    #[command(subcommand)]
    action: MigrateCommand,
    /// Only these modules.
    #[arg(long, env = "ESHOPZ_MODULES", default_value = "all", value_delimiter = ',', global = true)]
    modules: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum MigrateCommand {
    /// Apply everything that is pending.
    Up,
    /// Revert the newest migration.
    Down {
        /// Revert all of them. Every row is lost.
        #[arg(long, env = "ESHOPZ_MIGRATE_DOWN_ALL")]
        all: bool,
    },
    /// Revert the newest migration and apply it again.
    Redo,
    /// List the migrations and how they stand.
    Status,
    /// Print the SQL of what is pending, without running it.
    Plan,
}

/// Runs the command.
///
/// # Errors
/// Those of the migrations, and of finding the database.
pub async fn run(args: MigrateArgs, settings: &Settings) -> anyhow::Result<()> {
    let modules = wrong_call(Module::parse_selection(&args.modules))?;
    let database = Database::open(settings, &modules).await?;
    let outcome = act(&args.action, &database, &modules).await;
    database.close().await?;
    outcome
}

async fn act(action: &MigrateCommand, database: &Database, modules: &[Module]) -> anyhow::Result<()> {
    for migrator in database.migrators(modules)? {
        match action {
            MigrateCommand::Up => {
                if migrator.up(&mut report).await?.is_empty() {
                    say!("nothing to do: the database is up to date");
                }
            }
            MigrateCommand::Down { all } => {
                let extent = if *all { Extent::All } else { Extent::Last };
                if migrator.down(extent, &mut report).await?.is_empty() {
                    say!("nothing to do: no migration is applied");
                }
            }
            MigrateCommand::Redo => {
                if migrator.redo(&mut report).await?.is_none() {
                    say!("nothing to do: no migration is applied");
                }
            }
            MigrateCommand::Status => {
                for line in migrator.status().await? {
                    say!("{:<24} {}", describe(line.state), line.id);
                }
            }
            MigrateCommand::Plan => say!("{}", migrator.plan().await?.trim_end()),
        }
    }
    Ok(())
}

fn describe(state: State) -> String {
    match state {
        State::Pending => "pending".to_owned(),
        State::Applied(at) => format!("applied {}", at.format("%Y-%m-%d %H:%M")),
        State::Changed(at) => format!("CHANGED {}", at.format("%Y-%m-%d %H:%M")),
        State::Unknown(at) => format!("UNKNOWN {}", at.format("%Y-%m-%d %H:%M")),
    }
}

/// One line per migration.
pub fn report(progress: Progress<'_>) {
    match progress {
        Progress::Waiting => say!("waiting for another migration to end"),
        Progress::Applied(id, took) => say!("applied   {id}  ({} ms)", took.as_millis()),
        Progress::Reverted(id, took) => say!("reverted  {id}  ({} ms)", took.as_millis()),
        Progress::Applying(_) | Progress::Reverting(_) => {}
    }
}
