//! Taking up what was left open: by a gateway that did not answer, or a process that died.

use std::future::Future;

use chrono::TimeDelta;
use eshopz_kernel::Fault;
use futures::StreamExt as _;
use uuid::Uuid;

use super::confirm::Outcome;
use super::{PaymentService, now};
use crate::domain::{Failure, TransactionKind, TransactionStatus, declines};
use crate::error::PaymentError;
use crate::gateway::Charge;
use crate::store::{Movement, ledger, payments, webhooks};

/// How much of a kind one run takes up.
const BATCH: i64 = 200;
/// How many calls to the gateway run beside each other.
const AT_ONCE: usize = 4;
/// How long webhooks are kept after they were applied.
const KEEP_WEBHOOKS: TimeDelta = TimeDelta::days(30);

impl PaymentService {
    /// Asks again about everything that has no answer, applies stored webhooks, goes on undoing.
    ///
    /// # Errors
    /// Those of the statements that find the work; a single piece that fails is logged and left for the
    /// next run.
    pub async fn reconcile(&self) -> Result<(), Fault> {
        let (open, events) = self.found_open().await?;
        each(open, async |row: Movement| self.chase(row).await).await;
        each(events, async |event: Uuid| self.apply_stored(event).await).await;
        let to_undo = {
            let mut conn = self.db.conn().await?;
            payments::to_undo(&mut conn, BATCH).await.map_err(PaymentError::from)?
        };
        each(to_undo, async |payment: Uuid| self.finish_undo(payment).await).await;
        Ok(())
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

    async fn found_open(&self) -> Result<(Vec<Movement>, Vec<Uuid>), PaymentError> {
        let mut conn = self.db.conn().await?;
        let open = ledger::take_open(&mut conn, self.abandoned_before(), BATCH).await?;
        let events = webhooks::due(&mut conn, now(), BATCH).await?;
        Ok((open, events))
    }

    async fn chase(&self, row: Movement) -> Result<(), PaymentError> {
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
            TransactionKind::Void => {
                let payment = self.load(row.payment_id).await?;
                self.carry_out_void(&payment, row).await
            }
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

/// Does some work for each, a few beside each other; a failure is logged.
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
