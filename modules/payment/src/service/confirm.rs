//! Paying: one attempt with one method.

use diesel_async::AsyncConnection as _;
use eshopz_kernel::PaymentId;
use eshopz_payment_api::PaymentStatus;
use eshopz_platform::idempotency::Claim;
use uuid::Uuid;

use super::settle::{self, Money};
use super::{PaymentService, claim_key, now};
use crate::CaptureMode;
use crate::domain::{Effect, Fact, Failure, Refusal, TransactionKind, TransactionStatus, declines};
use crate::error::PaymentError;
use crate::gateway::{Charge, ChargeOutcome, ChargeRequest, GatewayError};
use crate::store::{Movement, NewMovement, Payment, ledger, payments};

/// What became of an attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    Charge(Charge),
    Failed(Failure),
}

/// A payment and the attempt that is about to be made; none when it is secured already.
type Begun = (Payment, Option<Movement>);

impl PaymentService {
    /// Tries to pay. A payment that is secured already is a success.
    ///
    /// # Errors
    /// 402 under the gateway's reason; 409 `payment_in_progress` or `payment_not_confirmable`; 422
    /// `unknown_payment_method`; 503 when the gateway cannot be reached.
    pub async fn confirm(&self, id: PaymentId, method: &str, claim: Option<&Claim>) -> Result<Payment, PaymentError> {
        if !self.gateway.knows_method(method) {
            return Err(PaymentError::UnknownMethod);
        }
        let begun = match self.begin(id.uuid(), method, claim).await {
            Err(PaymentError::InProgress) => {
                self.chase_abandoned_attempt(id.uuid()).await?;
                self.begin(id.uuid(), method, claim).await?
            }
            begun => begun?,
        };
        match begun {
            (payment, Some(attempt)) => self.carry_out(payment, attempt).await,
            (payment, None) => Ok(payment),
        }
    }

    /// Takes up an attempt that a process began and did not live to answer.
    ///
    /// # Errors
    /// As [`Self::confirm`].
    pub async fn resume_confirm(&self, id: PaymentId, attempt: Uuid) -> Result<Payment, PaymentError> {
        let payment = self.load(id.uuid()).await?;
        let attempt = {
            let mut conn = self.db.conn().await?;
            ledger::find(&mut conn, attempt).await?
        };
        match attempt {
            Some(attempt) if attempt.status == TransactionStatus::Pending => self.carry_out(payment, attempt).await,
            Some(attempt) => answer(payment, &attempt),
            None => Ok(payment),
        }
    }

    async fn begin(&self, id: Uuid, method: &str, claim: Option<&Claim>) -> Result<Begun, PaymentError> {
        let kind = match self.settings.capture {
            CaptureMode::Automatic => TransactionKind::Charge,
            CaptureMode::Manual => TransactionKind::Authorization,
        };
        let attempt = Uuid::now_v7();
        let mut conn = self.db.conn().await?;
        conn.transaction(async |conn| {
            claim_key(conn, claim, attempt).await?;
            let mut payment = payments::lock(conn, id).await?.ok_or(PaymentError::NotFound)?;
            let mut state = payment.state();
            let status = state.status;
            let begun = state.begin(attempt).map_err(|refusal| match refusal {
                Refusal::InProgress => PaymentError::InProgress,
                Refusal::Closed => PaymentError::NotConfirmable(status),
            })?;
            if !begun {
                return Ok((payment, None));
            }
            let now = now();
            payment.set_state(state, now);
            payments::save(conn, &mut payment, now).await?;
            ledger::replace_waiting(conn, id, now).await?;
            let amount = payment.amount_minor;
            let new = NewMovement {
                payment_method: Some(method),
                charge_reference: None,
                ..NewMovement::asking(&payment, attempt, kind, amount)
            };
            let movement = ledger::insert(conn, &new).await?;
            Ok((payment, Some(movement)))
        })
        .await
    }

    /// An attempt that has been on its way for too long is settled before another may begin.
    async fn chase_abandoned_attempt(&self, id: Uuid) -> Result<(), PaymentError> {
        let payment = self.load(id).await?;
        let abandoned = payment.processing_since.is_some_and(|since| since < self.abandoned_before());
        match payment.attempt_id {
            Some(attempt) if abandoned => self.chase_attempt(id, attempt).await,
            _ => Ok(()),
        }
    }

    /// Asks the gateway and writes its answer down. Without an answer the payment stays `processing`.
    async fn carry_out(&self, payment: Payment, attempt: Movement) -> Result<Payment, PaymentError> {
        let request = ChargeRequest {
            idempotency_key: attempt.id,
            payment_id: payment.id.into(),
            amount: payment.money(attempt.amount_minor),
            method: attempt.payment_method.clone().unwrap_or_default(),
            capture: attempt.kind == TransactionKind::Charge,
            reference: payment.order_id.to_string(),
        };
        let failed = |reason: declines::Reason| Outcome::Failed(Failure::of(reason.code));
        let outcome = match self.ask(self.gateway.authorize_or_charge(request)).await {
            Ok(charge) => Outcome::Charge(charge),
            Err(GatewayError::Timeout(detail)) => {
                tracing::warn!(payment = %payment.id, attempt = %attempt.id, detail, "the gateway did not answer");
                self.meter_unanswered();
                return Ok(payment);
            }
            Err(GatewayError::Unavailable(detail)) => {
                tracing::warn!(payment = %payment.id, detail, "the gateway cannot be reached");
                failed(declines::GATEWAY_UNAVAILABLE)
            }
            Err(GatewayError::UnknownMethod) => failed(declines::UNKNOWN_METHOD),
            Err(GatewayError::Rejected { code, message }) => {
                tracing::error!(payment = %payment.id, code, message, "the gateway refused a charge");
                Outcome::Failed(Failure::of("processing_error"))
            }
        };
        let (payment, attempt) = self.settle_attempt(payment.id, attempt.id, outcome).await?;
        self.finish_undo_if_wanted(&payment).await;
        answer(payment, &attempt)
    }

