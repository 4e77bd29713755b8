//! Undoing the payment of a cancelled order: void what is held, refund what was collected, close the rest.

use std::time::Duration;

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::OrderId;
use eshopz_payment_api::{PaymentStatus, PaymentSummary};
use uuid::Uuid;

use super::{PaymentService, kept_reason, refunds, settle};
use crate::domain::{Fact, TransactionKind, TransactionStatus};
use crate::error::PaymentError;
use crate::store::{Movement, NewMovement, Payment, ledger, payments};

/// After the gateway refused to take something back it is asked again so much later.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(600);

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Undoes the payment of an order. What the gateway does not do at once is done by the periodic job.
    ///
    /// # Errors
    /// 404 when the order has no payment.
    pub async fn undo(&self, order: OrderId, reason: &str) -> Result<PaymentSummary, PaymentError> {
        let reason = kept_reason(reason);
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

    /// Takes the next step of undoing: one void or one refund, whichever the state asks for. When a refund is refused
    /// because some of it has gone back already, the rest is the next step.
    pub(super) async fn finish_undo(&self, payment: Uuid) -> Result<(), PaymentError> {
        let mut pause = PAUSE_AFTER_REFUSAL;
        while let Some((payment, row)) = self.begin_step(payment, pause).await? {
            if row.kind == TransactionKind::Void {
                return self.carry_out_void(&payment, row).await.map(drop);
            }
            let row = self.carry_out_refund(&payment, row).await?;
            if row.status != TransactionStatus::Failed {
                break;
            }
            // Less each time, so this ends.
            if self.load(payment.id).await?.state().refundable() >= row.amount_minor {
                break;
            }
            pause = Duration::ZERO;
        }
        Ok(())
    }

    async fn begin_step(&self, payment: Uuid, pause: Duration) -> Result<Option<(Payment, Movement)>, PaymentError> {
        let mut conn = self.db.conn().await?;
        conn.transaction(async |conn| next_step(conn, payment, self.gateway.name(), pause).await).await
    }
}

/// What to ask the gateway for next, written down; nothing when all is undone, or somebody is at it, or it is
/// at another gateway.
#[eshopz_crash::crash_points]
async fn next_step(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    gateway: &str,
    pause: Duration,
) -> Result<Option<(Payment, Movement)>, PaymentError> {
    let payment = payments::lock(conn, id).await?.ok_or(PaymentError::NotFound)?;
    if payment.undo_requested_at.is_none() || payment.gateway != gateway {
        return Ok(None);
    }
    match payment.status.0 {
        PaymentStatus::Authorized | PaymentStatus::RequiresAction
            if !ledger::has_failed_within(conn, id, TransactionKind::Void, pause).await? =>
        {
            begin_void(conn, payment).await
        }
        PaymentStatus::Succeeded
            if payment.state().refundable() > 0
                && !ledger::has_failed_within(conn, id, TransactionKind::Refund, pause).await? =>
        {
            let (left, reason) = (payment.state().refundable(), payment.undo_reason.clone());
            Ok(refunds::reserve(conn, &payment, Uuid::now_v7(), left, reason.as_deref()).await?)
        }
        _ => Ok(None),
    }
}

#[eshopz_crash::crash_points]
async fn begin_void(
    conn: &mut AsyncPgConnection,
    payment: Payment,
) -> Result<Option<(Payment, Movement)>, PaymentError> {
    // What is on its way is waited for: what a capture collects is refunded.
    if ledger::open_change_of_hold(conn, payment.id).await?.is_some() {
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
        ..NewMovement::asking(&payment, Uuid::now_v7(), TransactionKind::Void, payment.state().capturable())
    };
    let row = ledger::insert(conn, &new).await?;
    Ok(Some((payment, row)))
}
