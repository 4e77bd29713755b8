//! The way of an event from the outbox to its topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use eshopz_kernel::{EventEnvelope, Fault};
use eshopz_platform::events::{RelayConfig, Transport};

use super::batch::Batches;
use super::message::Outgoing;
use super::topics::Topic;
use super::{EventsError, Topology};

/// So many of a module's events are on their way to SNS at once: some batches.
const CONCURRENCY: usize = 40;
/// While AWS is away no event is at fault, so none is given up early, and all go on soon after it is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// With these pauses four hours, about what a listener has.
const MAX_ATTEMPTS: i32 = 320;

/// What a relay does with an event here: publishes it to the topic of its module, whichever listener
/// the delivery names. Topics are looked up when the first event comes, so a process starts without
/// AWS; events that come before it answers stay in the outbox.
#[derive(Debug)]
pub struct SnsTransport {
    topology: Arc<Topology>,
    topics: BTreeMap<String, Batches>,
}

impl SnsTransport {
    /// To be called in the runtime in which the relays run.
    #[must_use]
    pub fn new(sdk: &SdkConfig, topology: Arc<Topology>) -> Self {
        let sns = aws_sdk_sns::Client::new(sdk);
        let topic = |module: &str| Batches::new(Topic::new(sns.clone(), Arc::clone(&topology), module));
        let topics = topology.publishers().map(|module| (module.to_owned(), topic(module))).collect();
        Self { topology, topics }
    }

    async fn publish(&self, event: &EventEnvelope) -> Result<(), EventsError> {
        let module = self.topology.publisher_of(&event.name)?;
        let topic = self.topics.get(module).ok_or_else(|| EventsError::NobodyPublishes(event.name.clone()))?;
        topic.publish(Outgoing::new(event)?).await
    }
}

#[async_trait]
impl Transport for SnsTransport {
    async fn deliver(&self, _listener: &str, event: &EventEnvelope) -> Result<(), Fault> {
        Ok(self.publish(event).await?)
    }
}

/// A relay's settings for publishing: it waits for a network rather than for work, so it does more at
/// once, and what fails is tried often rather than late.
#[must_use]
pub fn relay_config(config: RelayConfig) -> RelayConfig {
    RelayConfig {
        concurrency: config.concurrency.max(CONCURRENCY),
        retry_cap: config.retry_cap.min(LONGEST_PAUSE),
        max_attempts: config.max_attempts.max(MAX_ATTEMPTS),
        ..config
    }
}
