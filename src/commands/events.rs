//! `eshopz events dead|redrive`: events that could not be delivered.

use clap::Subcommand;
use eshopz_platform::events::dead;

use crate::cli::{Settings, wrong_call};
use crate::database::Database;
use crate::modules::Module;

#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// List the dead letters.
    Dead {
        /// At most so many per module.
        #[arg(long, env = "ESHOPZ_LIMIT", default_value_t = 100)]
        limit: u32,
    },
    /// Deliver dead letters again.
    Redrive {
        /// Only this publishing module.
        #[arg(long, env = "ESHOPZ_MODULE", default_value = "all")]
        module: String,
        /// Only events of this name, such as `order.placed.v1`.
        #[arg(long, env = "ESHOPZ_EVENT")]
        event: Option<String>,
        /// Only this listener.
        #[arg(long, env = "ESHOPZ_LISTENER")]
        listener: Option<String>,
    },
}

/// Runs the command.
///
/// # Errors
/// When the database cannot be reached.
pub async fn run(action: EventsCommand, settings: &Settings) -> anyhow::Result<()> {
    let database = Database::open_migrated(settings).await?;
    let outcome = act(action, &database).await;
    database.close().await?;
    outcome
}

async fn act(action: EventsCommand, database: &Database) -> anyhow::Result<()> {
    match action {
        EventsCommand::Dead { limit } => {
            for module in Module::ALL {
                let mut conn = database.db(module)?.conn().await?;
                for letter in dead::list(&mut conn, limit).await? {
                    say!(
                        "{module} {} {} -> {} after {} attempts: {}",
                        letter.event_id,
                        letter.event,
                        letter.listener,
                        letter.attempts,
                        letter.last_error.unwrap_or_default()
                    );
                }
            }
        }
        EventsCommand::Redrive { module, event, listener } => {
            let filter = dead::Filter { event_id: None, event, listener };
            let mut sent = 0;
            for module in wrong_call(Module::parse_selection(&[module]))? {
                let mut conn = database.db(module)?.conn().await?;
                sent += dead::redrive(&mut conn, &filter).await?;
            }
            say!("{sent} deliveries will be tried again");
        }
    }
    Ok(())
}
