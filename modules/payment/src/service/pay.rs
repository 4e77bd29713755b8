//! Making a payment and paying it in one go, as a checkout does whose method came along.

use eshopz_payment_api::{CreatePayment, PaymentStatus, PaymentSucceeded};
use eshopz_platform::events::outbox::Entry;
use uuid::Uuid;

use super::attempts::Asked;
use super::{PaymentService, now};
use crate::CaptureMode;
use crate::domain::{Effect, Fact, TransactionKind, TransactionStatus, state};
use crate::error::PaymentError;
use crate::gateway::{Charge, ChargeOutcome};
use crate::store::{Movement, Payment, fresh};

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Makes the payment of an order and tries to pay; as [`Self::create`] and [`Self::confirm`] do it, where the order
    /// has a payment already, nothing is to be paid, or not by this method.
    ///
    /// # Errors
    /// As theirs.
    pub async fn pay(&self, command: &CreatePayment, method: &str) -> Result<Payment, PaymentError> {
        if command.amount.amount > 0
            && self.gateway.knows_method(method)
            && let Some((payment, attempt)) = self.begin_fresh(command, method).await?
        {
            return self.carry_out(payment, attempt, Asked::First).await;
        }
        let payment = self.create(command).await?;
        self.confirm(payment.id, method, None).await
    }

    async fn begin_fresh(
        &self,
        command: &CreatePayment,
        method: &str,
    ) -> Result<Option<(Payment, Movement)>, PaymentError> {
        let kind = self.kind_of_attempts();
        let mut conn = self.db.conn().await?;
        Ok(fresh::begin(&mut conn, command, self.gateway.name(), Uuid::now_v7(), kind, method).await?)
    }

    /// What an attempt is to do.
    pub(super) const fn kind_of_attempts(&self) -> TransactionKind {
        match self.settings.capture {
            CaptureMode::Automatic => TransactionKind::Charge,
            CaptureMode::Manual => TransactionKind::Authorization,
        }
    }

    /// Writes down by one statement that an attempt was collected of which nothing else is to be said; `None` where
    /// there is, or the payment has changed since.
    pub(super) async fn collected_at_once(
        &self,
        payment: &Payment,
        attempt: &Movement,
        charge: &Charge,
    ) -> Result<Option<(Payment, Movement)>, PaymentError> {
        let Some(Collected { payment, row, effects }) = collected(payment, attempt, charge) else { return Ok(None) };
        let event = Entry::of(&PaymentSucceeded {
            payment_id: payment.id.into(),
            order_id: payment.order_id.into(),
            amount: payment.money(payment.captured_minor),
            at: payment.updated_at,
        })?;
        let mut conn = self.db.conn().await?;
        if !fresh::collected(&mut conn, &payment, &row, &event).await? {
            return Ok(None);
        }
        self.meter(&payment, &effects);
        Ok(Some((payment, row)))
    }
}

/// A payment and its attempt as they are once it is collected.
struct Collected {
    payment: Payment,
    row: Movement,
    effects: Vec<Effect>,
}

/// What an answer makes of an attempt that is on its way, if that is the plain case: all of it was collected.
fn collected(before: &Payment, attempt: &Movement, charge: &Charge) -> Option<Collected> {
    let ChargeOutcome::Succeeded { captured } = charge.outcome else { return None };
    let on_its_way = before.status.0 == PaymentStatus::Processing && before.attempt_id == Some(attempt.id);
    let pending = attempt.status == TransactionStatus::Pending && !attempt.is_replaced();
    if !on_its_way || !pending || attempt.kind != TransactionKind::Charge {
        return None;
    }
    let mut state = before.state();
    let fact = Fact::Captured { reference: charge.reference.clone(), amount: captured, method: charge.method.clone() };
    let effects = state::reduce(&mut state, fact);
    let (mut payment, now) = (before.clone(), now());
    payment.set_state(state, now);
    payment.version += 1;
    payment.updated_at = now;
    if effects != [Effect::Captured { amount: captured }] || payment != with_what_is_written(before, &payment) {
        return None;
    }
    let mut row = attempt.clone();
    row.method = charge.method.as_ref().and_then(|method| serde_json::to_value(method).ok());
    row.amount_minor = captured;
    row.gateway_reference.get_or_insert_with(|| charge.reference.clone());
    row.settle(TransactionStatus::Succeeded, now);
    Some(Collected { payment, row, effects })
}

/// What the row is after the statement that writes it; see [`fresh::collected`].
fn with_what_is_written(before: &Payment, after: &Payment) -> Payment {
    Payment {
        status: after.status,
        captured_minor: after.captured_minor,
        gateway_reference: after.gateway_reference.clone(),
        method: after.method.clone(),
        processing_since: None,
        secured_at: after.secured_at,
        version: after.version,
        updated_at: after.updated_at,
        ..before.clone()
    }
}
