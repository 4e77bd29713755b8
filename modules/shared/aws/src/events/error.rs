//! How it fails, and what to do about it.

use std::error::Error;

use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use eshopz_kernel::{Fault, error_chain};
use thiserror::Error;

/// Seconds after which another attempt is worth it.
const RETRY_AFTER: u32 = 5;

/// A failure around topics and queues.
#[derive(Clone, Debug, Error)]
pub enum EventsError {
    /// A topic or queue that the shop needs.
    #[error("there is no {kind} `{name}`: run `eshopz events setup`, or let the infrastructure create it")]
    Missing { kind: &'static str, name: String },
    /// Events would be lost, because a queue would not get them.
    #[error(
        "queue `{queue}` does not get {events} of topic `{topic}`: run `eshopz events setup`, \
         or let the infrastructure create the subscription"
    )]
    NotSubscribed { topic: String, queue: String, events: String },
    /// A mistake in the program.
    #[error("no module publishes `{0}`")]
    NobodyPublishes(String),
    #[error("event of {bytes} bytes: SNS takes {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("an event that is no JSON: {0}")]
    Unwritable(String),
    /// AWS said no, or nothing.
    #[error("{doing}: {detail}")]
    Aws { doing: String, detail: String },
}

impl EventsError {
    /// AWS' answer to an attempt at something.
    pub(super) fn aws<E, R>(doing: impl Into<String>, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug,
    {
        Self::Aws { doing: doing.into(), detail: detail(error) }
    }
}

impl From<EventsError> for Fault {
    fn from(error: EventsError) -> Self {
        let kept = error.clone();
        match error {
            EventsError::Missing { .. } | EventsError::NotSubscribed { .. } | EventsError::Aws { .. } => {
                Self::unavailable("The message service does not take events now.", RETRY_AFTER).caused_by(kept)
            }
            EventsError::NobodyPublishes(_) | EventsError::TooLarge { .. } | EventsError::Unwritable(_) => {
                Self::internal("an event cannot be published").caused_by(kept)
            }
        }
    }
}

/// What AWS answered, or the chain of causes if there is no answer.
fn detail<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug,
{
    if let Some(answer) = error.as_service_error() {
        let code = answer.code().unwrap_or("error without a code");
        return format!("{code}: {}", answer.message().unwrap_or("without a message"));
    }
    error_chain(error)
}
