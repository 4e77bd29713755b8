//! Queues as they are in AWS.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;

use super::EventsError;

/// A queue's URL, if there is one of that name.
pub(super) async fn find(sqs: &Client, name: &str) -> Result<Option<String>, EventsError> {
    match sqs.get_queue_url().queue_name(name).send().await {
        Ok(answer) => Ok(answer.queue_url().map(str::to_owned)),
        Err(error) if error.as_service_error().is_some_and(|answer| answer.is_queue_does_not_exist()) => Ok(None),
        Err(error) => Err(EventsError::aws(format!("looking for queue {name}"), &error)),
    }
}

/// A queue's URL.
pub(super) async fn url(sqs: &Client, name: &str) -> Result<String, EventsError> {
    find(sqs, name).await?.ok_or_else(|| EventsError::Missing { kind: "queue", name: name.to_owned() })
}

/// Some of a queue's attributes, those that have a value.
pub(super) async fn attributes(
    sqs: &Client,
    url: &str,
    names: impl IntoIterator<Item = QueueAttributeName>,
) -> Result<HashMap<QueueAttributeName, String>, EventsError> {
    let names = names.into_iter().collect();
    let asked = sqs.get_queue_attributes().queue_url(url).set_attribute_names(Some(names)).send().await;
    let answer = asked.map_err(|error| EventsError::aws(format!("reading queue {url}"), &error))?;
    Ok(answer.attributes.unwrap_or_default())
}

/// How many messages a queue holds: those that wait, and all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Depth {
    /// About so many can be received now.
    pub waiting: u32,
    /// With those that somebody works on or that wait for their next attempt.
    pub all: u32,
}

/// How full a queue is.
pub(super) async fn depth(sqs: &Client, url: &str) -> Result<Depth, EventsError> {
    use QueueAttributeName::{
        ApproximateNumberOfMessages as Waiting, ApproximateNumberOfMessagesDelayed as Delayed,
        ApproximateNumberOfMessagesNotVisible as InFlight,
    };
    let attributes = attributes(sqs, url, [Waiting, Delayed, InFlight]).await?;
    let count = |name| attributes.get(&name).and_then(|count| count.parse::<u32>().ok()).unwrap_or(0);
    let waiting = count(Waiting);
    Ok(Depth { waiting, all: waiting.saturating_add(count(Delayed)).saturating_add(count(InFlight)) })
}
