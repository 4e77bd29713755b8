//! Events that are published at about the same time go to SNS together: a tenth of the calls.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::EventsError;
use super::message::{LIMIT, Outgoing};
use super::topics::Topic;

/// What SNS takes in one call.
const TOGETHER: usize = 10;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_millis(5);
/// Calls at once to one topic.
const CALLS: usize = 8;
/// Events that may wait to be gathered; the relay has no more under way than this anyway.
const WAITING: usize = 64;

/// An event on its way, and whom to tell how it went.
struct Item {
    message: Outgoing,
    done: oneshot::Sender<Result<(), EventsError>>,
}

/// The way to one topic. It works as long as this is there, and then ends what is under way.
#[derive(Debug)]
pub(super) struct Batches {
    waiting: mpsc::Sender<Item>,
    topic: Arc<Topic>,
}

impl Batches {
    /// To be called in the runtime that publishes.
    pub(super) fn new(topic: Topic) -> Self {
        let (waiting, items) = mpsc::channel(WAITING);
        let topic = Arc::new(topic);
        tokio::spawn(gather(items, Arc::clone(&topic)));
        Self { waiting, topic }
    }

    /// Returns when SNS has the event.
    pub(super) async fn publish(&self, message: Outgoing) -> Result<(), EventsError> {
        let (done, outcome) = oneshot::channel();
        let stopped = || EventsError::Aws {
            doing: format!("publishing to {}", self.topic.name()),
            detail: "the process stops".to_owned(),
        };
        self.waiting.send(Item { message, done }).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())?
    }
}

async fn gather(mut items: mpsc::Receiver<Item>, topic: Arc<Topic>) {
    let calls = Arc::new(Semaphore::new(CALLS));
    let mut left = None;
    loop {
        let first = match left.take() {
            Some(item) => item,
            None => match items.recv().await {
                Some(item) => item,
                None => return,
            },
        };
        let batch;
        (batch, left) = fill(first, &mut items).await;
        // It is never closed.
        let Ok(permit) = Arc::clone(&calls).acquire_owned().await else { return };
        let topic = Arc::clone(&topic);
        tokio::spawn(async move {
            publish(&topic, batch).await;
            drop(permit);
        });
    }
}

/// A batch that SNS takes, and the one that did not fit into it.
async fn fill(first: Item, items: &mut mpsc::Receiver<Item>) -> (Vec<Item>, Option<Item>) {
    let until = Instant::now() + GATHER;
    let mut bytes = first.message.bytes;
    let mut batch = vec![first];
    while batch.len() < TOGETHER {
        let Ok(Some(item)) = timeout_at(until, items.recv()).await else { break };
        if bytes + item.message.bytes > LIMIT {
            return (batch, Some(item));
        }
        bytes += item.message.bytes;
        batch.push(item);
    }
    (batch, None)
}

/// Publishes a batch and tells each how it went.
async fn publish(topic: &Topic, batch: Vec<Item>) {
    let outcomes = send(topic, &batch).await;
    for (place, item) in batch.into_iter().enumerate() {
        let outcome = match &outcomes {
            Ok(refused) => refused.iter().find(|(at, _)| *at == place).map_or(Ok(()), |(_, error)| Err(error.clone())),
            Err(error) => Err(error.clone()),
        };
        // Who waited for too long has gone.
        let _ = item.done.send(outcome);
    }
}

/// Those that SNS refused, by their place in the batch.
async fn send(topic: &Topic, batch: &[Item]) -> Result<Vec<(usize, EventsError)>, EventsError> {
    let doing = format!("publishing to {}", topic.name());
    let mut call = topic.sns.publish_batch().topic_arn(topic.arn().await?);
    for (place, item) in batch.iter().enumerate() {
        call = call.publish_batch_request_entries(item.message.entry(&place.to_string())?);
    }
    let answer = call.send().await.map_err(|error| {
        if error.as_service_error().is_some_and(|answer| answer.is_not_found_exception()) {
            topic.forget();
        }
        EventsError::aws(doing.clone(), &error)
    })?;
    let refused = answer.failed().iter().map(|one| {
        let detail = format!("{}: {}", one.code(), one.message().unwrap_or("without a message"));
        (one.id().parse().unwrap_or(usize::MAX), EventsError::Aws { doing: doing.clone(), detail })
    });
    Ok(refused.collect())
}

#[cfg(test)]
mod tests {
    use eshopz_kernel::{EventEnvelope, EventId};

    use super::*;

    fn item(bytes: usize) -> Item {
        let event = EventEnvelope {
            id: EventId::new(),
            name: "x.v1".to_owned(),
            occurred_at: chrono::Utc::now(),
            payload: "x".repeat(bytes).into(),
            traceparent: None,
        };
        Item { message: Outgoing::new(&event).unwrap(), done: oneshot::channel().0 }
    }

    #[tokio::test]
    async fn a_batch_has_ten_events_or_what_fits() {
        let (waiting, mut items) = mpsc::channel(WAITING);
        for bytes in [[1; 12].as_slice(), &[100_000; 3]].concat() {
            waiting.try_send(item(bytes)).unwrap();
        }
        let mut left = None;
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let first = match left.take() {
                Some(item) => item,
                None => items.recv().await.unwrap(),
            };
            let batch;
            (batch, left) = fill(first, &mut items).await;
            sizes.push(batch.len());
        }
        // Ten; two small ones with two large ones; the third large one by itself.
        assert_eq!(sizes, [10, 4, 1]);
    }
}
