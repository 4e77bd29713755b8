//! Undoing the payment of a cancelled order: void what is held, refund what was collected, close the rest.

use chrono::TimeDelta;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::OrderId;
use eshopz_payment_api::{PaymentStatus, PaymentSummary};
use uuid::Uuid;

use super::capture::{follow_up, refusal, unanswered};
use super::{PaymentService, now, refunds, settle};
use crate::domain::{Fact, Failure, TransactionKind, TransactionStatus};
use crate::error::PaymentError;
use crate::store::{Movement, NewMovement, Payment, ledger, payments};

/// After the gateway refused to take something back it is asked again so much later.
const PAUSE_AFTER_REFUSAL: TimeDelta = TimeDelta::minutes(10);

/// The longest reason that is kept, in characters.
const REASON_LENGTH: usize = 500;

impl PaymentService {
    /// Undoes the payment of an order. What the gateway does not do at once is done by the periodic job.
    ///
    /// # Errors
    /// 404 when the order has no payment.
    pub async fn undo(&self, order: OrderId, reason: &str) -> Result<PaymentSummary, PaymentError> {
        let reason: String = reason.chars().filter(|character| *character != '\0').take(REASON_LENGTH).collect();
        let payment = {
            let mut conn = self.db.conn().await?;
            let (payment, effects) = conn
                .transaction(async |conn| {
                    let found = payments::lock_of_order(conn, order.uuid()).await?;
                    let mut payment = found.ok_or(PaymentError::NotFound)?;
                    if payment.undo_requested_at.is_none() {
                        payment.undo_reason = Some(reason);
                    }
                    let effects = settle::apply(conn, &mut payment, Fact::UndoRequested).await?;
                    Ok::<_, PaymentError>((payment, effects))
                })
                .await?;
            self.meter(&payment, &effects);
            payment
        };
        self.finish_undo_if_wanted(&payment).await;
        Ok(self.load(payment.id).await?.summary())
    }

    /// Goes on undoing, if the order was cancelled. A failure is logged: the periodic job goes on.
    pub(super) async fn finish_undo_if_wanted(&self, payment: &Payment) {
        if payment.undo_requested_at.is_none() {
            return;
        }
        if let Err(error) = self.finish_undo(payment.id).await {
            tracing::warn!(payment = %payment.id, %error, "undoing is not finished");
        }
    }

    /// Takes the next step of undoing: one void or one refund, whichever the state asks for.
    pub(super) async fn finish_undo(&self, payment: Uuid) -> Result<(), PaymentError> {
        let step = {
            let mut conn = self.db.conn().await?;
            conn.transaction(async |conn| next_step(conn, payment).await).await?
        };
        match step {
            Some((payment, row)) if row.kind == TransactionKind::Void => self.carry_out_void(&payment, row).await,
            Some((payment, row)) => self.carry_out_refund(&payment, row).await.map(drop),
            None => Ok(()),
        }
    }

    /// Asks the gateway, as often as it takes: the key makes it one void.
    pub(super) async fn carry_out_void(&self, payment: &Payment, row: Movement) -> Result<(), PaymentError> {
        let told = match self.ask(self.gateway.void(follow_up(payment, &row))).await {
            Ok(reference) => Ok(reference),
            Err(error) => Err(refusal(&error).ok_or_else(|| unanswered(&row, &error))?),
        };
        let refused = told.is_err();
        self.settle_void(payment.id, row.id, told).await?;
        // Most likely it was collected meanwhile: find that out, so that it can be refunded.
        match payment.attempt_id {
            Some(attempt) if refused => self.learn_of_attempt(payment.id, attempt).await,
            _ => Ok(()),
        }
    }

    async fn settle_void(&self, payment: Uuid, void: Uuid, told: Result<String, Failure>) -> Result<(), PaymentError> {
        let mut conn = self.db.conn().await?;
        let (payment, effects) = conn
            .transaction(async |conn| {
                let mut payment = payments::lock(conn, payment).await?.ok_or(PaymentError::NotFound)?;
                let mut row = ledger::find(conn, void).await?.ok_or(PaymentError::NotFound)?;
                if row.status != TransactionStatus::Pending {
                    return Ok((payment, Vec::new()));
                }
                let mut effects = Vec::new();
                match told {
                    Ok(reference) => {
                        row.gateway_reference = Some(reference);
                        row.settle(TransactionStatus::Succeeded, now());
                        let charge = row.charge_reference.clone().unwrap_or_default();
                        let fact = Fact::Voided { reference: charge, attempt: payment.attempt_id };
                        effects = settle::apply(conn, &mut payment, fact).await?;
                        ledger::replace_waiting(conn, payment.id, now()).await?;
                    }
                    Err(failure) => row.fail(failure, now()),
                }
                ledger::save(conn, &row).await?;
                Ok::<_, PaymentError>((payment, effects))
            })
            .await?;
        self.meter(&payment, &effects);
        Ok(())
    }
}

/// What to ask the gateway for next, written down; nothing when all is undone, or somebody is at it.
async fn next_step(conn: &mut AsyncPgConnection, id: Uuid) -> Result<Option<(Payment, Movement)>, PaymentError> {
    let payment = payments::lock(conn, id).await?.ok_or(PaymentError::NotFound)?;
    if payment.undo_requested_at.is_none() {
        return Ok(None);
    }
    match payment.status.0 {
        PaymentStatus::Authorized | PaymentStatus::RequiresAction
            if !refused_lately(conn, id, TransactionKind::Void).await? =>
        {
            begin_void(conn, payment).await
        }
        PaymentStatus::Succeeded
            if payment.state().refundable() > 0 && !refused_lately(conn, id, TransactionKind::Refund).await? =>
        {
            let (left, reason) = (payment.state().refundable(), payment.undo_reason.clone());
            refunds::reserve(conn, &payment, Uuid::now_v7(), left, reason.as_deref()).await.map(Some)
        }
        _ => Ok(None),
    }
}

async fn refused_lately(conn: &mut AsyncPgConnection, id: Uuid, kind: TransactionKind) -> Result<bool, PaymentError> {
    let refused = ledger::last_failed(conn, id, kind).await?;
    Ok(refused.is_some_and(|at| now() - at < PAUSE_AFTER_REFUSAL))
}

async fn begin_void(
    conn: &mut AsyncPgConnection,
    payment: Payment,
) -> Result<Option<(Payment, Movement)>, PaymentError> {
    // A capture on its way is waited for: what it collects is refunded.
    if ledger::open_capture_or_void(conn, payment.id).await?.is_some() {
        return Ok(None);
    }
    let charge = match (&payment.gateway_reference, payment.attempt_id) {
        (Some(reference), _) if payment.status.0 == PaymentStatus::Authorized => Some(reference.clone()),
        (_, Some(attempt)) => ledger::find(conn, attempt).await?.and_then(|row| row.gateway_reference),
        _ => None,
    };
    let new = NewMovement {
        charge_reference: charge.as_deref(),
        reason: payment.undo_reason.as_deref(),
        ..NewMovement::asking(&payment, Uuid::now_v7(), TransactionKind::Void, payment.amount_minor)
    };
    let row = ledger::insert(conn, &new).await?;
    Ok(Some((payment, row)))
}
