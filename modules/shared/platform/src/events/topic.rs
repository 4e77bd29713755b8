//! Events that go to a topic instead of to each listener, and the change from one way to the other.
//!
//! By a topic an event has one delivery, to [`NAME`]: published there, it is on its way to whoever
//! takes it, and the queue behind sees to repetition. The way is chosen when a process starts, and the
//! outbox then still holds deliveries of the other way; processes of both kinds may work on it at once
//! for a while. So each way also knows the other's deliveries: a listener's own is published to the
//! topic ([`subscriptions`]), and the topic's goes to every listener of the event ([`FromTopic`]). Some
//! listeners may then get an event twice, which their inboxes stand, and none misses it.

use std::sync::Arc;

use async_trait::async_trait;
use eshopz_kernel::{EventEnvelope, Fault};
use futures::future::join_all;

use super::{Subscriptions, Transport};

/// What stands for the listener in a delivery to the topic. It is kept in tables: it stays.
pub const NAME: &str = "sns";

/// What a relay needs that hands its events to topics: every event once, also those that nobody in
/// the shop takes, for there may be others; and what is left for `listeners` from before.
#[must_use]
pub fn subscriptions(events: &[&str], listeners: &Subscriptions) -> Subscriptions {
    let once = Subscriptions::default().with(NAME, events);
    listeners.listeners().into_iter().fold(once, Subscriptions::and_left_over)
}

/// What a relay needs that hands its events to listeners: these, and what is left for the topic.
#[must_use]
pub fn without_topic(listeners: Subscriptions) -> Subscriptions {
    listeners.and_left_over(NAME)
}

/// The way to the listeners, which takes what was meant for the topic to all that the event has.
pub struct FromTopic {
    transport: Arc<dyn Transport>,
    subscriptions: Subscriptions,
}

impl FromTopic {
    /// By `transport`, to the listeners in `subscriptions`.
    pub fn new(transport: Arc<dyn Transport>, subscriptions: Subscriptions) -> Self {
        Self { transport, subscriptions }
    }
}

#[async_trait]
impl Transport for FromTopic {
    async fn deliver(&self, listener: &str, event: &EventEnvelope) -> Result<(), Fault> {
        if listener != NAME {
            return self.transport.deliver(listener, event).await;
        }
        // All are tried, so that one which fails does not keep the event from the rest.
        let listeners = self.subscriptions.listeners_of(&event.name).filter(|listener| *listener != NAME);
        join_all(listeners.map(|listener| self.transport.deliver(listener, event))).await.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use eshopz_kernel::EventId;

    use super::*;

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    #[async_trait]
    impl Transport for Notes {
        async fn deliver(&self, listener: &str, _event: &EventEnvelope) -> Result<(), Fault> {
            self.0.lock().unwrap().push(listener.to_owned());
            if listener == "a.sick" { Err(Fault::internal("sick")) } else { Ok(()) }
        }
    }

    fn event(name: &str) -> EventEnvelope {
        EventEnvelope {
            id: EventId::new(),
            name: name.to_owned(),
            occurred_at: chrono::Utc::now(),
            payload: serde_json::Value::Null,
            traceparent: None,
        }
    }

    #[tokio::test]
    async fn what_was_meant_for_the_topic_goes_to_all_listeners() {
        let listeners = Subscriptions::default().with("a.sick", &["x.v1"]).with("b.well", &["x.v1", "y.v1"]);
        let notes = Arc::new(Notes::default());
        let transport = FromTopic::new(notes.clone(), without_topic(listeners));
        assert!(transport.deliver(NAME, &event("x.v1")).await.is_err());
        assert!(transport.deliver(NAME, &event("y.v1")).await.is_ok());
        assert!(transport.deliver(NAME, &event("z.v1")).await.is_ok());
        assert!(transport.deliver("b.well", &event("x.v1")).await.is_ok());
        assert_eq!(*notes.0.lock().unwrap(), ["a.sick", "b.well", "b.well", "b.well"]);
    }

    #[test]
    fn each_way_knows_the_deliveries_of_the_other() {
        let listeners = Subscriptions::default().with("a.one", &["x.v1"]).with("b.two", &["x.v1"]);
        let topic = subscriptions(&["x.v1", "outside.v1"], &listeners);
        assert_eq!(topic.pairs().collect::<Vec<_>>(), [("outside.v1", NAME), ("x.v1", NAME)]);
        assert_eq!(topic.listeners().into_iter().collect::<Vec<_>>(), ["a.one", "b.two", NAME]);
        let local = without_topic(listeners);
        assert_eq!(local.listeners_of("x.v1").collect::<Vec<_>>(), ["a.one", "b.two"]);
        assert_eq!(local.listeners().into_iter().collect::<Vec<_>>(), ["a.one", "b.two", NAME]);
    }
}
