//! The relay: finds a module's events and sees each to its listeners.
//!
//! Any number of them work on one outbox, one per process that has the module; rows are claimed with
//! `FOR UPDATE SKIP LOCKED` and held by a lease, so a relay that dies is replaced by time. Nothing is
//! delivered inside a database transaction. The task never ends by an error: it logs and tries again.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::deliver::{self, Ended, Outcome};
use super::lanes::Lanes;
use super::rows::{self, Claim, Failure};
use super::{Subscriptions, Transport, health, wake};
use crate::db::{Db, StoreError};
use crate::jobs::stopped;

/// How often the backlog is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// What is kept of a failure's text.
const ERROR_LENGTH: usize = 2_000;

/// How a relay works.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The time between two looks when no notification comes.
    pub poll_interval: Duration,
    /// Rows per statement.
    pub batch: u32,
    /// How long a delivery is ours. A listener has at least 0.4 and at most 0.9 of it.
    pub lease: Duration,
    /// After so many attempts a delivery is a dead letter.
    pub max_attempts: i32,
    /// Deliveries to one listener at once.
    pub concurrency: usize,
    /// The pause after the first failure, give or take; it triples with each one after.
    pub retry_base: Duration,
    /// The longest pause.
    pub retry_cap: Duration,
    /// How long running deliveries may take when the relay is told to stop.
    pub drain: Duration,
}

impl Default for RelayConfig {
    /// Twelve attempts within about four hours.
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(1),
            batch: 64,
            lease: Duration::from_secs(30),
            max_attempts: 12,
            concurrency: 8,
            retry_base: Duration::from_secs(1),
            retry_cap: Duration::from_secs(3_600),
            drain: Duration::from_secs(10),
        }
    }
}

/// A module's relay in this process.
pub struct Relay {
    db: Db,
    transport: Arc<dyn Transport>,
    subscriptions: Subscriptions,
    config: RelayConfig,
    lanes: Lanes,
    running: JoinSet<Ended>,
    ended: Vec<Ended>,
    /// There may be something to claim.
    hungry: bool,
    measure_at: Instant,
}

impl Relay {
    /// A relay for the outbox of `db`. `subscriptions` are all that the shop has, wherever they run.
    pub fn new(db: Db, transport: Arc<dyn Transport>, subscriptions: Subscriptions, config: RelayConfig) -> Self {
        let lanes = Lanes::new(subscriptions.pairs().map(|(_, listener)| listener), config.concurrency);
        Self {
            db,
            transport,
            subscriptions,
            config,
            lanes,
            running: JoinSet::new(),
            ended: Vec::new(),
            hungry: true,
            measure_at: Instant::now(),
        }
    }

