//! Dead letters of the queues: messages that a module could not take in. They wait for someone to
//! look at them, two weeks at most. Those that never reached SNS are in the outbox
//! (`eshopz_platform::events::dead`).
//!
//! SQS has no way to look without receiving: what is looked at is hidden from others meanwhile, and
//! given back afterwards. Two who look at once each see a part.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use eshopz_kernel::{EventEnvelope, EventId};

use super::{EventsError, Names, message, queues};

/// How long a message is hidden while we look, in seconds.
const HOLD: i32 = 60;
/// Seconds; enough for SQS to ask all of its servers.
const WAIT: i32 = 1;
/// What SQS takes and gives at once.
const TOGETHER: usize = 10;
/// Messages that one call looks at, per module.
const AT_MOST: usize = 10_000;

/// A message that a module could not take in.
#[derive(Clone, Debug)]
pub struct DeadMessage {
    /// The consuming module.
    pub module: String,
    pub message_id: String,
    /// Absent when the message is no event.
    pub event: Option<EventEnvelope>,
    /// As it was received.
    pub body: String,
}

/// Which dead letters; what is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub event_id: Option<EventId>,
    /// The event's name.
    pub event: Option<String>,
}

impl Filter {
    fn takes(&self, event: Option<&EventEnvelope>) -> bool {
        let id = self.event_id.is_none_or(|id| event.is_some_and(|event| event.id == id));
        id && self.event.as_ref().is_none_or(|name| event.is_some_and(|event| event.name == *name))
    }
}

/// What a redrive has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    pub moved: usize,
    /// Looked at and left.
    pub kept: usize,
    /// There may be more, for the next call.
    pub more: bool,
}

/// The dead letters of these modules, at most `limit` of each.
///
/// # Errors
/// AWS cannot be reached, or a module has no queue.
pub async fn list(
    sdk: &SdkConfig,
    names: &Names,
    modules: &[&str],
    limit: usize,
) -> Result<Vec<DeadMessage>, EventsError> {
    let sqs = Client::new(sdk);
    let mut all = Vec::new();
    for module in modules {
        let mut look = Look::at(&sqs, &names.dead_letters(module)).await?;
        let mut found = Vec::new();
        while let Some(messages) = look.more(limit.saturating_sub(found.len())).await? {
            found.extend(messages.into_iter().map(|message| dead_message(module, message)));
        }
        look.give_back().await?;
        all.append(&mut found);
    }
    Ok(all)
}

fn dead_message(module: &str, message: Message) -> DeadMessage {
    DeadMessage {
        module: module.to_owned(),
        event: message::read(&message),
        message_id: message.message_id.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
    }
}

/// Gives dead letters back to the queues of their modules, with all attempts before them. Each is in
/// one of the two queues at any moment, for an instant in both. `progress` hears the sum so far.
///
/// # Errors
/// AWS cannot be reached, or a module has no queue; what was moved stays moved.
pub async fn redrive(
    sdk: &SdkConfig,
    names: &Names,
    modules: &[&str],
    filter: &Filter,
    progress: &mut (dyn FnMut(&Redriven) + Send),
) -> Result<Redriven, EventsError> {
    let sqs = Client::new(sdk);
    let mut sum = Redriven::default();
    for module in modules {
        let queue = queues::url(&sqs, &names.queue(module)).await?;
        let mut look = Look::at(&sqs, &names.dead_letters(module)).await?;
        let mut looked_at = 0;
        while let Some(messages) = look.more(AT_MOST.saturating_sub(looked_at)).await? {
            for message in messages {
                looked_at += 1;
                if filter.takes(message::read(&message).as_ref()) {
                    send(&sqs, &queue, &message).await?;
                    look.delete(&message).await?;
                    sum.moved += 1;
                } else {
                    sum.kept += 1;
                }
            }
            progress(&sum);
        }
        sum.more |= looked_at >= AT_MOST;
        look.give_back().await?;
    }
    Ok(sum)
}

async fn send(sqs: &Client, queue: &str, message: &Message) -> Result<(), EventsError> {
    let call = sqs.send_message().queue_url(queue).message_body(message.body().unwrap_or_default());
    let sent = call.set_message_attributes(message.message_attributes().cloned()).send().await;
    sent.map(drop).map_err(|error| EventsError::aws(format!("sending to {queue}"), &error))
}

/// A look through a queue, once around.
struct Look<'a> {
    sqs: &'a Client,
    url: String,
    /// What we hide from others: id → receipt.
    held: HashMap<String, String>,
}

impl<'a> Look<'a> {
    async fn at(sqs: &'a Client, queue: &str) -> Result<Self, EventsError> {
        Ok(Self { sqs, url: queues::url(sqs, queue).await?, held: HashMap::new() })
    }

    /// Messages not yet seen, at most so many; nothing at the end.
    async fn more(&mut self, at_most: usize) -> Result<Option<Vec<Message>>, EventsError> {
        if at_most == 0 {
            return Ok(None);
        }
        let received = self
            .sqs
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(at_most.min(TOGETHER)).unwrap_or(1))
            .wait_time_seconds(WAIT)
            .visibility_timeout(HOLD)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| EventsError::aws(format!("receiving from {}", self.url), &error))?;
        let mut fresh = Vec::new();
        for message in received.messages.unwrap_or_default() {
            let (Some(id), Some(receipt)) = (message.message_id(), message.receipt_handle()) else { continue };
            if self.held.insert(id.to_owned(), receipt.to_owned()).is_none() {
                fresh.push(message);
            }
        }
        // Only known ones mean that we have been around: they came back while we looked.
        Ok((!fresh.is_empty()).then_some(fresh))
    }

    async fn delete(&mut self, message: &Message) -> Result<(), EventsError> {
        let Some(receipt) = message.message_id().and_then(|id| self.held.remove(id)) else { return Ok(()) };
        let deleted = self.sqs.delete_message().queue_url(&self.url).receipt_handle(receipt).send().await;
        deleted.map(drop).map_err(|error| EventsError::aws(format!("deleting from {}", self.url), &error))
    }

    /// Shows others what we hid. What fails to be shown shows itself when its time is over.
    async fn give_back(self) -> Result<(), EventsError> {
        let receipts: Vec<&str> = self.held.values().map(String::as_str).collect();
        queues::give_back(self.sqs, &self.url, &receipts).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_event_is_taken_only_without_a_filter() {
        let by_name = Filter { event: Some("x.v1".to_owned()), ..Filter::default() };
        let by_id = Filter { event_id: Some(EventId::new()), ..Filter::default() };
        assert!(Filter::default().takes(None) && !by_name.takes(None) && !by_id.takes(None));
    }
}
