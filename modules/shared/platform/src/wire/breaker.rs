//! The circuit breaker of a neighbour: one that does not answer is left alone for a while, so that callers
//! hear at once what they would else wait for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Counts failures of the way there. A fault that a module answers with is an answer.
#[derive(Debug)]
pub(super) struct Breaker {
    neighbour: &'static str,
    /// So many failures in a row open it.
    threshold: u32,
    /// How long it lets nobody through, then one to try.
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Set while it is open: when the next call may try.
    try_at: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(neighbour: &'static str, threshold: u32, pause: Duration) -> Self {
        metrics::gauge!("eshopz_wire_breaker_open", "neighbour" => neighbour).set(0.0);
        Self { neighbour, threshold: threshold.max(1), pause, state: Mutex::default() }
    }

    /// Whether a call may go out. While open, one does in each pause; should it be given up without an
    /// outcome, the next pause has the next.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.try_at {
            None => true,
            Some(at) if at > now => false,
            Some(_) => {
                state.try_at = Some(now + self.pause);
                true
            }
        }
    }

    pub(super) fn succeeded(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.try_at.is_some() {
            tracing::info!(neighbour = self.neighbour, "the neighbour answers again");
            self.show(false);
        }
        *state = State::default();
    }

    pub(super) fn failed(&self, cause: &str, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = state.failures.saturating_add(1);
        if state.failures < self.threshold {
            return;
        }
        if state.try_at.is_none() {
            tracing::warn!(
                neighbour = self.neighbour,
                cause,
                "the neighbour does not answer; calls fail at once for now"
            );
            self.show(true);
        }
        state.try_at = Some(now + self.pause);
    }

    fn show(&self, open: bool) {
        metrics::gauge!("eshopz_wire_breaker_open", "neighbour" => self.neighbour).set(f64::from(u8::from(open)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_a_success() {
        let breaker = Breaker::new("test", 3, Duration::from_millis(500));
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        for _ in 0..5 {
            breaker.failed("x", at(0));
            breaker.failed("x", at(0));
            breaker.succeeded();
        }
        assert!(breaker.admits(at(0)), "never three in a row");
        (0..3).for_each(|_| breaker.failed("x", at(0)));
        assert!(!breaker.admits(at(499)));
        assert!(breaker.admits(at(500)), "one may try");
        assert!(!breaker.admits(at(501)), "and only one");
        breaker.failed("x", at(600));
        assert!(!breaker.admits(at(1_099)));
        assert!(breaker.admits(at(1_100)));
        breaker.succeeded();
        assert!(breaker.admits(at(1_101)) && breaker.admits(at(1_101)));
    }

    #[test]
    fn a_try_that_was_given_up_does_not_keep_it_open_for_ever() {
        let breaker = Breaker::new("test", 1, Duration::from_millis(500));
        let start = Instant::now();
        breaker.failed("x", start);
        assert!(breaker.admits(start + Duration::from_millis(501)));
        assert!(breaker.admits(start + Duration::from_millis(1_002)));
    }
}
