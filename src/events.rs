//! How events travel, decided here for the whole process: straight to their listeners, or by SNS and SQS.

use std::sync::Arc;

use anyhow::Context as _;
use eshopz_aws::client::sdk_config;
use eshopz_aws::events::{ConsumerConfig, Names, SnsTransport, SqsConsumer, Topology, relay_config};
use eshopz_platform::events::{Listener, LocalTransport, Relay, RelayConfig, Subscriptions, Transport, topic};

use crate::cli::Settings;
use crate::compose::Shop;
use crate::config::EventTransport;
use crate::modules::{self, Module};
use crate::neighbours::Neighbours;
use crate::wire::events::WireTransport;

/// What carries the events of a process.
pub struct Carriers {
    /// One per module's outbox.
    pub relays: Vec<Relay>,
    /// One per listening module, when events come by queues.
    pub consumers: Vec<SqsConsumer>,
}

impl Carriers {
    /// Those that the modules of this process need. Nothing is connected yet.
    ///
    /// # Errors
    /// When a listener waits for what nobody publishes.
    pub async fn new(shop: &Shop, neighbours: &Neighbours, settings: &Settings) -> anyhow::Result<Self> {
        match settings.runtime.events {
            EventTransport::Local => Ok(Self::direct(shop, neighbours, &subscriptions(settings)?)),
            EventTransport::Sns => Self::by_sns(shop, settings).await,
        }
    }

    fn direct(shop: &Shop, neighbours: &Neighbours, subscriptions: &Subscriptions) -> Self {
        let here = LocalTransport::new(shop.listeners().into_iter().flat_map(|(_, listeners)| listeners));
        let direct = Arc::new(WireTransport::new(here, neighbours.all()));
        let transport = Arc::new(topic::FromTopic::new(direct, modules::subscriptions()));
        Self { relays: relays(shop, transport, subscriptions, &RelayConfig::default()), consumers: Vec::new() }
    }

    /// Those of `--events sns`, also for who wants to empty the queues.
    ///
    /// # Errors
    /// When a listener waits for what nobody publishes.
    pub async fn by_sns(shop: &Shop, settings: &Settings) -> anyhow::Result<Self> {
        let sdk = sdk_config().await;
        let topology = Arc::new(topology(settings)?);
        let transport = Arc::new(SnsTransport::new(&sdk, Arc::clone(&topology)));
        let subscriptions = subscriptions(settings)?;
        let consumer = |(module, listeners): (Module, Vec<Arc<dyn Listener>>)| {
            SqsConsumer::new(&sdk, &topology, module.name(), listeners, ConsumerConfig::new(topology.max_receives))
        };
        let consumers = shop.listeners().into_iter().map(consumer).collect();
        let config = relay_config(RelayConfig::default());
        Ok(Self { relays: relays(shop, transport, &subscriptions, &config), consumers })
    }
}

fn relays(
    shop: &Shop,
    transport: Arc<dyn Transport>,
    subscriptions: &Subscriptions,
    config: &RelayConfig,
) -> Vec<Relay> {
    let relay = |db: &eshopz_platform::db::Db| {
        Relay::new(db.clone(), Arc::clone(&transport), subscriptions.clone(), config.clone())
    };
    shop.pools().iter().map(|(_, db)| relay(db)).collect()
}

/// Who an event goes to in this shop: its listeners, or the topic.
///
/// # Errors
/// When a listener waits for what nobody publishes.
pub fn subscriptions(settings: &Settings) -> anyhow::Result<Subscriptions> {
    let listeners = modules::subscriptions();
    match settings.runtime.events {
        EventTransport::Local => Ok(topic::without_topic(listeners)),
        EventTransport::Sns => Ok(topic::subscriptions(&topology(settings)?.events(), &listeners)),
    }
}

/// The topics and queues that the shop needs.
///
/// # Errors
/// When a listener waits for what nobody publishes.
pub fn topology(settings: &Settings) -> anyhow::Result<Topology> {
    let published: Vec<_> = Module::ALL.iter().map(|module| (module.name(), module.events())).collect();
    let names = Names::with_prefix(settings.runtime.events_prefix.clone());
    Topology::new(names, &published, &modules::subscriptions()).context("the modules' subscriptions do not fit")
}
