//! A topic as it is in AWS: where it is, and who gets what of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sns::Client;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{EventsError, Topology, message};

/// A module's topic, looked up when it is needed and then remembered.
#[derive(Debug)]
pub(super) struct Topic {
    pub sns: Client,
    topology: Arc<Topology>,
    module: String,
    arn: Mutex<Arc<OnceCell<String>>>,
}

impl Topic {
    pub(super) fn new(sns: Client, topology: Arc<Topology>, module: &str) -> Self {
        Self { sns, topology, module: module.to_owned(), arn: Mutex::default() }
    }

    pub(super) fn name(&self) -> String {
        self.topology.names.topic(&self.module)
    }

    /// The topic's ARN, once every subscription is there that the program needs. Those who ask at the
    /// same moment share one look; a look that failed is taken again by the next.
    pub(super) async fn arn(&self) -> Result<String, EventsError> {
        let known = self.arn.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.get_or_try_init(|| self.look()).await.cloned()
    }

    /// It is not there any more: look again.
    pub(super) fn forget(&self) {
        *self.arn.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    async fn look(&self) -> Result<String, EventsError> {
        let name = self.name();
        let arn = match &self.topology.names.topic_arns {
            Some(before) => format!("{before}{name}"),
            None => find(&self.sns, &name).await?.ok_or(EventsError::Missing { kind: "topic", name })?,
        };
        self.every_taker_is_subscribed(&arn).await?;
        Ok(arn)
    }

    /// SNS says yes to an event that it then gives to nobody, so a publisher has to look first.
    async fn every_taker_is_subscribed(&self, arn: &str) -> Result<(), EventsError> {
        let subscribed = subscriptions(&self.sns, arn).await?;
        for (consumer, events) in self.topology.takers_of(&self.module) {
            let queue = self.topology.names.queue(consumer);
            let found = subscribed.iter().find(|subscription| subscription.queue() == Some(queue.as_str()));
            let missing: Vec<&str> = match found {
                Some(found) if found.raw => {
                    events.iter().filter(|event| !found.lets(event)).map(String::as_str).collect()
                }
                _ => events.iter().map(String::as_str).collect(),
            };
            if !missing.is_empty() {
                return Err(EventsError::NotSubscribed { topic: self.name(), queue, events: missing.join(", ") });
            }
        }
        Ok(())
    }
}

/// A queue's subscription to a topic.
#[derive(Clone, Debug)]
pub(super) struct Subscribed {
    pub arn: String,
    /// The ARN of the queue.
    pub endpoint: String,
    /// Messages come as they were published, without a wrapping.
    pub raw: bool,
    pub filter: Option<Value>,
    /// The filter looks into bodies rather than at attributes.
    by_body: bool,
}

impl Subscribed {
    /// The queue's name.
    pub(super) fn queue(&self) -> Option<&str> {
        self.endpoint.rsplit(':').next()
    }

    /// Whether the filter lets an event through. One that asks for more than the event's name may not.
    fn lets(&self, event: &str) -> bool {
        let Some(filter) = &self.filter else { return true };
        let Some(filter) = filter.as_object() else { return false };
        let only_by_event = !self.by_body && filter.keys().all(|key| key == message::EVENT);
        let names = filter.get(message::EVENT).and_then(Value::as_array);
        filter.is_empty() || only_by_event && names.is_some_and(|names| names.iter().any(|name| name == event))
    }
}

/// What a subscription's filter says for these events.
pub(super) fn filter_for(events: &BTreeSet<String>) -> Value {
    serde_json::json!({ message::EVENT: events })
}

/// A topic's ARN by its name.
pub(super) async fn find(sns: &Client, name: &str) -> Result<Option<String>, EventsError> {
    let mut topics = sns.list_topics().into_paginator().items().send();
    let ending = format!(":{name}");
    while let Some(topic) = topics.next().await {
        let topic = topic.map_err(|error| EventsError::aws("listing topics", &error))?;
        if let Some(arn) = topic.topic_arn().filter(|arn| arn.ends_with(&ending)) {
            return Ok(Some(arn.to_owned()));
        }
    }
    Ok(None)
}

/// The queues that are subscribed to a topic.
pub(super) async fn subscriptions(sns: &Client, topic_arn: &str) -> Result<Vec<Subscribed>, EventsError> {
    let doing = || format!("listing the subscriptions of {topic_arn}");
    let mut listed = sns.list_subscriptions_by_topic().topic_arn(topic_arn).into_paginator().send();
    let mut subscribed = Vec::new();
    while let Some(page) = listed.next().await {
        let page = page.map_err(|error| EventsError::aws(doing(), &error))?;
        for one in page.subscriptions().iter().filter(|one| one.protocol() == Some("sqs")) {
            let (Some(arn), Some(endpoint)) = (one.subscription_arn(), one.endpoint()) else { continue };
            subscribed.push(subscription(sns, arn, endpoint).await?);
        }
    }
    Ok(subscribed)
}

async fn subscription(sns: &Client, arn: &str, endpoint: &str) -> Result<Subscribed, EventsError> {
    let asked = sns.get_subscription_attributes().subscription_arn(arn).send().await;
    let answer = asked.map_err(|error| EventsError::aws(format!("reading subscription {arn}"), &error))?;
    let attribute = |name: &str| answer.attributes().and_then(|all| all.get(name)).map(String::as_str);
    let filter = attribute("FilterPolicy").filter(|filter| !filter.is_empty());
    Ok(Subscribed {
        arn: arn.to_owned(),
        endpoint: endpoint.to_owned(),
        raw: attribute("RawMessageDelivery").is_some_and(|raw| raw.eq_ignore_ascii_case("true")),
        filter: filter.map(|filter| serde_json::from_str(filter).unwrap_or(Value::Null)),
        by_body: attribute("FilterPolicyScope") == Some("MessageBody"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_filter(filter: Option<Value>) -> Subscribed {
        Subscribed {
            arn: String::new(),
            endpoint: "arn:aws:sqs:eu-central-1:1:shop-order-listeners".to_owned(),
            raw: true,
            filter,
            by_body: false,
        }
    }

    #[test]
    fn a_filter_lets_through_what_it_names() {
        let events = BTreeSet::from(["a.v1".to_owned(), "b.v1".to_owned()]);
        let named = with_filter(Some(filter_for(&events)));
        assert!(named.lets("a.v1") && named.lets("b.v1") && !named.lets("c.v1"));
        assert_eq!(named.queue(), Some("shop-order-listeners"));
        assert!(with_filter(None).lets("a.v1") && with_filter(Some(json!({}))).lets("a.v1"));
        for narrow in [json!({"event": ["a.v1"], "shop": ["x"]}), json!({"shop": ["x"]}), json!({"event": "a.v1"})] {
            assert!(!with_filter(Some(narrow)).lets("a.v1"));
        }
        assert!(!Subscribed { by_body: true, ..named }.lets("a.v1"));
    }
}
