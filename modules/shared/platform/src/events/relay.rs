//! The relay: finds a module's events and sees each to its listeners.
//!
//! Any number of them work on one outbox, one per process that has the module; rows are claimed with
//! `FOR UPDATE SKIP LOCKED` and held by a lease that is moved on while a listener works, so a relay that
//! dies is replaced by time, and soon. Nothing is delivered inside a database transaction. The task never
//! ends by an error: it logs and tries again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::config::RelayConfig;
use super::deliver::{self, Ended, Outcome};
use super::lanes::Lanes;
use super::pace::{self, Pace};
use super::rows::{self, Claim};
use super::{Subscriptions, Transport, health, held, wake};
use crate::db::{Conn, Db, StoreError};
use crate::jobs::stopped;

/// How often the backlog is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// The longest time between two looks for what is due again, while there is work.
const DUE_EVERY: Duration = Duration::from_millis(200);

/// How long the last note about deliveries may take when the relay stops.
const LAST_NOTE: Duration = Duration::from_secs(5);

/// A module's relay in this process.
pub struct Relay {
    pub(super) db: Db,
    transport: Arc<dyn Transport>,
    subscriptions: Subscriptions,
    pub(super) config: RelayConfig,
    lanes: Lanes,
    running: JoinSet<Ended>,
    /// What is not yet written down.
    pub(super) ended: Vec<Ended>,
    pace: Pace,
    settle_at: Instant,
    renew_at: Instant,
    /// When to look for deliveries that are due again. New events are looked for each time.
    due_at: Instant,
    measure_at: Instant,
}

#[eshopz_crash::crash_points]
impl Relay {
    /// A relay for the outbox of `db`. `subscriptions` are all that the shop has, wherever they run.
    pub fn new(db: Db, transport: Arc<dyn Transport>, subscriptions: Subscriptions, config: RelayConfig) -> Self {
        let config = RelayConfig { batch: config.batch.max(1), max_attempts: config.max_attempts.max(1), ..config };
        let now = Instant::now();
        let room = usize::try_from(config.batch).unwrap_or(usize::MAX);
        Self {
            db,
            transport,
            lanes: Lanes::new(subscriptions.listeners().into_iter(), config.concurrency, room),
            subscriptions,
            pace: Pace::new(config.poll_interval, now),
            config,
            running: JoinSet::new(),
            ended: Vec::new(),
            settle_at: now,
            renew_at: now,
            due_at: now,
            measure_at: now,
        }
    }