    /// Writes down what became of an attempt, once.
    pub(super) async fn settle_attempt(
        &self,
        payment: Uuid,
        attempt: Uuid,
        outcome: Outcome,
    ) -> Result<(Payment, Movement), PaymentError> {
        let mut conn = self.db.conn().await?;
        let (payment, row, effects) = conn
            .transaction(async |conn| {
                let mut payment = payments::lock(conn, payment).await?.ok_or(PaymentError::NotFound)?;
                let row = ledger::find(conn, attempt).await?.ok_or(PaymentError::NotFound)?;
                let effects =
                    if is_news(&row, &outcome) { take_in(conn, &mut payment, row, outcome).await? } else { Vec::new() };
                let row = ledger::find(conn, attempt).await?.ok_or(PaymentError::NotFound)?;
                Ok::<_, PaymentError>((payment, row, effects))
            })
            .await?;
        self.meter(&payment, &effects);
        Ok((payment, row))
    }
}

/// Money is news whatever was thought of the attempt before, also when another charge was taken for the
/// attempt's own; anything else only while the attempt has no answer.
fn is_news(row: &Movement, outcome: &Outcome) -> bool {
    let money = match outcome {
        Outcome::Charge(Charge {
            outcome: ChargeOutcome::Succeeded | ChargeOutcome::Authorized, reference, ..
        }) => Some(reference),
        Outcome::Charge(_) | Outcome::Failed(_) => None,
    };
    match row.status {
        TransactionStatus::Pending => true,
        TransactionStatus::RequiresAction | TransactionStatus::Failed | TransactionStatus::Cancelled => money.is_some(),
        TransactionStatus::Succeeded | TransactionStatus::Surplus | TransactionStatus::Returned => {
            money.is_some() && money != row.gateway_reference.as_ref()
        }
    }
}

async fn take_in(
    conn: &mut diesel_async::AsyncPgConnection,
    payment: &mut Payment,
    mut row: Movement,
    outcome: Outcome,
) -> Result<Vec<Effect>, PaymentError> {
    let charge = match outcome {
        Outcome::Charge(charge) => charge,
        Outcome::Failed(failure) => return fail(conn, payment, row, failure).await,
    };
    row.method = charge.method.as_ref().and_then(|method| serde_json::to_value(method).ok());
    let money = Money { reference: &charge.reference, amount: row.amount_minor, method: charge.method };
    match charge.outcome {
        ChargeOutcome::Succeeded => Ok(settle::captured(conn, payment, Some(row), money).await?),
        ChargeOutcome::Authorized => Ok(settle::authorized(conn, payment, Some(row), money).await?),
        ChargeOutcome::RequiresAction { next_action } => {
            let effects = settle::apply(conn, payment, Fact::ActionRequired { attempt: row.id, next_action }).await?;
            row.gateway_reference = Some(charge.reference);
            row.status = TransactionStatus::RequiresAction;
            if payment.status.0 != PaymentStatus::RequiresAction {
                row.settle(TransactionStatus::Cancelled, now());
            }
            ledger::save(conn, &row).await?;
            Ok(effects)
        }
        ChargeOutcome::Declined { code, .. } => {
            row.gateway_reference = Some(charge.reference);
            fail(conn, payment, row, Failure::of(&code)).await
        }
        ChargeOutcome::Voided => {
            row.gateway_reference = Some(charge.reference);
            fail(conn, payment, row, Failure::of("authentication_failed")).await
        }
    }
}

async fn fail(
    conn: &mut diesel_async::AsyncPgConnection,
    payment: &mut Payment,
    mut row: Movement,
    failure: Failure,
) -> Result<Vec<Effect>, PaymentError> {
    let fact = Fact::AttemptFailed { attempt: row.id, failure: failure.clone() };
    let effects = settle::apply(conn, payment, fact).await?;
    if failure.code == declines::GATEWAY_UNAVAILABLE.code {
        ledger::free_key(conn, row.id).await?;
    }
    row.fail(failure, now());
    ledger::save(conn, &row).await?;
    Ok(effects)
}

/// What the payer hears of an attempt.
fn answer(payment: Payment, attempt: &Movement) -> Result<Payment, PaymentError> {
    if payment.status.0.is_secured() && payment.undo_requested_at.is_none() {
        return Ok(payment);
    }
    if let Some(failure) = attempt.failure().filter(|_| attempt.status == TransactionStatus::Failed) {
        return Err(match failure.code.as_str() {
            code if code == declines::GATEWAY_UNAVAILABLE.code => PaymentError::GatewayUnavailable,
            code if code == declines::UNKNOWN_METHOD.code => PaymentError::UnknownMethod,
            _ => PaymentError::Declined(failure),
        });
    }
    if payment.undo_requested_at.is_some() || payment.status.0 == PaymentStatus::Cancelled {
        return Err(PaymentError::NotConfirmable(payment.status.0));
    }
    Ok(payment)
}
