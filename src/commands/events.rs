//! `eshopz events dead|redrive|setup`: events that could not be delivered, and the way that events take.

use clap::Subcommand;
use eshopz_aws::client::sdk_config;
use eshopz_aws::events::dead as queued;
use eshopz_aws::events::setup::setup;
use eshopz_platform::events::dead;
use futures::future::join_all;
use tokio::sync::watch;

use crate::cli::{Settings, wrong_call};
use crate::commands::progress;
use crate::compose::compose;
use crate::config::EventTransport;
use crate::database::Database;
use crate::events::{Carriers, topology};
use crate::modules::Module;
use crate::neighbours::Neighbours;

#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// List the dead letters, those in the outboxes and with `--events sns` those of the queues.
    Dead {
        /// At most so many per module.
        #[arg(long, env = "ESHOPZ_LIMIT", default_value_t = 100)]
        limit: u32,
    },
    /// Deliver dead letters again.
    Redrive {
        /// Only this module: the publishing one of an outbox, the listening one of a queue.
        #[arg(long, env = "ESHOPZ_MODULE", default_value = "all")]
        module: String,
        /// Only events of this name, such as `order.placed.v1`.
        #[arg(long, env = "ESHOPZ_EVENT")]
        event: Option<String>,
        /// Only this listener. Messages in queues are its whole module's.
        #[arg(long, env = "ESHOPZ_LISTENER")]
        listener: Option<String>,
    },
    /// Make the topics and queues of `--events sns` in the AWS account, or bring them up to date.
    Setup,
    /// Take in what is left in the queues, after a change from `--events sns` to `local`.
    Drain,
}

/// Runs the command.
///
/// # Errors
/// When the database or AWS cannot be reached.
pub async fn run(action: EventsCommand, settings: &Settings) -> anyhow::Result<()> {
    if matches!(action, EventsCommand::Setup) {
        for step in setup(&sdk_config().await, &topology(settings)?).await? {
            say!("{step}");
        }
        return Ok(());
    }
    let database = Database::open_migrated(settings, &Module::ALL).await?;
    let outcome = act(action, &database, settings).await;
    database.close().await?;
    outcome
}

async fn act(action: EventsCommand, database: &Database, settings: &Settings) -> anyhow::Result<()> {
    let by_queue = settings.runtime.events == EventTransport::Sns;
    match action {
        EventsCommand::Setup => Ok(()),
        EventsCommand::Drain => drain(database, settings).await,
        EventsCommand::Dead { limit } => {
            list_outboxes(database, limit).await?;
            if by_queue { list_queues(settings, limit).await } else { Ok(()) }
        }
        EventsCommand::Redrive { module, event, listener } => {
            let modules = wrong_call(Module::parse_selection(&[module]))?;
            let filter = dead::Filter { event_id: None, event: event.clone(), listener: listener.clone() };
            let mut sent = 0;
            for module in &modules {
                let mut conn = database.db(*module)?.conn().await?;
                sent += dead::redrive(&mut conn, &filter).await?;
            }
            say!("{sent} deliveries will be tried again");
            if !by_queue {
                return Ok(());
            }
            let of_listener = |module: &Module| listener.as_deref().is_none_or(|name| module.has_listener(name));
            let modules: Vec<Module> = modules.into_iter().filter(of_listener).collect();
            redrive_queues(settings, &modules, event).await
        }
    }
}

/// Runs every module's consumer until its queue is empty.
async fn drain(database: &Database, settings: &Settings) -> anyhow::Result<()> {
    let shop = compose(database, settings, &Module::ALL, &Neighbours::none())?;
    // The sender stays: only an empty queue ends it, or Ctrl-C.
    let (_stop, stopped) = watch::channel(false);
    let consumers = Carriers::by_sns(&shop, settings).await?.consumers;
    let queues = consumers.len();
    eprintln!("waiting until {queues} queues are empty");
    join_all(consumers.into_iter().map(|consumer| consumer.drain(stopped.clone()))).await;
    say!("{queues} queues are empty");
    Ok(())
}

async fn list_outboxes(database: &Database, limit: u32) -> anyhow::Result<()> {
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
    Ok(())
}

async fn list_queues(settings: &Settings, limit: u32) -> anyhow::Result<()> {
    let topology = topology(settings)?;
    let consumers: Vec<&str> = topology.consumers().into_iter().collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    for message in queued::list(&sdk_config().await, &topology.names, &consumers, limit).await? {
        let queue = topology.names.dead_letters(&message.module);
        match &message.event {
            Some(event) => say!("{} {} {} in {queue}", message.module, event.id, event.name),
            None => say!("{} message {} in {queue} is no event", message.module, message.message_id),
        }
    }
    Ok(())
}

async fn redrive_queues(settings: &Settings, modules: &[Module], event: Option<String>) -> anyhow::Result<()> {
    let topology = topology(settings)?;
    let consumers: Vec<&str> =
        topology.consumers().into_iter().filter(|name| modules.iter().any(|module| module.name() == *name)).collect();
    let filter = queued::Filter { event_id: None, event };
    let bar = progress::bar(0, "messages");
    let sdk = sdk_config().await;
    let mut progress = |sum: &queued::Redriven| bar.set_position(u64::try_from(sum.moved).unwrap_or(u64::MAX));
    let redriven = queued::redrive(&sdk, &topology.names, &consumers, &filter, &mut progress).await;
    bar.finish_and_clear();
    let redriven = redriven?;
    say!("{} messages are back in their queues, {} were left", redriven.moved, redriven.kept);
    if redriven.more {
        say!("there may be more: call this again");
    }
    Ok(())
}
