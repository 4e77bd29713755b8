//! Which topics and queues there are and what they are called: the same in every process, in
//! [`setup`](super::setup) and in the infrastructure.

use std::collections::{BTreeMap, BTreeSet};

use eshopz_platform::events::Subscriptions;

use super::EventsError;

/// Attempts at a message before it goes to the dead letters: as many as the outbox makes.
const MAX_RECEIVES: u32 = 12;

/// What things are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Before every name, so that several shops fit into one account.
    pub prefix: String,
    /// What comes before the names of topics, such as `arn:aws:sns:eu-central-1:123456789012:`. Without
    /// it they are looked up, which takes the right to list topics.
    pub topic_arns: Option<String>,
}

impl Default for Names {
    fn default() -> Self {
        Self { prefix: "eshopz".to_owned(), topic_arns: None }
    }
}

impl Names {
    /// With another prefix.
    pub fn with_prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..Self::default() }
    }

    /// The topic of a publishing module: `eshopz-order-events`.
    #[must_use]
    pub fn topic(&self, module: &str) -> String {
        format!("{}-{module}-events", self.prefix)
    }

    /// The queue of a consuming module: `eshopz-order-listeners`.
    #[must_use]
    pub fn queue(&self, module: &str) -> String {
        format!("{}-{module}-listeners", self.prefix)
    }

    /// Where messages go that a module could not take in: `eshopz-order-listeners-dead`.
    #[must_use]
    pub fn dead_letters(&self, module: &str) -> String {
        format!("{}-dead", self.queue(module))
    }
}

/// Who publishes what, and who takes it.
#[derive(Clone, Debug)]
pub struct Topology {
    pub names: Names,
    /// Attempts at a message before it goes to the dead letters; for [`setup`](super::setup).
    pub max_receives: u32,
    /// Publishing module → its events.
    published: BTreeMap<String, BTreeSet<String>>,
    /// Publishing module → consuming module → the events that it takes.
    taken: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Topology {
    /// Of every module with its events, and of all listeners that the shop has. A listener's module is
    /// what its name begins with.
    ///
    /// # Errors
    /// A listener takes an event that no module publishes.
    pub fn new(names: Names, published: &[(&str, &[&str])], listeners: &Subscriptions) -> Result<Self, EventsError> {
        let mut topology =
            Self { names, max_receives: MAX_RECEIVES, published: BTreeMap::new(), taken: BTreeMap::new() };
        for (module, events) in published {
            let events = events.iter().map(|event| (*event).to_owned()).collect();
            topology.published.insert((*module).to_owned(), events);
        }
        for (event, listener) in listeners.pairs() {
            let publisher = topology.publisher_of(event)?.to_owned();
            let takers = topology.taken.entry(publisher).or_default();
            takers.entry(module_of(listener).to_owned()).or_default().insert(event.to_owned());
        }
        Ok(topology)
    }

    /// The module that publishes an event.
    ///
    /// # Errors
    /// None does.
    pub fn publisher_of(&self, event: &str) -> Result<&str, EventsError> {
        let mut publishers = self.published.iter().filter(|(_, events)| events.contains(event));
        let publisher = publishers.next().map(|(module, _)| module.as_str());
        publisher.ok_or_else(|| EventsError::NobodyPublishes(event.to_owned()))
    }

    /// Every module that publishes, each of which has a topic.
    pub fn publishers(&self) -> impl Iterator<Item = &str> {
        self.published.iter().filter(|(_, events)| !events.is_empty()).map(|(module, _)| module.as_str())
    }

    /// Every module with listeners, each of which has a queue.
    #[must_use]
    pub fn consumers(&self) -> BTreeSet<&str> {
        self.taken.values().flat_map(BTreeMap::keys).map(String::as_str).collect()
    }

    /// The modules that take events of a publisher, and which: a subscription each.
    pub fn takers_of(&self, publisher: &str) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.taken.get(publisher).into_iter().flatten().map(|(module, events)| (module.as_str(), events))
    }

    /// The modules whose events a consumer takes.
    pub fn publishers_for(&self, consumer: &str) -> impl Iterator<Item = &str> {
        self.taken.iter().filter(move |(_, takers)| takers.contains_key(consumer)).map(|(module, _)| module.as_str())
    }

    /// Every event that any module publishes.
    #[must_use]
    pub fn events(&self) -> Vec<&str> {
        self.published.values().flatten().map(String::as_str).collect()
    }
}

/// The module of a listener: `order` of `order.settle`.
#[must_use]
pub fn module_of(listener: &str) -> &str {
    listener.split_once('.').map_or(listener, |(module, _)| module)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: &[(&str, &[&str])] =
        &[("user", &["user.deleted.v1", "user.registered.v1"]), ("order", &["order.placed.v1"]), ("cart", &[])];

    #[test]
    fn who_takes_what_follows_from_the_listeners() {
        let listeners = Subscriptions::default()
            .with("order.finish", &["order.placed.v1"])
            .with("order.forget", &["user.deleted.v1"])
            .with("cart.forget", &["user.deleted.v1"]);
        let topology = Topology::new(Names::default(), PUBLISHED, &listeners).unwrap();
        assert_eq!(topology.publishers().collect::<Vec<_>>(), ["order", "user"]);
        assert_eq!(topology.consumers().into_iter().collect::<Vec<_>>(), ["cart", "order"]);
        assert_eq!(topology.publishers_for("order").collect::<Vec<_>>(), ["order", "user"]);
        let takers: Vec<_> = topology.takers_of("user").map(|(module, events)| (module, events.len())).collect();
        assert_eq!(takers, [("cart", 1), ("order", 1)]);
        assert_eq!(topology.publisher_of("user.registered.v1").unwrap(), "user");
        assert_eq!(topology.events().len(), 3);
    }

    #[test]
    fn nobody_may_wait_for_what_nobody_publishes() {
        let listeners = Subscriptions::default().with("order.finish", &["order.plced.v1"]);
        let error = Topology::new(Names::default(), PUBLISHED, &listeners).unwrap_err();
        assert_eq!(error.to_string(), "no module publishes `order.plced.v1`");
    }

    #[test]
    fn names_are_built_alike() {
        let names = Names::with_prefix("shop");
        assert_eq!(names.topic("user"), "shop-user-events");
        assert_eq!(names.dead_letters("order"), "shop-order-listeners-dead");
    }
}
