//! Taking up what was left open: by a gateway that did not answer, or a process that died.
//!
//! Each kind of work goes on by itself, in small batches of what is due, until nothing is due or the run has
//! lasted its time. Whatever is taken is due again later from try to try: rows that nobody can help do not
//! stand before those that can be.

use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use eshopz_kernel::Fault;
use futures::StreamExt as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::attempts::Outcome;
use super::{PaymentService, now};
use crate::domain::{Failure, TransactionKind, TransactionStatus, declines};
use crate::error::PaymentError;
use crate::gateway::Charge;
use crate::store::{Movement, ledger, payments, webhooks};

/// How much of a kind is taken at once.
const BATCH: i64 = 50;
/// How long a run goes on taking.
const RUN: Duration = Duration::from_secs(20);
/// How many calls to the gateway run beside each other.
const AT_ONCE: usize = 4;
/// How long webhooks are kept after they were applied.
const KEEP_WEBHOOKS: TimeDelta = TimeDelta::days(30);

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Asks again about everything that has no answer, applies stored webhooks, goes on undoing.
    ///
    /// # Errors
    /// Those of the statements that find the work; a single piece that fails is logged and left for the
    /// next run.
    pub async fn reconcile(&self) -> Result<(), Fault> {
        // What a run has taken once is left for a later one, however long this one lasts.
        let (until, now) = (Instant::now() + RUN, now());
        let open = drain(until, || self.take_open(now), |row| self.chase(row));
        let events = drain(until, || self.take_events(now), |event| self.apply_stored(event));
        let undoing = drain(until, || self.take_to_undo(now), |payment| self.finish_undo(payment));
        let (open, events, undoing) = futures::join!(open, events, undoing);
        self.meter_waiting().await?;
        open?;
        events?;
        Ok(undoing?)
    }

    /// Removes webhooks that have served.
    ///
    /// # Errors
    /// The statement's.
    pub async fn sweep_webhooks(&self) -> Result<(), Fault> {
        let mut conn = self.db.conn().await?;
        while webhooks::sweep(&mut conn, now() - KEEP_WEBHOOKS, 1_000).await.map_err(PaymentError::from)? > 0 {}
        Ok(())
    }

    async fn take_open(&self, now: DateTime<Utc>) -> Result<Vec<Movement>, PaymentError> {
        let mut conn = self.db.conn().await?;
        Ok(ledger::take_open(&mut conn, now, self.abandoned_before(), BATCH).await?)
    }

    async fn take_events(&self, now: DateTime<Utc>) -> Result<Vec<Uuid>, PaymentError> {
        let mut conn = self.db.conn().await?;
        Ok(webhooks::take_due(&mut conn, now, BATCH).await?)
    }

    async fn take_to_undo(&self, now: DateTime<Utc>) -> Result<Vec<Uuid>, PaymentError> {
        let mut conn = self.db.conn().await?;
        Ok(payments::take_to_undo(&mut conn, now, BATCH).await?)
    }

    async fn meter_waiting(&self) -> Result<(), PaymentError> {
        let mut conn = self.db.conn().await?;
        super::metering::waiting_webhooks(webhooks::waiting(&mut conn).await?);
        Ok(())
    }

    pub(super) async fn chase(&self, row: Movement) -> Result<(), PaymentError> {
        if row.status == TransactionStatus::Surplus {
            return self.give_back(&row).await;
        }
        match row.kind {
            TransactionKind::Charge | TransactionKind::Authorization => {
                self.chase_attempt(row.payment_id, row.id).await
            }
            TransactionKind::Capture => {
                let payment = self.load(row.payment_id).await?;
                self.carry_out_capture(&payment, row).await.map(drop)
            }
            TransactionKind::Refund => {
                let payment = self.load(row.payment_id).await?;
                self.carry_out_refund(&payment, row).await.map(drop)
            }
            TransactionKind::Void | TransactionKind::Release => {
                let payment = self.load(row.payment_id).await?;
                self.carry_out_void(&payment, row).await.map(drop)
            }
            // Written when it was done.
            TransactionKind::Return => Ok(()),
        }
    }

    /// Finds out what became of an attempt. One that the gateway does not know of has failed; should it
    /// turn up there later, its money counts, or goes back if another attempt paid meanwhile.
    pub(super) async fn chase_attempt(&self, payment: Uuid, attempt: Uuid) -> Result<(), PaymentError> {
        let outcome = match self.asked_about(attempt).await? {
            Some(charge) => Outcome::Charge(charge),
            None => Outcome::Failed(Failure::of(declines::GATEWAY_TIMEOUT.code)),
        };
        let (payment, _) = self.settle_attempt(payment, attempt, outcome).await?;
        self.finish_undo_if_wanted(&payment).await;
        Ok(())
    }

    /// The same for an attempt that need not have failed if the gateway says nothing.
    pub(super) async fn learn_of_attempt(&self, payment: Uuid, attempt: Uuid) -> Result<(), PaymentError> {
        match self.asked_about(attempt).await? {
            Some(charge) => self.settle_attempt(payment, attempt, Outcome::Charge(charge)).await.map(drop),
            None => Ok(()),
        }
    }

    async fn asked_about(&self, attempt: Uuid) -> Result<Option<Charge>, PaymentError> {
        self.ask(self.gateway.find(attempt)).await.map_err(|error| {
            tracing::warn!(%attempt, %error, "the gateway cannot be asked about an attempt");
            PaymentError::GatewayUnavailable
        })
    }
}

/// Takes what is due and works on it, until nothing is due or it is late.
#[eshopz_crash::crash_points]
async fn drain<T, G, F>(until: Instant, take: impl Fn() -> G, work: impl Fn(T) -> F) -> Result<(), PaymentError>
where
    G: Future<Output = Result<Vec<T>, PaymentError>>,
    F: Future<Output = Result<(), PaymentError>>,
{
    loop {
        let taken = take().await?;
        if taken.is_empty() {
            return Ok(());
        }
        each(taken, &work).await;
        if Instant::now() >= until {
            return Ok(());
        }
    }
}

/// Does some work for each, a few beside each other; a failure is logged.
#[eshopz_crash::crash_points]
async fn each<T, F>(items: Vec<T>, work: impl Fn(T) -> F)
where
    F: Future<Output = Result<(), PaymentError>>,
{
    futures::stream::iter(items)
        .for_each_concurrent(AT_ONCE, |item| {
            let done = work(item);
            async move {
                if let Err(error) = done.await {
                    tracing::warn!(%error, "left for the next run");
                }
            }
        })
        .await;
}
