//! Letting go at the gateway of what is held or waits for the payer: all that is left, since an order was
//! cancelled (a void) or since the last of its lines was (a release).

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use uuid::Uuid;

use super::capture::{follow_up, refusal, unanswered};
use super::{PaymentService, now, releases, settle};
use crate::domain::{Effect, Fact, Failure, TransactionKind, TransactionStatus};
use crate::error::PaymentError;
use crate::store::{Movement, Payment, ledger, payments};

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Asks the gateway, as often as it takes: the key makes it one void.
    pub(super) async fn carry_out_void(&self, payment: &Payment, row: Movement) -> Result<Movement, PaymentError> {
        let told = match self.ask(self.gateway.void(follow_up(payment, &row))).await {
            Ok(reference) => Ok(reference),
            Err(error) => Err(refusal(&error).ok_or_else(|| unanswered(&row, &error))?),
        };
        // Most likely it was collected meanwhile: find that out, so that it can be refunded. First, because a refusal
        // that is noted is not asked about again for a while.
        if let Some(attempt) = payment.attempt_id.filter(|_| told.is_err()) {
            self.learn_of_attempt(payment.id, attempt).await?;
        }
        self.settle_void(payment.id, row.id, told).await
    }

    async fn settle_void(
        &self,
        payment: Uuid,
        void: Uuid,
        told: Result<String, Failure>,
    ) -> Result<Movement, PaymentError> {
        let mut conn = self.db.conn().await?;
        let (payment, row, effects) = conn
            .transaction(async |conn| {
                let mut payment = payments::lock(conn, payment).await?.ok_or(PaymentError::NotFound)?;
                let row = ledger::find(conn, void).await?.ok_or(PaymentError::NotFound)?;
                if row.status != TransactionStatus::Pending {
                    return Ok((payment, row, Vec::new()));
                }
                let (row, effects) = match told {
                    Ok(reference) => let_go(conn, &mut payment, row, reference).await?,
                    Err(failure) => (refused(conn, &payment, row, failure).await?, Vec::new()),
                };
                Ok::<_, PaymentError>((payment, row, effects))
            })
            .await?;
        self.meter(&payment, &effects);
        Ok(row)
    }
}

/// The gateway let it go: the payment is over.
#[eshopz_crash::crash_points]
pub(super) async fn let_go(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    mut row: Movement,
    reference: String,
) -> Result<(Movement, Vec<Effect>), PaymentError> {
    row.gateway_reference = Some(reference);
    row.settle(TransactionStatus::Succeeded, now());
    ledger::save(conn, &row).await?;
    if row.kind == TransactionKind::Release {
        settle::apply(conn, payment, Fact::Released { amount: row.amount_minor }).await?;
        releases::publish(conn, payment, &row).await?;
    }
    let charge = row.charge_reference.clone().unwrap_or_default();
    let fact = Fact::Voided { reference: charge, attempt: payment.attempt_id };
    let effects = settle::apply(conn, payment, fact).await?;
    ledger::replace_waiting(conn, payment.id, now()).await?;
    Ok((row, effects))
}

#[eshopz_crash::crash_points]
async fn refused(
    conn: &mut AsyncPgConnection,
    payment: &Payment,
    mut row: Movement,
    failure: Failure,
) -> Result<Movement, PaymentError> {
    row.fail(failure, now());
    ledger::save(conn, &row).await?;
    if row.kind == TransactionKind::Release {
        settle::publish_refund_failed(conn, payment, &row).await?;
    }
    Ok(row)
}
