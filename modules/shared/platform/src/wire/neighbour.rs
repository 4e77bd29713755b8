//! The client of a module that runs in another process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eshopz_kernel::{Fault, FaultKind};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::breaker::Breaker;
use super::exchange::{Failure, FailureKind, Received, exchange};
use super::lines::{Line, Lines};
use super::protocol::{ARGUMENTS_UNREADABLE, DEADLINE, PREFIX, to_announce};
use super::tuning::NeighbourConfig;
use crate::context;

/// A call that was given less time than this tells nothing about the neighbour when it runs out.
const FAIR: Duration = Duration::from_secs(1);

/// Who was waited for in vain for so long is not waited for again by the same request.
const LONG: Duration = Duration::from_secs(2);

/// A module in another process. Clones share connections and breaker.
#[derive(Clone)]
pub struct Neighbour(Arc<Inner>);

struct Inner {
    config: NeighbourConfig,
    lines: Lines,
    breaker: Breaker,
    /// A connection is driven by the runtime that opened it. A worker's ends before relays and jobs do, so
    /// calls run on the one in which the client was made, and all workers share its connections.
    runtime: Handle,
}

/// How a call, or an attempt, ended.
enum Attempt<R> {
    Answered(R),
    /// By the module.
    Refused(Fault),
    /// On the way.
    Failed(Failure),
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

    /// Calls a method that changes nothing, or nothing more a second time: a failure of the way there is
    /// answered by one more attempt.
    ///
    /// # Errors
    /// The module's fault as it left, or 503 `unavailable`.
    pub async fn read<A, R>(&self, method: &str, args: &A) -> Result<R, Fault>
    where
        A: Serialize + ?Sized + Sync,
        R: DeserializeOwned,
    {
        self.call(method, args, true, self.0.config.tuning.read).await
    }

    /// The same for one that may take longer.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub async fn read_within<A, R>(&self, method: &str, args: &A, patience: Duration) -> Result<R, Fault>
    where
        A: Serialize + ?Sized + Sync,
        R: DeserializeOwned,
    {
        self.call(method, args, true, patience).await
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
        self.call(method, args, false, self.0.config.tuning.write).await
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
        self.call(method, args, false, patience).await
    }

    async fn call<A, R>(&self, method: &str, args: &A, harmless: bool, patience: Duration) -> Result<R, Fault>
    where
        A: Serialize + ?Sized + Sync,
        R: DeserializeOwned,
    {
        let started = Instant::now();
        let deadline = context::deadline().map_or(started + patience, |theirs| theirs.min(started + patience));
        let body = serde_json::to_vec(args).map_err(|error| Fault::internal("arguments").caused_by(error))?;
        let body = Bytes::from(body);
        let line = self.0.lines.take()?;
        let mut outcome = self.attempt(&line, method, &body, deadline).await?;
        if let Attempt::Failed(failure) = &outcome
            && failure.may_repeat(harmless)
            && self.pause_before(deadline).await
        {
            metrics::counter!("eshopz_wire_retries_total", "neighbour" => self.module(), "method" => method.to_owned())
                .increment(1);
            // Another line may lead to where this one did; the one that took its place is new.
            outcome = self.attempt(&self.0.lines.again(&line)?, method, &body, deadline).await?;
        }
        self.measure(method, &outcome, started);
        match outcome {
            Attempt::Answered(result) => Ok(result),
            Attempt::Refused(fault) => Err(fault),
            Attempt::Failed(failure) => Err(self.unavailable().caused_by(format!("{method}: {}", failure.cause))),
        }
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

    /// One attempt, and what it tells about the neighbour.
    async fn attempt<R>(
        &self,
        line: &Arc<Line>,
        method: &str,
        body: &Bytes,
        deadline: Instant,
    ) -> Result<Attempt<R>, Fault>
    where
        R: DeserializeOwned,
    {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        let not_asked = |cause| Ok(Attempt::Failed(Failure::new(FailureKind::NotAsked, cause)));
        if left.is_zero() {
            return not_asked("no time was left");
        }
        if context::is_silent(self.module()) {
            return not_asked("this request has waited for it before");
        }
        if !self.0.breaker.admits(now) {
            return not_asked("it did not answer of late and is left alone for a moment");
        }
        let request = self.request(line, method, body.clone(), left)?;
        let received = exchange(&self.0.runtime, line.client.clone(), request, deadline).await;
        if received.as_ref().is_ok_and(|received| received.leaving) {
            self.0.lines.leave(line);
        }
        match received.and_then(Received::read) {
            Ok(answer) => {
                self.0.breaker.succeeded();
                Ok(answer.map_or_else(|fault| Attempt::Refused(self.foreign(fault)), Attempt::Answered))
            }
            Err(failure) => {
                // A connection whose peer does not answer for long is broken off before a patient call's time is up.
                if failure.is_telling() && now.elapsed() >= LONG {
                    context::note_silent(self.module());
                }
                self.learn(&failure, left, line);
                Ok(Attempt::Failed(failure))
            }
        }
    }

    fn learn(&self, failure: &Failure, left: Duration, line: &Arc<Line>) {
        // A time that was short from the beginning tells nothing.
        if failure.kind == FailureKind::TimedOut && left < FAIR {
            return;
        }
        self.0.lines.give_up(line);
        if failure.is_telling() {
            self.0.breaker.failed(&failure.cause, Instant::now());
        }
        if failure.kind == FailureKind::NotTrusted {
            tracing::error!(
                neighbour = self.module(),
                "the neighbour refuses our service token: do the processes share ESHOPZ_SECRET_KEY or one database, \
                 and is its URL right?"
            );
        }
    }

    fn request(&self, line: &Line, method: &str, body: Bytes, left: Duration) -> Result<reqwest::Request, Fault> {
        let NeighbourConfig { module, caller, url, keys, .. } = &self.0.config;
        let mut request = line
            .client
            .post(format!("{url}{PREFIX}/{module}/{method}"))
            .header(AUTHORIZATION, format!("Bearer {}", keys.token(caller, module)?))
            .header(CONTENT_TYPE, "application/json")
            .header(DEADLINE.as_str(), to_announce(left).to_string())
            .body(body);
        let request_id = context::current_request_id();
        if !request_id.is_empty() {
            request = request.header("x-request-id", request_id);
        }
        if let Some(traceparent) = context::current_traceparent() {
            request = request.header("traceparent", traceparent);
        }
        request.build().map_err(|error| Fault::internal("request to a neighbour").caused_by(error))
    }

    /// The module's fault as it left. The cause stayed where it arose and is logged there, under the same
    /// request id.
    fn foreign(&self, fault: Fault) -> Fault {
        if fault.code == ARGUMENTS_UNREADABLE {
            return Fault::internal("arguments of a call").caused_by(format!("the {} service", self.module()));
        }
        match fault.kind {
            FaultKind::Internal | FaultKind::Unavailable => fault.caused_by(format!("the {} service", self.module())),
            _ => fault,
        }
    }

    fn unavailable(&self) -> Fault {
        let module = self.module();
        Fault::unavailable(format!("The shop's {module} service does not answer just now. Try again in a moment."), 1)
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
