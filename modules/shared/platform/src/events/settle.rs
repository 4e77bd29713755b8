//! Writing down how attempts ended: done, to be tried again, dead, or never begun.

use std::time::Duration;

use chrono::Utc;

use super::config::RelayConfig;
use super::deliver::Outcome;
use super::held;
use super::relay::Relay;
use super::rows::{self, Claim, Failure, FailureKind};
use crate::db::StoreError;

/// What is kept of a failure's text.
const ERROR_LENGTH: usize = 2_000;
/// An event whose listener has been away for so long counts its attempts like any other, so that it comes to an
/// end: whoever looks at the dead letters hears that the listener is gone.
const AWAY_AT_MOST: Duration = Duration::from_secs(24 * 3_600);

#[eshopz_crash::crash_points]
impl Relay {
    /// Writes down how attempts ended; on an error they are kept for the next time.
    pub(super) async fn settle(&mut self) -> Result<(), StoreError> {
        if self.ended.is_empty() {
            return Ok(());
        }
        let (mut delivered, mut failures, mut late) = (Vec::new(), Vec::new(), Vec::new());
        for ended in &self.ended {
            match &ended.outcome {
                Outcome::Delivered => delivered.push(ended.claim.clone()),
                Outcome::Failed(error) => failures.push(self.failure(ended.claim.clone(), error)),
                Outcome::Away(error) => failures.push(self.absence(ended.claim.clone(), error)),
                Outcome::Postponed(pause) => failures.push(postponement(ended.claim.clone(), *pause)),
                Outcome::TooLate => late.push(ended.claim.clone()),
            }
        }
        let mut conn = self.db.conn().await?;
        if !delivered.is_empty() {
            rows::delivered(&mut conn, &delivered).await?;
        }
        if !failures.is_empty() {
            rows::failed(&mut conn, &failures).await?;
        }
        if !late.is_empty() {
            held::release(&mut conn, &late).await?;
            self.look_for_due();
        }
        delivered.iter().for_each(|claim| self.count(claim, "delivered"));
        late.iter().for_each(|claim| self.count(claim, "released"));
        failures.iter().for_each(|failure| self.report(failure));
        self.ended.clear();
        Ok(())
    }

    fn failure(&self, claim: Claim, error: &str) -> Failure {
        let retry_in =
            (claim.attempts < self.config.max_attempts).then(|| spread(pause_after(&self.config, claim.attempts)));
        Failure { claim, error: kept(error), retry_in, kind: FailureKind::Failed }
    }

    /// Without an attempt to count by, the pauses grow with the event's age.
    fn absence(&self, claim: Claim, error: &str) -> Failure {
        // The two clocks may differ a little.
        let age = Utc::now().signed_duration_since(claim.event.occurred_at).to_std().unwrap_or_default();
        if age > AWAY_AT_MOST {
            return self.failure(claim, error);
        }
        let retry_in = Some(spread(pause_at_age(&self.config, age)));
        Failure { claim, error: kept(error), retry_in, kind: FailureKind::Away }
    }

    fn report(&self, failure: &Failure) {
        let Failure { claim, error, retry_in, kind } = failure;
        let (event, event_id, listener) = (&claim.event.name, claim.event.id, &claim.listener);
        let (module, attempt) = (self.db.module(), claim.attempts);
        if *kind == FailureKind::Postponed {
            self.count(claim, "postponed");
        } else if *kind == FailureKind::Away {
            // Whoever calls the listener's process says once that it is away.
            tracing::info!(module, %event, %event_id, %listener, error, retry_in, "the listener is away");
            self.count(claim, "away");
        } else if let Some(retry_in) = retry_in {
            tracing::warn!(module, %event, %event_id, %listener, attempt, error, retry_in, "delivery failed");
            self.count(claim, "failed");
        } else {
            tracing::error!(module, %event, %event_id, %listener, attempt, error, "delivery failed for good: dead letter");
            self.count(claim, "dead");
        }
    }

    fn count(&self, claim: &Claim, outcome: &'static str) {
        metrics::counter!(
            "eshopz_event_deliveries_total", "module" => self.db.module(), "event" => claim.event.name.clone(),
            "listener" => claim.listener.clone(), "outcome" => outcome
        )
        .increment(1);
    }
}

fn postponement(claim: Claim, pause: Duration) -> Failure {
    let retry_in = Some(pause.as_secs_f64());
    Failure { claim, error: "somebody else is at it".to_owned(), retry_in, kind: FailureKind::Postponed }
}

/// PostgreSQL's text has no NUL.
fn kept(error: &str) -> String {
    error.chars().filter(|c| *c != '\0').take(ERROR_LENGTH).collect()
}

/// Exponential.
fn pause_after(config: &RelayConfig, attempts: i32) -> Duration {
    let growth = 3_u32.saturating_pow(u32::try_from(attempts.saturating_sub(1)).unwrap_or(0));
    config.retry_base.saturating_mul(growth).min(config.retry_cap)
}

/// As long as it has waited already, so that a listener that only starts anew is found soon.
fn pause_at_age(config: &RelayConfig, age: Duration) -> Duration {
    age.max(config.retry_base).min(config.away_cap).min(config.retry_cap)
}

/// Seconds, spread so that what failed together does not come back together.
fn spread(pause: Duration) -> f64 {
    pause.as_secs_f64() * rand::random_range(0.5..1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_for_a_listener_that_fails_and_stay_short_for_one_that_is_away() {
        let config = RelayConfig::default();
        let after = |attempts| pause_after(&config, attempts).as_secs();
        assert_eq!([1, 2, 3, 5, 12, i32::MAX].map(after), [1, 3, 9, 81, 3_600, 3_600]);
        assert_eq!([i32::MIN, 0].map(after), [1, 1]);
        let at_age = |seconds| pause_at_age(&config, Duration::from_secs(seconds)).as_secs();
        assert_eq!([0, 1, 5, 14, 600, 86_400].map(at_age), [1, 1, 5, 14, 15, 15]);
    }
}
