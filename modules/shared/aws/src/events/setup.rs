//! Makes the topics, queues and subscriptions of a shop, for a test account; elsewhere the
//! infrastructure makes the same. It can be repeated: what is there stays, what differs is changed.
//!
//! What it does not remove: topics and queues, for they may hold messages. A subscription of our queues
//! to our topics that nobody needs any more goes.
//!
//! AWS may take a quarter of an hour until a changed filter holds everywhere, so it comes before the
//! release that relies on it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use super::topics::{self, Subscribed};
use super::{EventsError, Topology, queues};

/// Seconds that a message waits for a consumer: ten days. Less than a dead letter, whose time counts
/// from when the message was sent first.
const RETENTION: u32 = 864_000;
/// Seconds that a dead letter waits for somebody: two weeks, the longest there is.
const DEAD_RETENTION: u32 = 1_209_600;
/// Seconds; consumers say it with each call, so it is for others.
const VISIBILITY: u32 = 30;
/// Seconds that a receiver waits for a message, if it does not say.
const WAIT: u32 = 20;

/// What has become of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Unchanged,
    Created,
    Updated,
    Removed,
}

/// One topic, queue or subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub what: String,
    pub change: Change,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = match self.change {
            Change::Unchanged => "unchanged",
            Change::Created => "created",
            Change::Updated => "updated",
            Change::Removed => "removed",
        };
        write!(f, "{change:9} {}", self.what)
    }
}

/// Makes what is not there and changes what differs; says what it did.
///
/// # Errors
/// AWS cannot be reached, or does not allow it. It can be repeated.
pub async fn setup(sdk: &SdkConfig, topology: &Topology) -> Result<Vec<Step>, EventsError> {
    let mut setup =
        Setup { sns: aws_sdk_sns::Client::new(sdk), sqs: aws_sdk_sqs::Client::new(sdk), topology, steps: Vec::new() };
    let mut topics = BTreeMap::new();
    for module in topology.publishers() {
        topics.insert(module, setup.topic(module).await?);
    }
    let mut queues = BTreeMap::new();
    for module in topology.consumers() {
        let from = topology.publishers_for(module).filter_map(|publisher| topics.get(publisher)).collect::<Vec<_>>();
        queues.insert(module, setup.queue(module, &from).await?);
    }
    for (module, topic) in &topics {
        setup.subscriptions(module, topic, &queues).await?;
    }
    Ok(setup.steps)
}

struct Setup<'a> {
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
    topology: &'a Topology,
    steps: Vec<Step>,
}

