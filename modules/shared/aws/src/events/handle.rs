//! One message: to every listener of the module that takes its event, and then away with it.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::Message;
use eshopz_kernel::{EventEnvelope, Fault};
use eshopz_platform::events::{Attempt, Listener, is_postponed};
use futures::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::consumer::{ConsumerConfig, whole_seconds};
use super::message;

/// What is done with messages, and by whom.
pub(super) struct Work {
    pub sqs: Client,
    pub module: &'static str,
    pub listeners: Vec<Arc<dyn Listener>>,
    pub config: ConsumerConfig,
}

/// How an attempt at a message ended, as the metric calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Delivered,
    Failed,
    /// A listener wants it again after so long, since somebody else is at work on it.
    PutOff(Duration),
    /// It is no event.
    Unreadable,
    /// No listener here takes it. One of another version may: during a release two are at work.
    Unknown,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::PutOff(_) => "postponed",
            Self::Unreadable => "unreadable",
            Self::Unknown => "unknown",
        }
    }
}

impl Work {
    /// Takes a message in and deletes it; one that could not be taken in comes again later.
    pub(super) async fn handle(self: Arc<Self>, url: String, message: Message, received: Instant) {
        let attempt = message::receives(&message);
        let outcome = match message::read(&message) {
            Some(event) => self.deliver(&event, attempt, received + self.config.visibility * 9 / 10).await,
            None => {
                let id = message.message_id();
                tracing::warn!(module = self.module, id, attempt, "a message that is no event");
                Outcome::Unreadable
            }
        };
        metrics::counter!("eshopz_sqs_messages_total", "module" => self.module, "outcome" => outcome.name())
            .increment(1);
        let Some(receipt) = message.receipt_handle() else { return };
        match outcome {
            Outcome::Delivered => self.delete(&url, receipt).await,
            Outcome::PutOff(pause) => self.put_off(&url, receipt, pause).await,
            Outcome::Failed | Outcome::Unreadable | Outcome::Unknown => {
                self.put_off(&url, receipt, self.pause_after(attempt)).await;
            }
        }
    }

    /// All listeners at once; each has the chance that the others fail or succeed without it.
    async fn deliver(&self, event: &EventEnvelope, attempt: u32, deadline: Instant) -> Outcome {
        let takes = |listener: &&Arc<dyn Listener>| listener.events().contains(&event.name.as_str());
        let listeners: Vec<_> = self.listeners.iter().filter(takes).collect();
        if listeners.is_empty() {
            tracing::warn!(module = self.module, event = %event.name, event_id = %event.id, attempt, "nobody takes it");
            return Outcome::Unknown;
        }
        let attempts = listeners.iter().map(|listener| self.attempt(listener, event, attempt, deadline));
        // What has failed comes again sooner or later than what was put off; its pause counts.
        join_all(attempts).await.into_iter().fold(Outcome::Delivered, |all, one| match (all, one) {
            (Outcome::Delivered, one) => one,
            (Outcome::PutOff(_), Outcome::Failed) => Outcome::Failed,
            (all, _) => all,
        })
    }

    /// How it went with one listener.
    async fn attempt(
        &self,
        listener: &Arc<dyn Listener>,
        event: &EventEnvelope,
        attempt: u32,
        deadline: Instant,
    ) -> Outcome {
        let began = Instant::now();
        let (module, name) = (self.module, listener.name());
        let outcome = match timeout_at(deadline, guarded(listener, event, attempt, deadline)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::internal("the listener was not done before the message came back")),
        };
        metrics::histogram!(
            "eshopz_sqs_handling_duration_seconds",
            "module" => module, "event" => event.name.clone(), "listener" => name
        )
        .record(began.elapsed());
        let Err(error) = outcome else { return Outcome::Delivered };
        let (event_id, event) = (event.id, &event.name);
        if let Some(pause) = is_postponed(&error).filter(|_| attempt < self.config.max_receives) {
            return Outcome::PutOff(pause);
        }
        if attempt < self.config.max_receives {
            tracing::warn!(module, %event, %event_id, listener = name, attempt, %error, "delivery failed");
        } else {
            tracing::error!(
                module, %event, %event_id, listener = name, attempt, %error,
                "delivery failed for good: dead letter of the queue"
            );
        }
        Outcome::Failed
    }

    /// If that fails, the message comes once more, to inboxes that know it.
    async fn delete(&self, url: &str, receipt: &str) {
        if let Err(error) = self.sqs.delete_message().queue_url(url).receipt_handle(receipt).send().await {
            let error = super::EventsError::aws("deleting a message", &error);
            tracing::warn!(module = self.module, %error, "the message comes again");
        }
    }

    /// If that fails, the message comes again when its time is over.
    async fn put_off(&self, url: &str, receipt: &str, pause: Duration) {
        let change = self.sqs.change_message_visibility().queue_url(url).receipt_handle(receipt);
        if let Err(error) = change.visibility_timeout(whole_seconds(pause)).send().await {
            let error = super::EventsError::aws("putting a message off", &error);
            tracing::warn!(module = self.module, %error, "the message comes again sooner or later than meant");
        }
    }

    /// Exponential, and spread, so that what failed together does not come back together. None after
    /// the last attempt: the queue then moves the message away when somebody next looks.
    fn pause_after(&self, attempt: u32) -> Duration {
        if attempt >= self.config.max_receives {
            return Duration::ZERO;
        }
        let cap = self.config.retry_cap;
        let growth = 3_u32.saturating_pow(attempt.saturating_sub(1));
        self.config.retry_base.saturating_mul(growth).min(cap).mul_f64(rand::random_range(0.5..1.0))
    }
}

/// In the context of the request that caused the event; a panic is a fault.
async fn guarded(
    listener: &Arc<dyn Listener>,
    event: &EventEnvelope,
    attempt: u32,
    deadline: Instant,
) -> Result<(), Fault> {
    let name = listener.name();
    Attempt { event, listener: name, number: attempt, deadline }.guard(listener.handle(event)).await
}
