//! A question to Stripe, asked again while that can help and the caller's patience lasts.
//!
//! Every POST has an idempotency key, so that asking again is safe. What is told in the end keeps apart
//! what certainly was not done from what may have been: one try without an answer is enough for doubt, and
//! only an answer about the key itself removes it.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rand::RngExt as _;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use uuid::Uuid;

use super::objects::{ErrorBody, ErrorObject};
use super::transport::{Broken, Message, Reply, Transport};
use crate::gateway::GatewayError;

/// The pause after the first try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// For a piece of a list, which no payer waits for: whoever asks gives up before that if he has to.
const FOR_A_LIST: Duration = Duration::from_secs(60);

/// Stripe with its key.
pub(super) struct Client {
    transport: Transport,
    secret_key: RwLock<String>,
    /// For a whole question, its repetitions included.
    patience: Duration,
}

/// Stripe did not do it, or we do not know.
#[derive(Debug)]
pub(super) enum CallError {
    /// Stripe's no.
    Refused { status: u16, error: Box<ErrorObject> },
    /// It certainly was not done.
    Undone(String),
    /// It may have been done.
    Unknown(String),
}

impl From<CallError> for GatewayError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Undone(detail) => Self::Unavailable(detail),
            CallError::Unknown(detail) => Self::Timeout(detail),
            CallError::Refused { error, .. } => Self::Rejected { code: error.reason(), message: error.message() },
        }
    }
}

/// What to make of one try.
enum Verdict {
    Done(Reply),
    Refused(u16, Box<ErrorObject>),
    /// It can be asked again after a pause.
    Again {
        detail: String,
        may_be_done: bool,
        pause: Option<Duration>,
    },
    /// Asking again would not help.
    Hopeless {
        detail: String,
        may_be_done: bool,
    },
}

impl Client {
    pub(super) fn new(transport: Transport, secret_key: String, patience: Duration) -> Self {
        Self { transport, secret_key: RwLock::new(secret_key), patience }
    }

    /// Calls that begin from now on are made with this key.
    pub(super) fn replace_key(&self, secret_key: &str) {
        secret_key.clone_into(&mut self.secret_key.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Looks something up.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, CallError> {
        self.call(&with_query(path, query)?, None, None, self.patience).await
    }

    /// Reads a piece of a list, which can take long where there is much.
    pub(super) async fn list<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, CallError> {
        self.call(&with_query(path, query)?, None, None, FOR_A_LIST).await
    }

    /// Has something done, once for each key.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &[(&str, String)],
        key: Uuid,
    ) -> Result<T, CallError> {
        self.call(path, Some(&encoded(form)?), Some(key), self.patience).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        form: Option<&str>,
        idempotency_key: Option<Uuid>,
        patience: Duration,
    ) -> Result<T, CallError> {
        let secret_key = self.secret_key.read().unwrap_or_else(PoisonError::into_inner).clone();
        let message = Message { path, form, idempotency_key, secret_key: &secret_key };
        let deadline = Instant::now() + patience;
        let mut in_doubt = false;
        let mut tries = 0;
        loop {
            let tried = self.transport.exchange(message, deadline.duration_since(Instant::now())).await;
            let (detail, may_be_done, pause) = match judge(tried) {
                Verdict::Done(reply) => return read(&reply),
                Verdict::Refused(status, error) => return Err(CallError::Refused { status, error }),
                Verdict::Hopeless { detail, may_be_done } => return Err(ended(detail, in_doubt || may_be_done)),
                Verdict::Again { detail, may_be_done, pause } => (detail, may_be_done, pause),
            };
            in_doubt |= may_be_done;
            let pause = pause.unwrap_or_default().max(backoff(tries));
            if Instant::now() + pause >= deadline {
                return Err(ended(detail, in_doubt));
            }
            tracing::debug!(path, detail, tries, "asking Stripe again");
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }
}

const fn ended(detail: String, in_doubt: bool) -> CallError {
    if in_doubt { CallError::Unknown(detail) } else { CallError::Undone(detail) }
}

fn with_query(path: &str, query: &[(&str, String)]) -> Result<String, CallError> {
    Ok(if query.is_empty() { path.to_owned() } else { format!("{path}?{}", encoded(query)?) })
}

fn encoded(fields: &[(&str, String)]) -> Result<String, CallError> {
    serde_html_form::to_string(fields).map_err(|error| CallError::Undone(error.to_string()))
}

/// An answer that says "done" and cannot be read was done all the same.
fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, CallError> {
    serde_json::from_slice(&reply.body).map_err(|error| CallError::Unknown(format!("an unreadable answer: {error}")))
}

fn judge(tried: Result<Reply, Broken>) -> Verdict {
    let reply = match tried {
        Ok(reply) => reply,
        Err(Broken::Unsent(detail)) => return Verdict::Again { detail, may_be_done: false, pause: None },
        Err(Broken::Unanswered(detail)) => return Verdict::Again { detail, may_be_done: true, pause: None },
    };
    if (200..300).contains(&reply.status) {
        return Verdict::Done(reply);
    }
    let told = serde_json::from_slice::<ErrorBody>(&reply.body).ok().map(|body| body.error);
    let detail = told.as_ref().map_or_else(
        || format!("HTTP {}", reply.status),
        |error| format!("HTTP {}: {}: {}", reply.status, error.reason(), error.message()),
    );
    match (reply.status, told) {
        (401 | 403, _) => {
            tracing::error!(detail, "Stripe does not accept our key");
            Verdict::Hopeless { detail, may_be_done: false }
        }
        // Other words under a key that has been used: whatever was done under it, this is not its answer.
        (_, Some(error)) if error.kind == "idempotency_error" && reply.status != 409 => {
            tracing::error!(detail, "Stripe knows this idempotency key with another request");
            Verdict::Hopeless { detail, may_be_done: true }
        }
        // The same request may be under way, from before.
        (409 | 500.., _) => again(&reply, detail, true),
        (429, _) => again(&reply, detail, false),
        (status, Some(error)) => Verdict::Refused(status, Box::new(error)),
        // It does not come from Stripe, but from something on the way to it.
        (_, None) => Verdict::Hopeless { detail, may_be_done: true },
    }
}

fn again(reply: &Reply, detail: String, may_be_done: bool) -> Verdict {
    if reply.should_retry == Some(false) {
        return Verdict::Hopeless { detail, may_be_done };
    }
    Verdict::Again { detail, may_be_done, pause: reply.retry_after }
}

/// The pause after so many tries, between half and the whole of it, so that not all come back together.
fn backoff(tries: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << tries.min(8)).min(LONGEST_PAUSE);
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}
