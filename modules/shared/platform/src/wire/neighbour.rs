//! The client of a module that runs in another process.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eshopz_kernel::Fault;
use futures::future::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::attempt::{Attempt, FAIR, Question};
use super::away::NeighbourAway;
use super::breaker::Breaker;
use super::exchange::Failure;
use super::lines::{Line, Lines};
use super::tuning::NeighbourConfig;
use crate::context;

/// Who was waited for in vain for so long is not waited for again by the same request.
const LONG: Duration = Duration::from_secs(2);

/// A module in another process. Clones share connections and breaker.
#[derive(Clone)]
pub struct Neighbour(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) config: NeighbourConfig,
    pub(super) lines: Lines,
    pub(super) breaker: Breaker,
    /// A connection is driven by the runtime that opened it. A worker's ends before relays and jobs do, so
    /// calls run on the one in which the client was made, and all workers share its connections.
    pub(super) runtime: Handle,
}

/// What a call may be done to when it is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It changes nothing and is quick: after half of its time it is asked elsewhere as well.
    Read,
    /// A second time it changes nothing more, but it may need its time: it is asked again once it has failed.
    Repeatable,
    /// It may be asked again only if the first attempt certainly did nothing.
    Write,
}

impl Manner {
    const fn is_harmless(self) -> bool {
        matches!(self, Self::Read | Self::Repeatable)
    }

    /// When a call that has no answer yet is asked elsewhere. Not one that is in a hurry: that would double the
    /// work for answers that are only a little late, just when there is much to do.
    fn half_time(self, deadline: Instant) -> Option<Instant> {
        let half = deadline.saturating_duration_since(Instant::now()) / 2;
        (self == Self::Read && half >= FAIR).then(|| deadline - half)
    }
}

