//! One attempt to hand one event to one listener: while its lease lasts, whatever the listener does.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use eshopz_kernel::Fault;
use tokio::time::{Instant, sleep_until};

use super::Transport;
use super::guard::Attempt;
use super::postponed::is_postponed;
use super::rows::Claim;
use crate::wire;

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Delivered,
    Failed(String),
    /// The listener, or who it needs, was away: the event is not at fault.
    Away(String),
    /// The listener wants it again after so long: somebody else is at it.
    Postponed(Duration),
    /// It waited so long for its turn that its lease was about to end; it was not begun.
    TooLate,
}

/// An attempt that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub claim: Claim,
    pub outcome: Outcome,
}

/// Delivers, and gives up before the lease ends, so that no other relay begins while this one is at it.
/// `limit` is what a listener has, however often its lease is moved on.
#[eshopz_crash::crash_points]
pub(super) async fn attempt(
    transport: Arc<dyn Transport>,
    module: &'static str,
    claim: Claim,
    limit: Duration,
    max_attempts: i32,
) -> Ended {
    let outcome = if claim.attempts > max_attempts {
        Outcome::Failed("every attempt ended without a result: the process stopped or hung during it".to_owned())
    } else if claim.lease.is_stale() {
        Outcome::TooLate
    } else {
        timed(&*transport, module, &claim, limit).await
    };
    Ended { claim, outcome }
}

#[eshopz_crash::crash_points]
async fn timed(transport: &dyn Transport, module: &'static str, claim: &Claim, limit: Duration) -> Outcome {
    let began = Instant::now();
    let deadline = began + limit;
    let outcome = tokio::select! {
        biased;
        delivered = guarded(transport, claim, deadline) => match delivered {
            Ok(()) => Outcome::Delivered,
            Err(fault) if wire::is_away(&fault) => Outcome::Away(fault.to_string()),
            Err(fault) => match is_postponed(&fault) {
                Some(pause) => Outcome::Postponed(pause),
                None => Outcome::Failed(fault.to_string()),
            },
        },
        () = sleep_until(deadline) => Outcome::Failed("the listener was not done in its time".to_owned()),
        () = claim.lease.lost() => Outcome::Failed("the lease could not be renewed".to_owned()),
    };
    metrics::histogram!(
        "eshopz_event_handler_duration_seconds",
        "module" => module, "event" => claim.event.name.clone(), "listener" => claim.listener.clone()
    )
    .record(began.elapsed());
    if matches!(outcome, Outcome::Delivered) {
        tell_lag(module, claim);
    }
    outcome
}

/// From the transaction that published the event to the end of what the listener did about it.
fn tell_lag(module: &'static str, claim: &Claim) {
    let lag = Utc::now().signed_duration_since(claim.event.occurred_at);
    // The two clocks may differ a little.
    let lag = lag.to_std().unwrap_or_default();
    metrics::histogram!("eshopz_events_lag_seconds", "module" => module, "listener" => claim.listener.clone())
        .record(lag);
}

/// The delivery in the context of the request that caused the event; a panic in it is a fault.
#[eshopz_crash::crash_points]
async fn guarded(transport: &dyn Transport, claim: &Claim, deadline: Instant) -> Result<(), Fault> {
    let (event, listener) = (&claim.event, claim.listener.as_str());
    let number = u32::try_from(claim.attempts).unwrap_or_default();
    Attempt { event, listener, number, deadline }.guard(transport.deliver(listener, event)).await
}
