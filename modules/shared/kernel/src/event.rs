//! What a module tells the ones above it: something that has happened.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{EventId, Fault};

/// The payload of an event. Fields are only ever added; a change of meaning is a new version.
pub trait Event: Serialize + DeserializeOwned + Send + Sync {
    /// The name on the wire, `<module>.<what happened>.v<version>`, such as `order.placed.v1`.
    const NAME: &'static str;
}

/// An event as it travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventEnvelope {
    pub id: EventId,
    pub name: String,
    pub occurred_at: DateTime<Utc>,
    pub payload: serde_json::Value,
    /// W3C `traceparent` of the request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl EventEnvelope {
    /// The payload as the event that its name says.
    ///
    /// # Errors
    /// An internal fault when the payload does not fit: the event then goes to the dead letters.
    pub fn decode<E: Event>(&self) -> Result<E, Fault> {
        E::deserialize(&self.payload)
            .map_err(|error| Fault::internal(format!("event {} has an unreadable payload", self.name)).caused_by(error))
    }
}