    /// Works until `shutdown` is true, or its sender is gone; then ends what runs, within bounds.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let wake = Arc::new(Notify::new());
        let mut listening = JoinSet::new();
        listening.spawn(wake::listen(self.db.clone(), Arc::clone(&wake)));
        loop {
            let turn = self.turn().await;
            if let Err(error) = &turn {
                tracing::warn!(module = self.db.module(), %error, "the relay cannot use its database; trying again");
            }
            let (works, next) = match turn {
                Ok(()) => (true, self.next_turn()),
                Err(_) => (false, Instant::now() + self.config.poll_interval),
            };
            tokio::select! {
                biased;
                () = stopped(&mut shutdown) => break,
                () = sleep_until(next) => {}
                Some(ended) = self.running.join_next(), if works => self.note(ended),
                () = wake.notified(), if works => self.pace.woken(Instant::now()),
            }
        }
        self.wind_down().await;
    }

    /// Does what is due: writes down what has ended, claims a batch, starts what may start.
    async fn turn(&mut self) -> Result<(), StoreError> {
        while let Some(ended) = self.running.try_join_next() {
            self.note(ended);
        }
        self.keep_up().await?;
        if self.pace.is_due(Instant::now()) && !self.lanes.all_full() {
            self.claim().await?;
        }
        self.start();
        self.measure().await
    }

    /// Sees to the leases of what runs and writes down what has ended, where that is due.
    async fn keep_up(&mut self) -> Result<(), StoreError> {
        if self.renew_at <= Instant::now() {
            self.renew().await?;
        }
        if self.next_settlement().is_some_and(|at| at <= Instant::now()) {
            self.settle().await?;
        }
        Ok(())
    }

    /// While all lanes are full there is nothing to claim for: it would only let leases run.
    fn next_turn(&self) -> Instant {
        let look = (!self.lanes.all_full()).then(|| self.pace.next());
        [look, self.next_settlement(), Some(self.renew_at)].into_iter().flatten().fold(self.measure_at, Instant::min)
    }

    /// A batch is written down at once, less after a moment in which it can become one.
    fn next_settlement(&self) -> Option<Instant> {
        match self.ended.len() {
            0 => None,
            some if self.is_batch(some) => Some(Instant::now()),
            _ => Some(self.settle_at),
        }
    }

    fn is_batch(&self, count: usize) -> bool {
        u32::try_from(count).is_ok_and(|count| count >= self.config.batch)
    }

    /// Claims what is due again, and then what is new if there is room left for it.
    async fn claim(&mut self) -> Result<(), StoreError> {
        let mut conn = self.db.conn().await?;
        let due = if self.due_at <= Instant::now() { self.claim_due(&mut conn).await? } else { 0 };
        let crowded = self.lanes.all_full();
        let new = if crowded { 0 } else { self.claim_new(&mut conn).await? };
        self.pace.looked(due + new > 0, Instant::now());
        if crowded || self.is_batch(due) || self.is_batch(new) {
            self.pace.at_once(Instant::now());
        }
        Ok(())
    }

    async fn claim_due(&mut self, conn: &mut Conn) -> Result<usize, StoreError> {
        let due = rows::claim_due(conn, &self.lanes.open(), self.config.lease, self.config.batch).await?;
        let count = due.len();
        let pause = if self.is_batch(count) { Duration::ZERO } else { self.config.poll_interval.min(DUE_EVERY) };
        self.due_at = Instant::now() + pause;
        due.into_iter().for_each(|claim| self.lanes.push(claim));
        Ok(count)
    }

    async fn claim_new(&mut self, conn: &mut Conn) -> Result<usize, StoreError> {
        let (lease, batch) = (self.config.lease, self.config.batch);
        let new = rows::fan_out(conn, &self.subscriptions, &self.lanes, lease, batch).await?;
        let count = new.events.len();
        for event in new.events {
            metrics::counter!("eshopz_events_published_total", "module" => self.db.module(), "event" => event)
                .increment(1);
        }
        new.claims.into_iter().for_each(|claim| self.lanes.push(claim));
        Ok(count)
    }

    fn start(&mut self) {
        let (startable, reopened) = self.lanes.take_startable();
        if reopened {
            self.look_for_due();
        }
        for claim in startable {
            self.running.spawn(deliver::attempt(
                Arc::clone(&self.transport),
                self.db.module(),
                claim,
                self.config.handler_limit,
                self.config.max_attempts,
            ));
        }
    }

    pub(super) fn look_for_due(&mut self) {
        self.due_at = Instant::now();
        self.pace.at_once(self.due_at);
    }

    fn note(&mut self, ended: Result<Ended, JoinError>) {
        // An attempt catches the panics of its listener, so what cannot be joined was aborted by us.
        let Ok(ended) = ended else { return };
        self.lanes.ended(&ended.claim);
        if self.ended.is_empty() {
            self.settle_at = Instant::now() + pace::SHORTEST;
        }
        self.ended.push(ended);
    }

    /// Moves the leases of what runs on. What is not ours any more is not, and its attempt ends by itself.
    async fn renew(&mut self) -> Result<(), StoreError> {
        let asked = Instant::now();
        self.renew_at = asked + self.config.lease / 4;
        let old: Vec<Claim> = self.lanes.running().filter(|claim| claim.lease.wants_renewal()).cloned().collect();
        if old.is_empty() {
            return Ok(());
        }
        let renewed = held::renew(&mut *self.db.conn().await?, &old, self.config.lease).await?;
        for claim in old {
            if renewed.contains(&(claim.event.id.uuid(), claim.listener.clone())) {
                claim.lease.renewed(asked);
            }
        }
        Ok(())
    }

    async fn measure(&mut self) -> Result<(), StoreError> {
        if Instant::now() < self.measure_at {
            return Ok(());
        }
        self.measure_at = Instant::now() + MEASURE_EVERY;
        let lag = health::lag(&mut *self.db.conn().await?).await?;
        let gauge = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let module = self.db.module();
        metrics::gauge!("eshopz_outbox_pending", "module" => module).set(gauge(lag.pending));
        metrics::gauge!("eshopz_outbox_dead", "module" => module).set(gauge(lag.dead));
        metrics::gauge!("eshopz_outbox_lag_seconds", "module" => module).set(lag.oldest_seconds);
        Ok(())
    }

    /// Gives back what was not begun, waits for what was, and writes down how it went.
    async fn wind_down(mut self) {
        let waiting = self.lanes.clear_waiting();
        self.ended.extend(waiting.into_iter().map(|claim| Ended { claim, outcome: Outcome::TooLate }));
        if timeout(self.config.drain, self.finish()).await.is_err() {
            tracing::warn!(module = self.db.module(), "deliveries cut short; they come again when their leases end");
        }
        // Without this note they are delivered once more when their leases end, which does no harm.
        if let Ok(Err(error)) = timeout(LAST_NOTE, self.settle()).await {
            tracing::warn!(module = self.db.module(), %error, "the last deliveries could not be noted");
        }
    }

    /// Waits for what runs, which keeps its leases until then. What ends is written down as it does, for the
    /// process may have no time left after the slowest.
    async fn finish(&mut self) {
        loop {
            let next = self.next_settlement().map_or(self.renew_at, |at| at.min(self.renew_at));
            tokio::select! {
                ended = self.running.join_next() => match ended {
                    Some(ended) => self.note(ended),
                    None => return,
                },
                () = sleep_until(next) => {
                    if let Err(error) = self.keep_up().await {
                        tracing::warn!(module = self.db.module(), %error, "deliveries cannot be noted; trying again");
                        sleep(self.config.poll_interval).await;
                    }
                }
            }
        }
    }
}