impl Setup<'_> {
    fn note(&mut self, what: String, change: Change) {
        self.steps.push(Step { what, change });
    }

    /// The topic's ARN.
    async fn topic(&mut self, module: &str) -> Result<String, EventsError> {
        let name = self.topology.names.topic(module);
        if let Some(arn) = topics::find(&self.sns, &name).await? {
            self.note(format!("topic {name}"), Change::Unchanged);
            return Ok(arn);
        }
        let doing = format!("creating topic {name}");
        let made = self.sns.create_topic().name(&name).send().await;
        let made = made.map_err(|error| EventsError::aws(doing.clone(), &error))?;
        let arn = made.topic_arn.ok_or(EventsError::Aws { doing, detail: "no ARN in the answer".to_owned() })?;
        self.note(format!("topic {name}"), Change::Created);
        Ok(arn)
    }

    /// The queue's ARN. The dead letters come first, for the queue names them.
    async fn queue(&mut self, module: &str, topics: &[&String]) -> Result<String, EventsError> {
        let dead = self.topology.names.dead_letters(module);
        let dead = self.queue_as(&dead, |_| retention(DEAD_RETENTION)).await?;
        let redrive = json!({ "deadLetterTargetArn": dead, "maxReceiveCount": self.topology.max_receives });
        let name = self.topology.names.queue(module);
        self.queue_as(&name, |arn| {
            let mut attributes = retention(RETENTION);
            attributes.insert(QueueAttributeName::RedrivePolicy, redrive.to_string());
            attributes.insert(QueueAttributeName::Policy, policy(arn, topics).to_string());
            attributes
        })
        .await
    }

    /// A queue with these attributes, which may speak of its ARN. All are set at once, for each change
    /// of a queue takes up to a minute.
    async fn queue_as(
        &mut self,
        name: &str,
        attributes: impl Fn(&str) -> HashMap<QueueAttributeName, String>,
    ) -> Result<String, EventsError> {
        let (url, new) = match queues::find(&self.sqs, name).await? {
            Some(url) => (url, false),
            None => (self.create_queue(name).await?, true),
        };
        let present = queues::attributes(&self.sqs, &url, [QueueAttributeName::All]).await?;
        let arn = present.get(&QueueAttributeName::QueueArn).cloned().unwrap_or_default();
        let wanted = attributes(&arn);
        let differs = wanted.iter().any(|(name, value)| !present.get(name).is_some_and(|is| same(is, value)));
        if differs {
            let set = self.sqs.set_queue_attributes().queue_url(&url).set_attributes(Some(wanted)).send().await;
            set.map_err(|error| EventsError::aws(format!("changing queue {name}"), &error))?;
        }
        let change = match (new, differs) {
            (true, _) => Change::Created,
            (false, true) => Change::Updated,
            (false, false) => Change::Unchanged,
        };
        self.note(format!("queue {name}"), change);
        Ok(arn)
    }

    async fn create_queue(&self, name: &str) -> Result<String, EventsError> {
        let doing = format!("creating queue {name}");
        let made = self.sqs.create_queue().queue_name(name).send().await;
        let made = made.map_err(|error| EventsError::aws(doing.clone(), &error))?;
        made.queue_url.ok_or(EventsError::Aws { doing, detail: "no URL in the answer".to_owned() })
    }

    /// Subscribes those that take events of a module, and no other queue of ours.
    async fn subscriptions(
        &mut self,
        publisher: &str,
        topic: &str,
        queues: &BTreeMap<&str, String>,
    ) -> Result<(), EventsError> {
        let present = topics::subscriptions(&self.sns, topic).await?;
        let topology = self.topology;
        let mut needed = BTreeSet::new();
        for (consumer, events) in topology.takers_of(publisher) {
            let Some(queue) = queues.get(consumer) else { continue };
            needed.insert(queue);
            let found = present.iter().find(|subscribed| subscribed.endpoint == *queue);
            let change = self.subscribe(topic, queue, found, &topics::filter_for(events)).await?;
            self.note(self.subscription_name(publisher, consumer), change);
        }
        for (consumer, queue) in queues.iter().filter(|(_, queue)| !needed.contains(queue)) {
            for unneeded in present.iter().filter(|subscribed| subscribed.endpoint == *queue) {
                let removed = self.sns.unsubscribe().subscription_arn(&unneeded.arn).send().await;
                removed.map_err(|error| EventsError::aws(format!("removing {}", unneeded.arn), &error))?;
                self.note(self.subscription_name(publisher, consumer), Change::Removed);
            }
        }
        Ok(())
    }

    fn subscription_name(&self, publisher: &str, consumer: &str) -> String {
        let names = &self.topology.names;
        format!("subscription {} -> {}", names.topic(publisher), names.queue(consumer))
    }

    async fn subscribe(
        &self,
        topic: &str,
        queue: &str,
        found: Option<&Subscribed>,
        filter: &Value,
    ) -> Result<Change, EventsError> {
        let Some(found) = found else {
            // With its filter at once: it would get everything until it has one.
            let call = self.sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(queue);
            let call = call.attributes("RawMessageDelivery", "true").attributes("FilterPolicy", filter.to_string());
            call.send().await.map_err(|error| EventsError::aws(format!("subscribing {queue}"), &error))?;
            return Ok(Change::Created);
        };
        let mut change = Change::Unchanged;
        if !found.raw {
            self.set(found, "RawMessageDelivery", "true").await?;
            change = Change::Updated;
        }
        if found.filter.as_ref() != Some(filter) {
            self.set(found, "FilterPolicy", &filter.to_string()).await?;
            change = Change::Updated;
        }
        Ok(change)
    }

    async fn set(&self, subscribed: &Subscribed, name: &str, value: &str) -> Result<(), EventsError> {
        let call = self.sns.set_subscription_attributes().subscription_arn(&subscribed.arn);
        let set = call.attribute_name(name).attribute_value(value).send().await;
        set.map(drop).map_err(|error| EventsError::aws(format!("changing {}", subscribed.arn), &error))
    }
}

fn retention(seconds: u32) -> HashMap<QueueAttributeName, String> {
    HashMap::from([
        (QueueAttributeName::MessageRetentionPeriod, seconds.to_string()),
        (QueueAttributeName::VisibilityTimeout, VISIBILITY.to_string()),
        (QueueAttributeName::ReceiveMessageWaitTimeSeconds, WAIT.to_string()),
    ])
}

/// These topics may send to the queue, and nothing else of other accounts or services.
fn policy(queue: &str, topics: &[&String]) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "topics",
            "Effect": "Allow",
            "Principal": { "Service": "sns.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": { "ArnEquals": { "aws:SourceArn": topics } },
        }],
    })
}

/// Whether two values of an attribute say the same; those that are JSON may be written in two ways,
/// and a number in them as text.
fn same(one: &str, other: &str) -> bool {
    let plain = |text: &str| serde_json::from_str::<Value>(text).map(numbers_as_text).ok();
    one == other || plain(one).is_some_and(|one| plain(other) == Some(one))
}

fn numbers_as_text(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Array(values) => values.into_iter().map(numbers_as_text).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, numbers_as_text(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_by_what_they_say() {
        assert!(same("30", "30") && !same("30", "31"));
        assert!(same(r#"{"maxReceiveCount": "12", "a": [1]}"#, r#"{"a":["1"],"maxReceiveCount":12}"#));
        assert!(!same(r#"{"maxReceiveCount": 12}"#, r#"{"maxReceiveCount": 8}"#));
        assert!(!same("", r#"{"maxReceiveCount": 8}"#));
    }

    #[test]
    fn a_queue_takes_from_its_topics_only() {
        let topic = "arn:aws:sns:eu-central-1:1:eshopz-user-events".to_owned();
        let policy = policy("arn:aws:sqs:eu-central-1:1:q", &[&topic]);
        assert_eq!(policy["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"], json!([topic]));
    }
}
