//! Giving part of an order's payment back, whatever became of it so far: what was collected is refunded;
//! of what is held, so much less can be collected, until nothing is left and all of it is let go.

use diesel::result::Error as DieselError;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::RefundId;
use eshopz_payment_api::{PaymentReleased, PaymentStatus, RefundPayment, RefundStatus, RefundSummary};
use eshopz_platform::events::outbox;

use super::{PaymentService, kept_reason, now, refunds, settle};
use crate::domain::{Fact, TransactionKind, TransactionStatus};
use crate::error::PaymentError;
use crate::store::{Movement, NewMovement, Payment, ledger, payments};

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Gives part of an order's payment back, once for each refund id.
    ///
    /// # Errors
    /// 404 when the order has no payment; 409 `payment_not_refundable`, `refund_exceeds_captured` or
    /// `refund_exists`; 422 for a bad amount; 503 `payment_outcome_unknown` while it is not known what there
    /// is to give back.
    pub async fn refund_order(&self, mut command: RefundPayment) -> Result<RefundSummary, PaymentError> {
        command.reason = command.reason.as_deref().map(kept_reason);
        let (payment, row) = {
            let mut conn = self.db.conn().await?;
            conn.transaction(async |conn| {
                let found = payments::lock_of_order(conn, command.order_id.uuid()).await?;
                let payment = found.ok_or(PaymentError::NotFound)?;
                self.at_ours(&payment)?;
                match ledger::find(conn, command.refund_id.uuid()).await? {
                    Some(row) => same(payment, row, &command),
                    None => begin(conn, payment, &command).await,
                }
            })
            .await?
        };
        let row = match (row.status, row.kind) {
            (TransactionStatus::Pending, TransactionKind::Release) => self.try_void(&payment, row).await?,
            (TransactionStatus::Pending, _) => self.carry_out_refund(&payment, row).await?,
            _ => row,
        };
        Ok(summary(&payment, &row))
    }

    /// Lets all of it go; still `pending` when the gateway does not answer.
    async fn try_void(&self, payment: &Payment, row: Movement) -> Result<Movement, PaymentError> {
        match self.carry_out_void(payment, row.clone()).await {
            Err(PaymentError::GatewayUnavailable) => Ok(row),
            done => done,
        }
    }
}

fn summary(payment: &Payment, row: &Movement) -> RefundSummary {
    let status = match row.status {
        TransactionStatus::Pending | TransactionStatus::RequiresAction => RefundStatus::Pending,
        TransactionStatus::Failed => RefundStatus::Failed,
        TransactionStatus::Succeeded
        | TransactionStatus::Cancelled
        | TransactionStatus::Surplus
        | TransactionStatus::Returned => RefundStatus::Succeeded,
    };
    RefundSummary { id: row.id.into(), status, amount: payment.money(row.amount_minor) }
}

/// The row that this refund has made before; another refund's is refused.
fn same(payment: Payment, row: Movement, command: &RefundPayment) -> Result<(Payment, Movement), PaymentError> {
    let gives_back = matches!(row.kind, TransactionKind::Refund | TransactionKind::Release);
    let alike = row.payment_id == payment.id && gives_back && payment.money(row.amount_minor) == command.amount;
    if alike { Ok((payment, row)) } else { Err(PaymentError::OtherRefund) }
}

#[eshopz_crash::crash_points]
async fn begin(
    conn: &mut AsyncPgConnection,
    payment: Payment,
    command: &RefundPayment,
) -> Result<(Payment, Movement), PaymentError> {
    match payment.status.0 {
        PaymentStatus::Succeeded => {
            let (id, amount) = (command.refund_id.uuid(), Some(command.amount));
            refunds::begin(conn, &payment, id, amount, command.reason.as_deref()).await
        }
        PaymentStatus::Authorized => release(conn, payment, command).await,
        PaymentStatus::Processing => Err(PaymentError::OutcomeUnknown),
        PaymentStatus::RequiresPaymentMethod
        | PaymentStatus::RequiresAction
        | PaymentStatus::Failed
        | PaymentStatus::Cancelled => Err(PaymentError::NotRefundable(payment.status.0)),
    }
}

/// Takes the amount from what can be collected. A part of it is a matter of our own books, for the gateway
/// has no word for it; the last part is a question to the gateway, and not done before its answer.
#[eshopz_crash::crash_points]
async fn release(
    conn: &mut AsyncPgConnection,
    mut payment: Payment,
    command: &RefundPayment,
) -> Result<(Payment, Movement), PaymentError> {
    let busy = ledger::open_change_of_hold(conn, payment.id).await?.is_some();
    if busy || payment.undo_requested_at.is_some() {
        return Err(PaymentError::OutcomeUnknown);
    }
    let left = payment.money(payment.state().capturable());
    let amount = refunds::part_of(left, Some(command.amount))?;
    let new = NewMovement {
        reason: command.reason.as_deref(),
        ..NewMovement::asking(&payment, command.refund_id.uuid(), TransactionKind::Release, amount)
    };
    let mut row = ledger::insert(conn, &new).await?;
    if amount < left.amount {
        row.gateway_reference = payment.gateway_reference.clone();
        row.settle(TransactionStatus::Succeeded, now());
        ledger::save(conn, &row).await?;
        settle::apply(conn, &mut payment, Fact::Released { amount }).await?;
        publish(conn, &payment, &row).await?;
    }
    Ok((payment, row))
}

/// Tells that so much less will be collected.
#[eshopz_crash::crash_points]
pub(super) async fn publish(
    conn: &mut AsyncPgConnection,
    payment: &Payment,
    release: &Movement,
) -> Result<(), DieselError> {
    let event = PaymentReleased {
        payment_id: payment.id.into(),
        order_id: payment.order_id.into(),
        refund_id: RefundId::from(release.id),
        amount: payment.money(release.amount_minor),
        released_amount: payment.money(payment.released_minor),
        at: now(),
    };
    outbox::publish(conn, &event).await?;
    Ok(())
}
