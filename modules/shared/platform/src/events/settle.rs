//! Writing down how attempts ended: done, to be tried again, dead, or never begun.

use super::deliver::Outcome;
use super::held;
use super::relay::Relay;
use super::rows::{self, Claim, Failure};
use crate::db::StoreError;

/// What is kept of a failure's text.
const ERROR_LENGTH: usize = 2_000;

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
        let retry_in = (claim.attempts < self.config.max_attempts).then(|| self.pause_after(claim.attempts));
        // PostgreSQL's text has no NUL.
        Failure { claim, error: error.chars().filter(|c| *c != '\0').take(ERROR_LENGTH).collect(), retry_in }
    }

    /// Seconds: exponential, and spread, so that what failed together does not come back together.
    fn pause_after(&self, attempts: i32) -> f64 {
        let pause = self.config.retry_base.as_secs_f64() * 3_f64.powi(attempts.saturating_sub(1).min(60));
        pause.min(self.config.retry_cap.as_secs_f64()) * rand::random_range(0.5..1.0)
    }

    fn report(&self, failure: &Failure) {
        let Failure { claim, error, retry_in } = failure;
        let (event, event_id, listener) = (&claim.event.name, claim.event.id, &claim.listener);
        let (module, attempt) = (self.db.schema(), claim.attempts);
        if let Some(retry_in) = retry_in {
            tracing::warn!(module, %event, %event_id, %listener, attempt, error, retry_in, "delivery failed");
            self.count(claim, "failed");
        } else {
            tracing::error!(module, %event, %event_id, %listener, attempt, error, "delivery failed for good: dead letter");
            self.count(claim, "dead");
        }
    }

    fn count(&self, claim: &Claim, outcome: &'static str) {
        metrics::counter!(
            "eshopz_event_deliveries_total", "module" => self.db.schema(), "event" => claim.event.name.clone(),
            "listener" => claim.listener.clone(), "outcome" => outcome
        )
        .increment(1);
    }
}
