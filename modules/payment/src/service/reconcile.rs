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
use super::{PaymentService, earlier};
use crate::domain::{Failure, TransactionKind, TransactionStatus, declines};
use crate::error::PaymentError;
use crate::gateway::Charge;
use crate::store::open::{self, Unheard};
use crate::store::{Movement, Payment, ledger, payments, webhooks};

/// How much of a kind is taken at once.
const BATCH: i64 = 50;
/// How long a run goes on taking.
const RUN: Duration = Duration::from_secs(20);
/// How long the gateway may take to find an attempt: it may have a long list to read, piece by piece.
const LOOK: Duration = Duration::from_secs(30);
/// After so long a payment that waits or is held is asked about: its webhook may be lost.
const QUIET: Duration = Duration::from_secs(120);
/// How many calls to the gateway run beside each other.
const AT_ONCE: usize = 4;
/// How long webhooks are kept after they were applied.
const KEEP_WEBHOOKS: TimeDelta = TimeDelta::days(30);

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Asks again about everything that has no answer, applies stored webhooks, goes on undoing, and asks about
    /// what has been quiet for a while.
    ///
    /// # Errors
    /// Those of the statements that find the work; a single piece that fails is logged and left for the
    /// next run.
    pub async fn reconcile(&self) -> Result<(), Fault> {
        // What a run has taken once is left for a later one, however long this one lasts. By the database's clock, which
        // wrote what is due: ours may have jumped.
        let (until, now) = (Instant::now() + RUN, self.db.clock().await?);
        let answers = drain(until, || self.take_open(now), |row| self.chase(row));
        let events = drain(until, || self.take_events(now), |event| self.apply_stored(event));
        let undoing = drain(until, || self.take_to_undo(now), |payment| self.finish_undo(payment));
        let unheard = drain(until, || self.take_unheard(now), |payment| self.hear_of(payment));
        let (answers, events, undoing, unheard) = futures::join!(answers, events, undoing, unheard);
        self.meter_waiting().await?;
        answers?;
        events?;
        unheard?;
        Ok(undoing?)
    }

    /// Removes webhooks that have served.
    ///
    /// # Errors
    /// The statement's.
    pub async fn sweep_webhooks(&self) -> Result<(), Fault> {
        let before = self.db.clock().await? - KEEP_WEBHOOKS;
        let mut conn = self.db.conn().await?;
        while webhooks::sweep(&mut conn, before, 1_000).await.map_err(PaymentError::from)? > 0 {}
        Ok(())
    }

    async fn take_open(&self, now: DateTime<Utc>) -> Result<Vec<Movement>, PaymentError> {
        let mut conn = self.db.conn().await?;
        Ok(open::take(&mut conn, self.gateway.name(), now, earlier(now, self.patience()), BATCH).await?)
    }

    async fn take_events(&self, now: DateTime<Utc>) -> Result<Vec<Uuid>, PaymentError> {
        let mut conn = self.db.conn().await?;
        Ok(webhooks::take_due(&mut conn, self.gateway.name(), now, BATCH).await?)
    }

    async fn take_to_undo(&self, now: DateTime<Utc>) -> Result<Vec<Uuid>, PaymentError> {
        let mut conn = self.db.conn().await?;
        Ok(payments::take_to_undo(&mut conn, self.gateway.name(), now, BATCH).await?)
    }

    async fn take_unheard(&self, now: DateTime<Utc>) -> Result<Vec<Unheard>, PaymentError> {
        let mut conn = self.db.conn().await?;
        Ok(open::take_unheard(&mut conn, self.gateway.name(), now, earlier(now, QUIET), BATCH).await?)
    }

    async fn meter_waiting(&self) -> Result<(), PaymentError> {
        let mut conn = self.db.conn().await?;
        super::metering::waiting_webhooks(webhooks::waiting(&mut conn).await?);
        Ok(())
    }

    /// Goes on with a movement that is open.
    pub(super) async fn chase(&self, row: Movement) -> Result<(), PaymentError> {
        self.chase_within(LOOK, row).await
    }

    /// The same for whoever has so much patience with the gateway's list.
    pub(super) async fn chase_within(&self, patience: Duration, row: Movement) -> Result<(), PaymentError> {
        let payment = self.load(row.payment_id).await?;
        self.at_ours(&payment)?;
        if row.status == TransactionStatus::Surplus {
            return self.give_back(&row).await;
        }
        match row.kind {
            TransactionKind::Charge | TransactionKind::Authorization if row.is_replaced() => {
                self.let_go_replaced(&row).await
            }
            TransactionKind::Charge | TransactionKind::Authorization => {
                self.settle_found(row.payment_id, row.id, self.found(patience, row.id).await?).await
            }
            TransactionKind::Capture => self.carry_out_capture(&payment, row).await.map(drop),
            TransactionKind::Refund => self.carry_out_refund(&payment, row).await.map(drop),
            TransactionKind::Void | TransactionKind::Release => self.carry_out_void(&payment, row).await.map(drop),
            // Written when it was done.
            TransactionKind::Return => Ok(()),
        }
    }

    /// Finds out what became of an attempt, as long as a request may wait for it.
    pub(super) async fn chase_attempt(&self, payment: Uuid, attempt: Uuid) -> Result<(), PaymentError> {
        let found = self.found(self.settings.gateway_timeout, attempt).await?;
        self.settle_found(payment, attempt, found).await
    }

    /// An attempt that the gateway does not know of has failed; should it turn up there later, its money
    /// counts, or goes back if another attempt paid meanwhile.
    async fn settle_found(&self, payment: Uuid, attempt: Uuid, found: Option<Charge>) -> Result<(), PaymentError> {
        let failed = || Outcome::Failed(Failure::of(declines::GATEWAY_TIMEOUT.code));
        self.take_up(payment, attempt, found.map_or_else(failed, Outcome::Charge)).await
    }

    /// Asks how a payment stands that waits for the payer or is held.
    pub(super) async fn hear_of(&self, unheard: Unheard) -> Result<(), PaymentError> {
        let Some(attempt) = unheard.attempt_id else { return Ok(()) };
        match self.found(LOOK, attempt).await? {
            Some(charge) => self.take_up(unheard.payment_id, attempt, Outcome::Charge(charge)).await,
            // It need not have failed: the gateway has named it before.
            None => Ok(()),
        }
    }

    /// Writes down what was found, with what came by webhook before it was known.
    async fn take_up(&self, payment: Uuid, attempt: Uuid, outcome: Outcome) -> Result<(), PaymentError> {
        let (payment, row) = self.settle_attempt(payment, attempt, outcome).await?;
        let payment = self.with_parked(payment, row.gateway_reference.as_deref()).await?;
        self.finish_undo_if_wanted(&payment).await;
        Ok(())
    }

    /// Finds out how the charge stands that a payment rests on or waits for. Without a word from the gateway
    /// nothing has changed.
    pub(super) async fn learn_of(&self, payment: &Payment) -> Result<(), PaymentError> {
        let Some(attempt) = self.attempt_behind(payment).await? else { return Ok(()) };
        match self.found(self.settings.gateway_timeout, attempt).await? {
            Some(charge) => self.settle_attempt(payment.id, attempt, Outcome::Charge(charge)).await.map(drop),
            None => Ok(()),
        }
    }

    async fn attempt_behind(&self, payment: &Payment) -> Result<Option<Uuid>, PaymentError> {
        let Some(reference) = &payment.gateway_reference else { return Ok(payment.attempt_id) };
        let mut conn = self.db.conn().await?;
        let named = ledger::attempt_by_reference(&mut conn, reference).await?;
        Ok(named.map(|row| row.id).or(payment.attempt_id))
    }

    /// What the gateway has for an attempt.
    async fn found(&self, patience: Duration, attempt: Uuid) -> Result<Option<Charge>, PaymentError> {
        let sought = {
            let mut conn = self.db.conn().await?;
            open::sought(&mut conn, attempt).await?.ok_or(PaymentError::NotFound)?
        };
        self.ask_within(patience, self.gateway.find(sought)).await.map_err(|error| {
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
pub(super) async fn each<T, F>(items: Vec<T>, work: impl Fn(T) -> F)
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
