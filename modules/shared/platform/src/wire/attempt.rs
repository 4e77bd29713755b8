//! One attempt at a call, and what is learnt from it about the neighbour.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eshopz_kernel::{Fault, FaultKind};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::exchange::{Failure, FailureKind, Received, exchange};
use super::lines::Line;
use super::neighbour::Neighbour;
use super::protocol::{ARGUMENTS_UNREADABLE, DEADLINE, PREFIX, to_announce};
use super::tuning::NeighbourConfig;
use crate::context;
use crate::trace::Calling;

/// A call that was given less time than this tells nothing about the neighbour when it runs out.
pub(super) const FAIR: Duration = Duration::from_secs(1);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub method: &'a str,
    pub body: &'a Bytes,
    pub deadline: Instant,
}

/// How a call, or an attempt, ended.
pub(super) enum Attempt<R> {
    Answered(R),
    /// By the module.
    Refused(Fault),
    /// On the way.
    Failed(Failure),
}

impl<R> Attempt<R> {
    /// What came of two attempts, the other of which has failed.
    pub(super) fn or(self, failure: Failure) -> Self {
        match self {
            Self::Failed(own) => Self::Failed(own.graver(failure)),
            answered => answered,
        }
    }
}

impl Neighbour {
    /// One attempt, and what it tells about the neighbour.
    pub(super) async fn attempt<R>(&self, line: &Arc<Line>, question: Question<'_>) -> Result<Attempt<R>, Fault>
    where
        R: DeserializeOwned,
    {
        let now = Instant::now();
        let left = question.deadline.saturating_duration_since(now);
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
        let mut traceparent = context::current_traceparent();
        let calling = traceparent.as_deref().and_then(Calling::from).map(|(calling, told)| {
            traceparent = Some(told);
            calling
        });
        let request = self.request(line, question, left, traceparent)?;
        let received = exchange(&self.0.runtime, line.client.clone(), request, question.deadline).await;
        if let Some(calling) = calling {
            context::note_step(|| calling.ended(self.module(), question.method, received.is_err()));
        }
        if received.as_ref().is_ok_and(|received| received.leaving) {
            self.0.lines.leave(line);
        }
        match received.and_then(Received::read) {
            Ok(answer) => {
                self.0.breaker.succeeded();
                Ok(answer.map_or_else(|fault| Attempt::Refused(self.foreign(fault)), Attempt::Answered))
            }
            Err(failure) => {
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

    fn request(
        &self,
        line: &Line,
        question: Question<'_>,
        left: Duration,
        traceparent: Option<String>,
    ) -> Result<reqwest::Request, Fault> {
        let NeighbourConfig { module, caller, url, keys, .. } = &self.0.config;
        let mut request = line
            .client
            .post(format!("{url}{PREFIX}/{module}/{}", question.method))
            .header(AUTHORIZATION, format!("Bearer {}", keys.token(caller, module)?))
            .header(CONTENT_TYPE, "application/json")
            .header(DEADLINE.as_str(), to_announce(left).to_string())
            .body(question.body.clone());
        let request_id = context::current_request_id();
        if !request_id.is_empty() {
            request = request.header("x-request-id", request_id);
        }
        if let Some(traceparent) = traceparent {
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
}
