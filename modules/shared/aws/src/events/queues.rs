//! Queues as they are in AWS.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, QueueAttributeName};

use super::EventsError;

/// What SQS takes and gives at once.
pub(super) const TOGETHER: usize = 10;

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

/// Lets others see messages at once that were received and not dealt with.
pub(super) async fn give_back(sqs: &Client, url: &str, receipts: &[&str]) -> Result<(), EventsError> {
    for some in receipts.chunks(TOGETHER) {
        let mut call = sqs.change_message_visibility_batch().queue_url(url);
        for (place, receipt) in some.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(place.to_string())
                .receipt_handle(*receipt)
                .visibility_timeout(0)
                .build()
                .map_err(|error| EventsError::Unwritable(error.to_string()))?;
            call = call.entries(entry);
        }
        call.send().await.map_err(|error| EventsError::aws(format!("giving back to {url}"), &error))?;
    }
    Ok(())
}
