//! Collecting what was held.

use diesel_async::AsyncConnection as _;
use eshopz_kernel::{Money, PaymentId};
use eshopz_payment_api::PaymentStatus;
use eshopz_platform::audit::{self, Entry};
use eshopz_platform::idempotency::Claim;
use uuid::Uuid;

use super::{PaymentService, claim_key, now, settle};
use crate::domain::{Failure, TransactionKind, TransactionStatus};
use crate::error::PaymentError;
use crate::gateway::{FollowUp, GatewayError};
use crate::store::{Movement, NewMovement, Payment, ledger, payments};

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Collects what is held and was not released, in part (the rest is let go) or whole.
    ///
    /// # Errors
    /// 409 `payment_not_capturable` or `capture_exceeds_authorized`; 422 for a bad amount; 503 while the
    /// gateway's answer is not known: the same key finds it out.
    pub async fn capture(&self, id: PaymentId, amount: Option<Money>, claim: &Claim) -> Result<Payment, PaymentError> {
        let capture = Uuid::now_v7();
        let (payment, row) = {
            let mut conn = self.db.conn().await?;
            conn.transaction(async |conn| {
                claim_key(conn, Some(claim), capture).await?;
                let payment = payments::lock(conn, id.uuid()).await?.ok_or(PaymentError::NotFound)?;
                self.at_ours(&payment)?;
                let busy = ledger::open_change_of_hold(conn, payment.id).await?.is_some();
                let amount = capturable(&payment, amount, busy)?;
                let new = NewMovement::asking(&payment, capture, TransactionKind::Capture, amount);
                let row = ledger::insert(conn, &new).await?;
                audit::record(conn, &noted("payment.captured", &payment, &row)).await?;
                Ok::<_, PaymentError>((payment, row))
            })
            .await?
        };
        self.carry_out_capture(&payment, row).await
    }

    /// Takes up a capture that a process began and did not live to answer.
    ///
    /// # Errors
    /// As [`Self::capture`].
    pub async fn resume_capture(&self, id: PaymentId, capture: Uuid) -> Result<Payment, PaymentError> {
        let row = {
            let mut conn = self.db.conn().await?;
            ledger::find(&mut conn, capture).await?.ok_or(PaymentError::NotFound)?
        };
        // After the row: once that is settled, so is the payment that is answered.
        let payment = self.load(id.uuid()).await?;
        if row.status == TransactionStatus::Pending {
            return self.carry_out_capture(&payment, row).await;
        }
        answer(payment, &row)
    }

    /// Asks the gateway, as often as it takes: the key makes it one capture.
    pub(super) async fn carry_out_capture(&self, payment: &Payment, row: Movement) -> Result<Payment, PaymentError> {
        self.at_ours(payment)?;
        let request = follow_up(payment, &row);
        let told = match self.ask(self.gateway.capture(request)).await {
            Ok(reference) => Ok(reference),
            Err(error) => Err(refusal(&error).ok_or_else(|| unanswered(&row, &error))?),
        };
        // Most likely the hold is none any more, and the webhook that told so was lost.
        if told.is_err() {
            self.learn_of(payment).await?;
        }
        let (payment, row) = self.settle_capture(payment.id, row.id, told).await?;
        self.finish_undo_if_wanted(&payment).await;
        answer(payment, &row)
    }

    async fn settle_capture(
        &self,
        payment: Uuid,
        capture: Uuid,
        told: Result<String, Failure>,
    ) -> Result<(Payment, Movement), PaymentError> {
        let mut conn = self.db.conn().await?;
        let (payment, row, effects) = conn
            .transaction(async |conn| {
                let mut payment = payments::lock(conn, payment).await?.ok_or(PaymentError::NotFound)?;
                let mut row = ledger::find(conn, capture).await?.ok_or(PaymentError::NotFound)?;
                let mut effects = Vec::new();
                if row.status == TransactionStatus::Pending {
                    match told {
                        Ok(reference) => {
                            row.gateway_reference = Some(reference);
                            let charge = row.charge_reference.clone().unwrap_or_default();
                            let money = settle::Money { reference: &charge, amount: row.amount_minor, method: None };
                            effects = settle::captured(conn, &mut payment, Some(row), money).await?;
                        }
                        Err(failure) => {
                            row.fail(failure, now());
                            ledger::save(conn, &row).await?;
                        }
                    }
                }
                let row = ledger::find(conn, capture).await?.ok_or(PaymentError::NotFound)?;
                Ok::<_, PaymentError>((payment, row, effects))
            })
            .await?;
        self.meter(&payment, &effects);
        Ok((payment, row))
    }
}

/// What an admin has set going with a payment, for the audit log.
pub(super) fn noted(action: &'static str, payment: &Payment, row: &Movement) -> Entry {
    let entry = Entry::new(action, "payment", payment.id);
    entry
        .with("transaction_id", row.id)
        .with("amount", payment.money(row.amount_minor))
        .with("order_id", payment.order_id)
}

/// The amount to collect, in minor units.
fn capturable(payment: &Payment, amount: Option<Money>, busy: bool) -> Result<i64, PaymentError> {
    if payment.status.0 != PaymentStatus::Authorized || payment.undo_requested_at.is_some() || busy {
        return Err(PaymentError::NotCapturable(payment.status.0));
    }
    let held = payment.money(payment.state().capturable());
    let amount = amount.unwrap_or(held);
    if amount.currency != held.currency || (amount.amount < 1 && held.amount > 0) {
        return Err(PaymentError::BadAmount { expected: held });
    }
    if amount.amount > held.amount {
        return Err(PaymentError::CaptureExceeds { capturable: held });
    }
    Ok(amount.amount)
}

/// What the gateway is asked to do to a charge, by the ledger's row.
pub(super) fn follow_up(payment: &Payment, row: &Movement) -> FollowUp {
    FollowUp {
        idempotency_key: row.id,
        charge: row.charge_reference.clone().unwrap_or_default(),
        amount: payment.money(row.amount_minor),
    }
}

/// The gateway's no, if that is what it is.
pub(super) fn refusal(error: &GatewayError) -> Option<Failure> {
    match error {
        GatewayError::Timeout(_) | GatewayError::Unavailable(_) => None,
        GatewayError::UnknownMethod => Some(Failure::of("processing_error")),
        GatewayError::Rejected { code, message } => Some(Failure { code: code.clone(), message: message.clone() }),
    }
}

/// It stays open, and is asked again.
pub(super) fn unanswered(row: &Movement, error: &GatewayError) -> PaymentError {
    tracing::warn!(payment = %row.payment_id, transaction = %row.id, kind = row.kind.as_str(), %error, "no answer yet");
    PaymentError::GatewayUnavailable
}

fn answer(payment: Payment, row: &Movement) -> Result<Payment, PaymentError> {
    match row.failure() {
        Some(failure) => Err(PaymentError::GatewayRefused(format!("{}: {}", failure.code, failure.message))),
        None => Ok(payment),
    }
}
