//! Who listens, to what, and how an event gets there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use eshopz_kernel::{EventEnvelope, Fault};

/// Who takes which events. A constant of its module, so that a process knows it that does not run the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The listener's name.
    pub listener: &'static str,
    /// The names of the events.
    pub events: &'static [&'static str],
}

/// What a module does about another module's events.
#[async_trait]
pub trait Listener: Send + Sync {
    /// `<module>.<what it does>`, such as `order.mark_paid`. It is kept in tables: once given, it stays.
    fn name(&self) -> &'static str;

    /// The names of the events that it takes.
    fn events(&self) -> &'static [&'static str];

    /// Takes one event in. It can come more than once and out of order: [`super::inbox::claim`] in the
    /// transaction of the effect sees to the first, the state machine of what it changes to the second.
    ///
    /// # Errors
    /// Any fault has the event come again later, with growing pauses, and one too many makes it a dead letter. One
    /// that arose because a neighbour is away ([`crate::wire::is_away`]) counts for nothing: the pauses stay short.
    /// [`super::postponed`] has it come again after a pause of the listener's choice.
    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault>;
}

/// The way from a relay to a listener, wherever that runs.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Hands an event over and returns once the listener is done with it.
    ///
    /// # Errors
    /// The listener's fault, or one of the way there; [`crate::wire::is_away`] tells them apart.
    async fn deliver(&self, listener: &str, event: &EventEnvelope) -> Result<(), Fault>;
}

/// The direct way: listeners of this process.
#[derive(Clone, Default)]
pub struct LocalTransport {
    listeners: BTreeMap<&'static str, Arc<dyn Listener>>,
}

impl LocalTransport {
    /// Of these listeners; the last of a name counts.
    pub fn new(listeners: impl IntoIterator<Item = Arc<dyn Listener>>) -> Self {
        Self { listeners: listeners.into_iter().map(|listener| (listener.name(), listener)).collect() }
    }

    /// Whether the listener runs in this process.
    #[must_use]
    pub fn has(&self, listener: &str) -> bool {
        self.listeners.contains_key(listener)
    }
}

#[async_trait]
impl Transport for LocalTransport {
    async fn deliver(&self, listener: &str, event: &EventEnvelope) -> Result<(), Fault> {
        match self.listeners.get(listener) {
            Some(found) => found.handle(event).await,
            None => Err(Fault::internal(format!("no listener {listener} in this process"))),
        }
    }
}

/// Every subscription of the shop, also of modules that run elsewhere. It is part of the program and
/// the same in each process: a relay that knew only the listeners beside it would lose events for others.
#[derive(Clone, Debug, Default)]
pub struct Subscriptions {
    /// Event name → listeners.
    by_event: BTreeMap<String, BTreeSet<String>>,
    /// Those that get no new event.
    left_over: BTreeSet<String>,
}

impl Subscriptions {
    /// The subscriptions of listeners that are at hand.
    pub fn of<'a>(listeners: impl IntoIterator<Item = &'a Arc<dyn Listener>>) -> Self {
        listeners.into_iter().fold(Self::default(), |all, listener| all.with(listener.name(), listener.events()))
    }

    /// Adds a listener by name.
    #[must_use]
    pub fn with(mut self, listener: &str, events: &[&str]) -> Self {
        for event in events {
            self.by_event.entry((*event).to_owned()).or_default().insert(listener.to_owned());
        }
        self
    }

    /// Adds a listener that gets no new event, and whose deliveries from before are still seen to.
    #[must_use]
    pub fn and_left_over(mut self, listener: &str) -> Self {
        self.left_over.insert(listener.to_owned());
        self
    }

    /// The listeners of an event.
    pub fn listeners_of(&self, event: &str) -> impl Iterator<Item = &str> {
        self.by_event.get(event).into_iter().flatten().map(String::as_str)
    }

    /// Every `(event, listener)`.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_event
            .iter()
            .flat_map(|(event, listeners)| listeners.iter().map(move |listener| (event.as_str(), listener.as_str())))
    }

    /// Every listener, also those with nothing but deliveries from before.
    pub fn listeners(&self) -> BTreeSet<&str> {
        let left_over = self.left_over.iter().map(String::as_str);
        self.pairs().map(|(_, listener)| listener).chain(left_over).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_found_by_event() {
        let all = Subscriptions::default().with("a.one", &["x.v1", "y.v1"]).with("b.two", &["y.v1"]);
        assert_eq!(all.listeners_of("y.v1").collect::<Vec<_>>(), ["a.one", "b.two"]);
        assert_eq!(all.listeners_of("x.v1").collect::<Vec<_>>(), ["a.one"]);
        assert_eq!(all.listeners_of("z.v1").count(), 0);
        assert_eq!(all.pairs().count(), 3);
    }

    #[tokio::test]
    async fn an_unknown_listener_is_a_fault() {
        let event = EventEnvelope {
            id: eshopz_kernel::EventId::new(),
            name: "x.v1".to_owned(),
            occurred_at: chrono::Utc::now(),
            payload: serde_json::Value::Null,
            traceparent: None,
        };
        assert!(LocalTransport::default().deliver("nobody.home", &event).await.is_err());
    }
}
