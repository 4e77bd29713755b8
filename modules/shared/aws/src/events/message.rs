//! An event as a message: the envelope as JSON, and what filters and people look for as attributes.

use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use eshopz_kernel::EventEnvelope;

use super::EventsError;

/// Bytes of a message, and of a batch of them, attributes included.
pub(super) const LIMIT: usize = 262_144;
/// The attribute that subscriptions filter by.
pub(super) const EVENT: &str = "event";
const EVENT_ID: &str = "event_id";
const TRACEPARENT: &str = "traceparent";
const STRING: &str = "String";

/// What is published of an event.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    body: String,
    attributes: Vec<(&'static str, String)>,
    /// What counts towards the limit.
    pub bytes: usize,
}

impl Outgoing {
    pub(super) fn new(event: &EventEnvelope) -> Result<Self, EventsError> {
        let body = serde_json::to_string(event).map_err(|error| EventsError::Unwritable(error.to_string()))?;
        let mut attributes = vec![(EVENT, event.name.clone()), (EVENT_ID, event.id.to_string())];
        // An attribute without a value is refused.
        attributes.extend(event.traceparent.clone().filter(|t| !t.is_empty()).map(|t| (TRACEPARENT, t)));
        let attribute_bytes = |(name, value): &(&str, String)| name.len() + STRING.len() + value.len();
        let bytes = body.len() + attributes.iter().map(attribute_bytes).sum::<usize>();
        if bytes > LIMIT {
            return Err(EventsError::TooLarge { bytes, limit: LIMIT });
        }
        Ok(Self { body, attributes, bytes })
    }

    /// As part of a batch, in which `id` is its own.
    pub(super) fn entry(&self, id: &str) -> Result<PublishBatchRequestEntry, EventsError> {
        let unwritable = |error: aws_sdk_sns::error::BuildError| EventsError::Unwritable(error.to_string());
        let mut entry = PublishBatchRequestEntry::builder().id(id).message(&self.body);
        for (name, value) in &self.attributes {
            let value = MessageAttributeValue::builder().data_type(STRING).string_value(value);
            entry = entry.message_attributes(*name, value.build().map_err(unwritable)?);
        }
        entry.build().map_err(unwritable)
    }
}

/// The event in a message from a queue; nothing if it is none of ours.
pub(super) fn read(message: &Message) -> Option<EventEnvelope> {
    serde_json::from_str(message.body()?).ok()
}

/// How often the message has been received, this time included.
pub(super) fn receives(message: &Message) -> u32 {
    let attributes = message.attributes();
    let count = attributes.and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount));
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use eshopz_kernel::EventId;

    use super::*;

    fn event(payload: String) -> EventEnvelope {
        EventEnvelope {
            id: EventId::new(),
            name: "order.placed.v1".to_owned(),
            occurred_at: Utc::now(),
            payload: payload.into(),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        }
    }

    #[test]
    fn an_event_arrives_as_it_left() {
        let event = event("ä".to_owned());
        let entry = Outgoing::new(&event).unwrap().entry("1").unwrap();
        let attributes = entry.message_attributes().unwrap();
        assert_eq!(attributes[EVENT].string_value(), Some("order.placed.v1"));
        assert_eq!(attributes[EVENT_ID].string_value(), Some(event.id.to_string().as_str()));
        assert_eq!(attributes[TRACEPARENT].string_value(), event.traceparent.as_deref());
        let message = Message::builder().body(entry.message()).build();
        let read = read(&message).unwrap();
        assert_eq!((read.id, read.name, read.payload), (event.id, event.name, event.payload));
    }

    #[test]
    fn what_is_not_ours_is_not_read() {
        for body in ["", "hello", "{\"Records\":[]}"] {
            assert!(read(&Message::builder().body(body).build()).is_none());
        }
    }

    #[test]
    fn too_much_is_said_before_sns_says_it() {
        assert!(Outgoing::new(&event("x".repeat(LIMIT / 2))).is_ok());
        let error = Outgoing::new(&event("x".repeat(LIMIT))).unwrap_err();
        assert!(error.to_string().contains("SNS takes 262144"), "{error}");
        let event = EventEnvelope { traceparent: None, ..event(String::new()) };
        assert_eq!(Outgoing::new(&event).unwrap().attributes.len(), 2);
    }
}
