//! Periodic work that one process at a time does, whoever is there: expiry, sweeps, reminders.
//!
//! Every process offers to do every job of its modules; a row in the module's `leases` says before
//! when nobody may start it. While a job runs that is the end of its lease, which is moved on again and
//! again; once it has run, the time of its next run. So a process that dies is replaced by time, and
//! more processes do not make a job run more often.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use diesel::OptionalExtension as _;
use diesel::prelude::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::{Double, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use eshopz_kernel::Fault;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, sleep, timeout};
use uuid::Uuid;

use crate::db::{Db, Single as _, StoreError};
use crate::prepared::prepared;

/// How long a job is ours without a sign of life.
const LEASE: Duration = Duration::from_secs(30);
/// The longest sleep between two looks at a lease.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long a running job may take to end when the process stops.
const DRAIN: Duration = Duration::from_secs(10);

type Work = Arc<dyn Fn() -> BoxFuture<'static, Result<(), Fault>> + Send + Sync>;

/// A job that is to run again and again.
#[derive(Clone)]
pub struct Periodic {
    name: &'static str,
    every: Duration,
    lease: Duration,
    work: Work,
}

impl Periodic {
    /// `name` is unique in the module. The work can be cut off at any await, when the process stops or
    /// the lease is lost: it goes in steps of its own transactions, and the next run does the rest.
    pub fn new<F, R>(name: &'static str, every: Duration, work: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        Self { name, every, lease: LEASE, work: Arc::new(move || work().boxed()) }
    }

    /// Another lease than 30 seconds: the time after which a process that died in a run is replaced.
    #[must_use]
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The job's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Does the job whenever it is due and no other process does, until `shutdown` is true or its
    /// sender is gone. `db` is the module's, where the lease is. A failure is logged; the next run comes
    /// at its time.
    pub async fn run(self, db: Db, mut shutdown: watch::Receiver<bool>) {
        loop {
            let pause = match self.attempt(&db, &mut shutdown).await {
                Ok(pause) => pause.min(LOOK_EVERY),
                Err(error) => {
                    tracing::warn!(module = db.module(), job = self.name, %error, "cannot take the job's lease");
                    self.every.min(LOOK_EVERY)
                }
            };
            // A little apart, so that processes do not all ask at the same moment.
            let pause = pause.mul_f64(rand::random_range(1.0..1.1)).max(Duration::from_millis(10));
            tokio::select! {
                biased;
                () = stopped(&mut shutdown) => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// Runs the job if it is due and nobody else does; returns the time until the next look.
    async fn attempt(&self, db: &Db, shutdown: &mut watch::Receiver<bool>) -> Result<Duration, StoreError> {
        let holder = Uuid::now_v7();
        let began = Instant::now();
        if let Some(wait) = self.take(db, holder).await? {
            return Ok(wait);
        }
        let outcome = self.hold_and_run(db, holder, shutdown).await;
        metrics::counter!(
            "eshopz_job_runs_total", "module" => db.module(), "job" => self.name, "outcome" => outcome
        )
        .increment(1);
        metrics::histogram!("eshopz_job_duration_seconds", "module" => db.module(), "job" => self.name)
            .record(began.elapsed());
        // A run that was cut off is due at once, for another process.
        let wait = if outcome == "stopped" { Duration::ZERO } else { self.every.saturating_sub(began.elapsed()) };
        self.renew(db, holder, wait).await?;
        Ok(wait)
    }

    async fn hold_and_run(&self, db: &Db, holder: Uuid, shutdown: &mut watch::Receiver<bool>) -> &'static str {
        // Dropping the set ends the job.
        let mut running = JoinSet::new();
        running.spawn((self.work)());
        let third = self.lease / 3;
        let mut renewal = interval_at(Instant::now() + third, third);
        let mut ours_until = Instant::now() + self.lease;
        loop {
            tokio::select! {
                biased;
                Some(result) = running.join_next() => return self.judge(db, result),
                () = stopped(shutdown) => {
                    return match timeout(DRAIN, running.join_next()).await {
                        Ok(Some(result)) => self.judge(db, result),
                        Ok(None) | Err(_) => "stopped",
                    };
                }
                _ = renewal.tick() => {
                    let asked = Instant::now();
                    match timeout(third, self.renew(db, holder, self.lease)).await {
                        Ok(Ok(true)) => ours_until = asked + self.lease,
                        Ok(Ok(false)) => ours_until = asked,
                        // Not known; it is ours until its time is up.
                        Ok(Err(_)) | Err(_) => {}
                    }
                    if Instant::now() + third >= ours_until {
                        tracing::warn!(module = db.module(), job = self.name, "lease lost; the run is cut off");
                        return "lost";
                    }
                }
            }
        }
    }

    fn judge(&self, db: &Db, result: Result<Result<(), Fault>, tokio::task::JoinError>) -> &'static str {
        let (module, job) = (db.module(), self.name);
        match result {
            Ok(Ok(())) => "done",
            Ok(Err(fault)) => {
                tracing::error!(module, job, error = %fault, "the job failed; it runs again at its time");
                "failed"
            }
            Err(error) => {
                tracing::error!(module, job, %error, "the job panicked; it runs again at its time");
                "failed"
            }
        }
    }

    /// Takes the lease if the job is due; else the time until it may be.
    async fn take(&self, db: &Db, holder: Uuid) -> Result<Option<Duration>, StoreError> {
        let mut conn = db.conn().await?;
        let taken = prepared(
            sql_query(
                "INSERT INTO leases AS l (name, holder, until) VALUES ($1, $2, now() + make_interval(secs => $3)) \
                 ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until \
                 WHERE l.until <= now()",
            )
            .bind::<Text, _>(self.name)
            .bind::<SqlUuid, _>(holder)
            .bind::<Double, _>(self.lease.as_secs_f64()),
        )
        .execute(&mut conn)
        .await?;
        if taken == 1 {
            return Ok(None);
        }
        let left: Option<Left> = prepared(
            sql_query(
                "SELECT greatest(0, extract(epoch FROM until - now()))::float8 AS seconds FROM leases WHERE name = $1",
            )
            .bind::<Text, _>(self.name),
        )
        .single(&mut conn)
        .await
        .optional()?;
        let seconds = left.map_or(0.0, |left| left.seconds);
        Ok(Some(Duration::try_from_secs_f64(seconds).unwrap_or(LOOK_EVERY)))
    }

    /// Moves the lease's end to `ahead` from now; false when it is no longer ours.
    async fn renew(&self, db: &Db, holder: Uuid, ahead: Duration) -> Result<bool, StoreError> {
        let mut conn = db.conn().await?;
        let renewed = prepared(
            sql_query("UPDATE leases SET until = now() + make_interval(secs => $3) WHERE name = $1 AND holder = $2")
                .bind::<Text, _>(self.name)
                .bind::<SqlUuid, _>(holder)
                .bind::<Double, _>(ahead.as_secs_f64()),
        )
        .execute(&mut conn)
        .await?;
        Ok(renewed == 1)
    }
}

#[derive(QueryableByName)]
struct Left {
    #[diesel(sql_type = Double)]
    seconds: f64,
}

/// Resolves when `shutdown` is true, or when its sender is gone.
pub async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}