impl fmt::Debug for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Neighbour").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Neighbour {
    /// A client, to be made in the runtime that outlives all calls. Nothing is connected yet.
    ///
    /// # Errors
    /// Internal, when the URL is none or no client can be made.
    pub fn new(mut config: NeighbourConfig) -> Result<Self, Fault> {
        let url =
            reqwest::Url::parse(&config.url).map_err(|error| Fault::internal("neighbour URL").caused_by(error))?;
        config.url = url.as_str().trim_end_matches('/').to_owned();
        let tuning = &config.tuning;
        let lines = Lines::new(tuning.connections, tuning.connect, tuning.connection_life)?;
        let breaker = Breaker::new(config.module, tuning.breaker_failures, tuning.breaker_pause);
        Ok(Self(Arc::new(Inner { config, lines, breaker, runtime: Handle::current() })))
    }

    /// The called module.
    #[must_use]
    pub fn module(&self) -> &'static str {
        self.0.config.module
    }

    /// Calls a method that changes nothing: a failure of the way there is answered by one more attempt, and so
    /// is silence for half of the time.
    ///
    /// # Errors
    /// The module's fault as it left, or 503 `unavailable`.
    pub async fn read<A, R>(&self, method: &str, args: &A) -> Result<R, Fault>
    where
        A: Serialize + ?Sized + Sync,
        R: DeserializeOwned,
    {
        self.call(method, args, Manner::Read, self.0.config.tuning.read).await
    }

    /// The same for one that may take longer, and may change something if nothing more the second time. Its
    /// silence says nothing, so it is asked again only after a failure.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub async fn read_within<A, R>(&self, method: &str, args: &A, patience: Duration) -> Result<R, Fault>
    where
        A: Serialize + ?Sized + Sync,
        R: DeserializeOwned,
    {
        self.call(method, args, Manner::Repeatable, patience).await
    }

    /// Calls a method that changes something: a second attempt is made only if the first certainly did not
    /// arrive.
    ///
    /// # Errors
    /// Those of [`Self::read`]. After a 503 it may or may not have been done.
    pub async fn write<A, R>(&self, method: &str, args: &A) -> Result<R, Fault>
    where
        A: Serialize + ?Sized + Sync,
        R: DeserializeOwned,
    {
        self.call(method, args, Manner::Write, self.0.config.tuning.write).await
    }

    /// The same for one that may take longer.
    ///
    /// # Errors
    /// Those of [`Self::write`].
    pub async fn write_within<A, R>(&self, method: &str, args: &A, patience: Duration) -> Result<R, Fault>
    where
        A: Serialize + ?Sized + Sync,
        R: DeserializeOwned,
    {
        self.call(method, args, Manner::Write, patience).await
    }

    async fn call<A, R>(&self, method: &str, args: &A, manner: Manner, patience: Duration) -> Result<R, Fault>
    where
        A: Serialize + ?Sized + Sync,
        R: DeserializeOwned,
    {
        let started = Instant::now();
        let deadline = context::deadline().map_or(started + patience, |theirs| theirs.min(started + patience));
        let body = serde_json::to_vec(args).map_err(|error| Fault::internal("arguments").caused_by(error))?;
        let body = Bytes::from(body);
        let outcome = self.ask(manner, Question { method, body: &body, deadline }).await?;
        self.measure(method, &outcome, started);
        match outcome {
            Attempt::Answered(result) => Ok(result),
            Attempt::Refused(fault) => Err(fault),
            Attempt::Failed(failure) => {
                // Only now: the second attempt is part of the same wait.
                if failure.is_telling() && started.elapsed() >= LONG {
                    context::note_silent(self.module());
                }
                Err(self.unavailable(method, failure))
            }
        }
    }

    /// One attempt, or two.
    async fn ask<R>(&self, manner: Manner, question: Question<'_>) -> Result<Attempt<R>, Fault>
    where
        R: DeserializeOwned,
    {
        let line = self.0.lines.take()?;
        let mut first = pin!(self.attempt(&line, question));
        let ended = match manner.half_time(question.deadline) {
            Some(half_time) => timeout_at(half_time, first.as_mut()).await.ok(),
            None => Some(first.as_mut().await),
        };
        match ended {
            None => self.ask_elsewhere(first, &line, question).await,
            Some(ended) => match ended? {
                Attempt::Failed(failure) => self.ask_again(failure, manner, &line, question).await,
                answered => Ok(answered),
            },
        }
    }

    /// Asks a second time after a failure, if that is worth it and does no harm.
    async fn ask_again<R>(
        &self,
        failure: Failure,
        manner: Manner,
        line: &Arc<Line>,
        question: Question<'_>,
    ) -> Result<Attempt<R>, Fault>
    where
        R: DeserializeOwned,
    {
        if failure.may_repeat(manner.is_harmless()) && self.pause_before(question.deadline).await {
            return Ok(self.second(line, question).await?.or(failure));
        }
        Ok(Attempt::Failed(failure))
    }

    /// Asks a second time while the first goes on: one whose peer has vanished or hangs is never answered, one
    /// whose peer is only slow may be. Whichever is answered first counts.
    async fn ask_elsewhere<R, F>(
        &self,
        first: Pin<&mut F>,
        line: &Arc<Line>,
        question: Question<'_>,
    ) -> Result<Attempt<R>, Fault>
    where
        R: DeserializeOwned,
        F: Future<Output = Result<Attempt<R>, Fault>>,
    {
        self.0.lines.give_up(line);
        let second = pin!(self.second(line, question));
        match select(first, second).await {
            Either::Left((ended, other)) => answer_of(ended?, other).await,
            Either::Right((ended, other)) => answer_of(ended?, other).await,
        }
    }

    /// Another line may lead to where this one did; the one that took its place is new.
    async fn second<R>(&self, line: &Line, question: Question<'_>) -> Result<Attempt<R>, Fault>
    where
        R: DeserializeOwned,
    {
        let method = question.method.to_owned();
        metrics::counter!("eshopz_wire_retries_total", "neighbour" => self.module(), "method" => method).increment(1);
        self.attempt(&self.0.lines.again(line)?, question).await
    }

    /// Waits a moment, if there is time left after it.
    async fn pause_before(&self, deadline: Instant) -> bool {
        let pause = Duration::from_millis(rand::random_range(20..=50));
        if Instant::now() + pause >= deadline {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }

    fn unavailable(&self, method: &str, failure: Failure) -> Fault {
        let module = self.module();
        let message = format!("The shop's {module} service does not answer just now. Try again in a moment.");
        let (is_absence, cause) = (failure.is_absence(), format!("{method}: {}", failure.cause));
        let fault = Fault::unavailable(message, 1);
        if is_absence { fault.caused_by(NeighbourAway(cause)) } else { fault.caused_by(cause) }
    }

    fn measure<R>(&self, method: &str, outcome: &Attempt<R>, started: Instant) {
        let outcome = match outcome {
            Attempt::Answered(_) => "answered",
            Attempt::Refused(_) => "fault",
            Attempt::Failed(_) => "failed",
        };
        metrics::histogram!(
            "eshopz_wire_call_duration_seconds",
            "neighbour" => self.module(), "method" => method.to_owned(), "outcome" => outcome
        )
        .record(started.elapsed());
    }
}

/// The answer to one of two attempts, one of which has ended.
async fn answer_of<R>(
    ended: Attempt<R>,
    other: impl Future<Output = Result<Attempt<R>, Fault>>,
) -> Result<Attempt<R>, Fault> {
    match ended {
        Attempt::Failed(failure) => Ok(other.await?.or(failure)),
        answered => Ok(answered),
    }
}
