//! One attempt to hand one event to one listener: within its lease, whatever the listener does.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use eshopz_kernel::Fault;
use futures::FutureExt as _;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::Transport;
use super::rows::Claim;
use crate::context::RequestContext;

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Delivered,
    Failed(String),
    /// It waited so long for its turn that its lease would not have sufficed; it was not begun.
    TooLate,
}

/// An attempt that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub claim: Claim,
    pub outcome: Outcome,
}

/// Delivers, and gives up before the lease ends, so that no other relay begins while this one is at it.
pub(super) async fn attempt(
    transport: Arc<dyn Transport>,
    module: &'static str,
    claim: Claim,
    lease: Duration,
    max_attempts: i32,
) -> Ended {
    let outcome = if claim.attempts > max_attempts {
        Outcome::Failed("every attempt ended without a result: the process stopped or hung during it".to_owned())
    } else if claim.claimed_at.elapsed() > lease / 2 {
        Outcome::TooLate
    } else {
        timed(&*transport, module, &claim, claim.claimed_at + lease * 9 / 10).await
    };
    Ended { claim, outcome }
}

async fn timed(transport: &dyn Transport, module: &'static str, claim: &Claim, deadline: Instant) -> Outcome {
    let began = Instant::now();
    let outcome = match timeout_at(deadline, guarded(transport, claim, deadline)).await {
        Ok(Ok(())) => Outcome::Delivered,
        Ok(Err(fault)) => Outcome::Failed(fault.to_string()),
        Err(_) => Outcome::Failed("the listener was not done before the lease ended".to_owned()),
    };
    metrics::histogram!(
        "eshopz_event_handler_duration_seconds",
        "module" => module, "event" => claim.event.name.clone(), "listener" => claim.listener.clone()
    )
    .record(began.elapsed());
    outcome
}

/// The delivery in the context of the request that caused the event; a panic in it is a fault.
async fn guarded(transport: &dyn Transport, claim: &Claim, deadline: Instant) -> Result<(), Fault> {
    let event = &claim.event;
    let context = RequestContext {
        request_id: event.id.to_string(),
        traceparent: event.traceparent.clone(),
        deadline: Some(deadline),
    };
    let span = tracing::info_span!(
        "deliver", event = %event.name, event_id = %event.id, listener = %claim.listener, attempt = claim.attempts
    );
    let delivery = context.scope(transport.deliver(&claim.listener, event)).instrument(span);
    match AssertUnwindSafe(delivery).catch_unwind().await {
        Ok(result) => result,
        Err(_) => Err(Fault::internal("the listener panicked")),
    }
}