    /// Works until `shutdown` is true, or its sender is gone; then ends what runs, within bounds.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let wake = Arc::new(Notify::new());
        let mut listening = JoinSet::new();
        listening.spawn(wake::listen(self.db.clone(), Arc::clone(&wake)));
        let mut poll = interval(self.config.poll_interval);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let pause = match self.turn().await {
                Ok(()) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(module = self.db.schema(), %error, "the relay cannot use its database; trying again");
                    self.config.poll_interval
                }
            };
            tokio::select! {
                biased;
                () = stopped(&mut shutdown) => break,
                () = sleep(pause), if !pause.is_zero() => {}
                () = ready(()), if pause.is_zero() && self.can_claim() => {}
                Some(ended) = self.running.join_next(), if pause.is_zero() => self.note(ended),
                () = wake.notified(), if pause.is_zero() => self.hungry = true,
                _ = poll.tick(), if pause.is_zero() => self.hungry = true,
            }
        }
        self.wind_down().await;
    }

    /// Writes down what has ended, claims a batch, and starts what may start.
    async fn turn(&mut self) -> Result<(), StoreError> {
        while let Some(ended) = self.running.try_join_next() {
            self.note(ended);
        }
        self.settle().await?;
        if self.can_claim() {
            self.hungry = self.claim().await?;
        }
        self.start();
        self.measure().await
    }

    /// There may be more, and there is room for it: to claim into full lanes would only let leases run.
    fn can_claim(&self) -> bool {
        self.hungry && !self.lanes.all_full()
    }

    /// Claims a batch; true when there may be more.
    async fn claim(&mut self) -> Result<bool, StoreError> {
        let (lease, batch) = (self.config.lease.as_secs_f64(), self.config.batch);
        let mut conn = self.db.conn().await?;
        let due = rows::claim_due(&mut conn, &self.lanes.open(), lease, batch).await?;
        let fresh = rows::fan_out(&mut conn, &self.subscriptions, &self.lanes, lease, batch).await;
        let full = |count: usize| u32::try_from(count).is_ok_and(|count| count >= batch);
        let mut more = full(due.len());
        // What is claimed is kept whatever becomes of the other statement.
        due.into_iter().for_each(|claim| self.lanes.push(claim));
        let fresh = fresh?;
        more |= full(fresh.events.len());
        for event in fresh.events {
            metrics::counter!("eshopz_events_published_total", "module" => self.db.schema(), "event" => event)
                .increment(1);
        }
        fresh.claims.into_iter().for_each(|claim| self.lanes.push(claim));
        Ok(more)
    }

    fn start(&mut self) {
        let (startable, reopened) = self.lanes.take_startable();
        self.hungry |= reopened;
        for claim in startable {
            self.running.spawn(deliver::attempt(
                Arc::clone(&self.transport),
                self.db.schema(),
                claim,
                self.config.lease,
                self.config.max_attempts,
            ));
        }
    }

    fn note(&mut self, ended: Result<Ended, JoinError>) {
        // An attempt catches the panics of its listener, so what cannot be joined was aborted by us.
        let Ok(ended) = ended else { return };
        self.lanes.ended(&ended.claim.listener);
        self.ended.push(ended);
    }

    /// Writes down how attempts ended; on an error they are kept for the next time.
    async fn settle(&mut self) -> Result<(), StoreError> {
        if self.ended.is_empty() {
            return Ok(());
        }
        let mut conn = self.db.conn().await?;
        let (mut delivered, mut failures, mut late) = (Vec::new(), Vec::new(), Vec::new());
        for ended in &self.ended {
            match &ended.outcome {
                Outcome::Delivered => delivered.push(ended.claim.clone()),
                Outcome::Failed(error) => failures.push(self.failure(ended.claim.clone(), error)),
                Outcome::TooLate => late.push(ended.claim.clone()),
            }
        }
        if !delivered.is_empty() {
            rows::delivered(&mut conn, &delivered).await?;
        }
        if !failures.is_empty() {
            rows::failed(&mut conn, &failures).await?;
        }
        if !late.is_empty() {
            rows::release(&mut conn, &late).await?;
            self.hungry = true;
        }
        delivered.iter().for_each(|claim| self.count(claim, "delivered"));
        late.iter().for_each(|claim| self.count(claim, "released"));
        failures.iter().for_each(|failure| self.report(failure));
        self.ended.clear();
        Ok(())
    }

    fn failure(&self, claim: Claim, error: &str) -> Failure {
        let retry_in = (claim.attempts < self.config.max_attempts).then(|| self.pause_after(claim.attempts));
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

    async fn measure(&mut self) -> Result<(), StoreError> {
        if Instant::now() < self.measure_at {
            return Ok(());
        }
        self.measure_at = Instant::now() + MEASURE_EVERY;
        let lag = health::lag(&mut *self.db.conn().await?).await?;
        let gauge = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let module = self.db.schema();
        metrics::gauge!("eshopz_outbox_pending", "module" => module).set(gauge(lag.pending));
        metrics::gauge!("eshopz_outbox_dead", "module" => module).set(gauge(lag.dead));
        metrics::gauge!("eshopz_outbox_lag_seconds", "module" => module).set(lag.oldest_seconds);
        Ok(())
    }

    /// Gives back what was not begun, waits for what was, and writes down how it went.
    async fn wind_down(mut self) {
        let waiting = self.lanes.clear_waiting();
        self.ended.extend(waiting.into_iter().map(|claim| Ended { claim, outcome: Outcome::TooLate }));
        let drain = self.config.drain;
        let finish = async {
            while let Some(ended) = self.running.join_next().await {
                self.note(ended);
            }
        };
        if timeout(drain, finish).await.is_err() {
            tracing::warn!(module = self.db.schema(), "deliveries cut short; they come again when their leases end");
        }
        // Without this note they are delivered once more when their leases end, which does no harm.
        if let Ok(Err(error)) = timeout(drain, self.settle()).await {
            tracing::warn!(module = self.db.schema(), %error, "the last deliveries could not be noted");
        }
    }
}
