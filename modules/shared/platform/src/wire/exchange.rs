//! One request and its response, and what can be told from a failure.

use bytes::Bytes;
use eshopz_kernel::{Fault, error_chain};
use reqwest::{Client, Request};
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::protocol::{FAULT, LEAVING, NOT_TAKEN};

/// How an attempt went wrong, if it was not the module that said so.
#[derive(Debug)]
pub(super) struct Failure {
    pub kind: FailureKind,
    /// For the log.
    pub cause: String,
}

/// What went wrong, as far as it matters to what is done about it; what tells more of the neighbour comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FailureKind {
    /// Nothing was sent.
    NotAsked,
    /// There was no connection to send it over.
    NotConnected,
    /// The peer is about to stop and refused it before anything was done.
    Leaving,
    /// The peer does not take our service token.
    NotTrusted,
    /// Nothing came back: not the answer in time, or not even a sign that the peer is still there.
    TimedOut,
    /// It broke off, or what came back is not the module's.
    Broken,
}

/// An answer of whoever was at the other end, read whole.
#[derive(Debug)]
pub(super) struct Received {
    status: u16,
    is_fault: bool,
    /// The peer is about to stop.
    pub leaving: bool,
    not_taken: bool,
    body: Bytes,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into() }
    }

    /// Whether the same call may go out once more. One that changes something may only if the first has
    /// certainly done nothing. HTTP/2's own refusals (`REFUSED_STREAM`, a `GOAWAY` before the stream) are not
    /// seen here: the client has repeated those by itself.
    pub(super) const fn may_repeat(&self, harmless: bool) -> bool {
        match self.kind {
            FailureKind::NotConnected | FailureKind::Leaving => true,
            FailureKind::TimedOut | FailureKind::Broken => harmless,
            FailureKind::NotAsked | FailureKind::NotTrusted => false,
        }
    }

    /// Whether it says that the neighbour is not well.
    pub(super) const fn is_telling(&self) -> bool {
        match self.kind {
            FailureKind::NotConnected | FailureKind::TimedOut | FailureKind::Broken => true,
            FailureKind::NotAsked | FailureKind::Leaving | FailureKind::NotTrusted => false,
        }
    }

    /// Whether the neighbour was away, whatever it was asked.
    pub(super) const fn is_absence(&self) -> bool {
        match self.kind {
            FailureKind::NotAsked
            | FailureKind::NotConnected
            | FailureKind::Leaving
            | FailureKind::NotTrusted
            | FailureKind::TimedOut => true,
            FailureKind::Broken => false,
        }
    }

    /// Of the failures of two attempts, the one that tells more.
    pub(super) fn graver(self, other: Self) -> Self {
        if self.kind >= other.kind { self } else { other }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let kind = match (error.is_connect(), error.is_timeout()) {
            (true, _) => FailureKind::NotConnected,
            // The connection was given up because its peer did not answer a ping.
            (false, true) => FailureKind::TimedOut,
            (false, false) => FailureKind::Broken,
        };
        Self { kind, cause: error_chain(&error.without_url()) }
    }
}

impl Received {
    /// The result, or the module's fault; a failure when the answer is not one of the module.
    pub(super) fn read<R: DeserializeOwned>(self) -> Result<Result<R, Fault>, Failure> {
        let Self { status, is_fault, not_taken, body, .. } = self;
        if not_taken {
            return Err(Failure::new(FailureKind::Leaving, "it is about to stop"));
        }
        let broken = |cause| Failure::new(FailureKind::Broken, format!("status {status}, {cause}"));
        let unreadable = |error| broken(format!("unreadable: {error}"));
        if is_fault {
            return serde_json::from_slice(&body).map(Err).map_err(unreadable);
        }
        match status {
            200 => {}
            401 => return Err(Failure::new(FailureKind::NotTrusted, "our service token was refused")),
            _ => return Err(broken("not by the module".to_owned())),
        }
        serde_json::from_slice(&body).map(Ok).map_err(unreadable)
    }
}

/// Sends and reads whole, on the runtime of the connections. It ends with the future that waits for it, as a
/// call in process does: nobody would hear the outcome. What the other side has begun it finishes.
pub(super) async fn exchange(
    runtime: &Handle,
    client: Client,
    request: Request,
    deadline: Instant,
) -> Result<Received, Failure> {
    let mut task = JoinSet::new();
    task.spawn_on(timeout_at(deadline, send(client, request)), runtime);
    match task.join_next().await {
        Some(Ok(Ok(received))) => Ok(received?),
        Some(Ok(Err(_))) => Err(Failure::new(FailureKind::TimedOut, "no answer in time")),
        Some(Err(_)) | None => Err(Failure::new(FailureKind::NotAsked, "this process stops")),
    }
}

async fn send(client: Client, request: Request) -> Result<Received, reqwest::Error> {
    let response = client.execute(request).await?;
    let headers = response.headers();
    let leaving = headers.get(LEAVING.as_str());
    let received = Received {
        status: response.status().as_u16(),
        is_fault: headers.contains_key(FAULT.as_str()),
        leaving: leaving.is_some(),
        not_taken: leaving.is_some_and(|value| value == NOT_TAKEN),
        body: Bytes::new(),
    };
    Ok(Received { body: response.bytes().await?, ..received })
}
