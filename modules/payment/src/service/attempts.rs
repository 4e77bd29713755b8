//! An attempt on its way: asking the gateway, writing down what became of it, and what the payer hears.

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_payment_api::PaymentStatus;
use uuid::Uuid;

use super::settle::{self, Money};
use super::{PaymentService, now, voids};
use crate::domain::{Effect, Fact, Failure, TransactionKind, TransactionStatus, declines};
use crate::error::PaymentError;
use crate::gateway::{Charge, ChargeOutcome, ChargeRequest, GatewayError};
use crate::store::{Movement, Payment, ledger, payments};

/// What became of an attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    Charge(Charge),
    Failed(Failure),
}

/// Whether the gateway may have heard of an attempt before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    First,
    Again,
}

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Asks the gateway and writes its answer down. Without an answer the payment stays `processing`. As
    /// often as it takes: the key makes it one charge.
    pub(super) async fn carry_out(
        &self,
        payment: Payment,
        attempt: Movement,
        asked: Asked,
    ) -> Result<Payment, PaymentError> {
        self.at_ours(&payment)?;
        let failed = |reason: declines::Reason| Outcome::Failed(Failure::of(reason.code));
        let outcome = match self.ask(self.gateway.authorize_or_charge(charge_request(&payment, &attempt))).await {
            Ok(charge) => Outcome::Charge(charge),
            Err(GatewayError::Timeout(detail)) => {
                tracing::warn!(payment = %payment.id, attempt = %attempt.id, detail, "the gateway did not answer");
                self.meter_unanswered();
                return Ok(payment);
            }
            Err(GatewayError::Unavailable(detail)) => {
                tracing::warn!(payment = %payment.id, detail, "the gateway cannot be reached");
                if asked == Asked::Again {
                    // That holds for this time; the time before may have got through.
                    return Err(PaymentError::GatewayUnavailable);
                }
                failed(declines::GATEWAY_UNAVAILABLE)
            }
            Err(GatewayError::UnknownMethod) => return self.forget_attempt(payment.id, attempt.id).await,
            Err(GatewayError::Rejected { code, message }) => {
                tracing::error!(payment = %payment.id, code, detail = message, "the gateway refused a charge");
                Outcome::Failed(Failure::of("processing_error"))
            }
        };
        let at_once = match &outcome {
            Outcome::Charge(charge) => self.collected_at_once(&payment, &attempt, charge).await?,
            Outcome::Failed(_) => None,
        };
        let (payment, attempt) = match at_once {
            Some(collected) => collected,
            None => self.settle_attempt(payment.id, attempt.id, outcome).await?,
        };
        let payment = self.with_parked(payment, attempt.gateway_reference.as_deref()).await?;
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
                let news = is_news(&payment, &row, &outcome);
                let effects = if news { take_in(conn, &mut payment, row, outcome).await? } else { Vec::new() };
                let row = ledger::find(conn, attempt).await?.ok_or(PaymentError::NotFound)?;
                Ok::<_, PaymentError>((payment, row, effects))
            })
            .await?;
        self.meter(&payment, &effects);
        Ok((payment, row))
    }

    /// The method was none: the attempt leaves no trace, neither in the ledger nor by its key.
    async fn forget_attempt(&self, payment: Uuid, attempt: Uuid) -> Result<Payment, PaymentError> {
        let mut conn = self.db.conn().await?;
        let (payment, effects) = conn
            .transaction(async |conn| {
                let mut payment = payments::lock(conn, payment).await?.ok_or(PaymentError::NotFound)?;
                let open = ledger::find(conn, attempt).await?.filter(|row| row.status == TransactionStatus::Pending);
                let mut effects = Vec::new();
                if open.is_some() {
                    effects = settle::apply(conn, &mut payment, Fact::AttemptForgotten { attempt }).await?;
                    ledger::free_key(conn, attempt).await?;
                    ledger::strike(conn, attempt).await?;
                }
                Ok::<_, PaymentError>((payment, effects))
            })
            .await?;
        self.meter(&payment, &effects);
        Err(PaymentError::UnknownMethod)
    }
}

fn charge_request(payment: &Payment, attempt: &Movement) -> ChargeRequest {
    ChargeRequest {
        idempotency_key: attempt.id,
        payment_id: payment.id.into(),
        amount: payment.money(attempt.amount_minor),
        method: attempt.payment_method.clone().unwrap_or_default(),
        capture: attempt.kind == TransactionKind::Charge,
        reference: payment.order_id.to_string(),
    }
}

/// Money is news whatever was thought of the attempt before, also when another charge was taken for the
/// attempt's own, or when what it held was collected or let go and nobody told us; anything else only while
/// the attempt has no answer, or waits for the payer and has come to an end.
fn is_news(payment: &Payment, row: &Movement, outcome: &Outcome) -> bool {
    let Outcome::Charge(charge) = outcome else { return row.status == TransactionStatus::Pending };
    let (collected, let_go) = (collects(charge), charge.outcome == ChargeOutcome::Voided);
    if payment.status.0 == PaymentStatus::Authorized && (collected || (let_go && rests_on(payment, charge))) {
        return true;
    }
    let is_money = collected || charge.outcome == ChargeOutcome::Authorized;
    match row.status {
        TransactionStatus::Pending if !row.is_replaced() => true,
        TransactionStatus::Pending | TransactionStatus::RequiresAction => {
            !matches!(charge.outcome, ChargeOutcome::RequiresAction { .. })
        }
        TransactionStatus::Failed | TransactionStatus::Cancelled => is_money,
        TransactionStatus::Succeeded | TransactionStatus::Surplus | TransactionStatus::Returned => {
            is_money && Some(&charge.reference) != row.gateway_reference.as_ref()
        }
    }
}

const fn collects(charge: &Charge) -> bool {
    matches!(charge.outcome, ChargeOutcome::Succeeded { .. })
}

fn rests_on(payment: &Payment, charge: &Charge) -> bool {
    payment.gateway_reference.as_ref() == Some(&charge.reference)
}

#[eshopz_crash::crash_points]
async fn take_in(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    mut row: Movement,
    outcome: Outcome,
) -> Result<Vec<Effect>, PaymentError> {
    let charge = match outcome {
        Outcome::Charge(charge) => charge,
        Outcome::Failed(failure) => return fail(conn, payment, row, failure).await,
    };
    // It had an answer before: what ends it now is what a webhook would have told.
    if charge.outcome == ChargeOutcome::Voided && row.status != TransactionStatus::Pending {
        return Ok(voids::let_go_elsewhere(conn, payment, row.id, charge.reference).await?);
    }
    row.method = charge.method.as_ref().and_then(|method| serde_json::to_value(method).ok());
    let amount = row.amount_minor;
    let money = |amount| Money { reference: &charge.reference, amount, method: charge.method.clone() };
    match charge.outcome {
        ChargeOutcome::Succeeded { captured } => Ok(settle::captured(conn, payment, Some(row), money(captured)).await?),
        ChargeOutcome::Authorized => Ok(settle::authorized(conn, payment, Some(row), money(amount)).await?),
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
        ChargeOutcome::Declined { ref code, .. } => {
            let failure = Failure::of(code);
            row.gateway_reference = Some(charge.reference).filter(|name| !name.is_empty()).or(row.gateway_reference);
            fail(conn, payment, row, failure).await
        }
        ChargeOutcome::Voided => {
            row.gateway_reference = Some(charge.reference);
            fail(conn, payment, row, Failure::of("authentication_failed")).await
        }
    }
}

#[eshopz_crash::crash_points]
async fn fail(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    mut row: Movement,
    failure: Failure,
) -> Result<Vec<Effect>, PaymentError> {
    let fact = Fact::AttemptFailed { attempt: row.id, failure: failure.clone() };
    let effects = settle::apply(conn, payment, fact).await?;
    if had_no_effect(&failure) {
        ledger::free_key(conn, row.id).await?;
    }
    row.fail(failure, now());
    ledger::save(conn, &row).await?;
    Ok(effects)
}

/// Nothing came of it at the gateway, so the same request may be made anew with the same key.
fn had_no_effect(failure: &Failure) -> bool {
    [declines::GATEWAY_UNAVAILABLE.code, declines::GATEWAY_TIMEOUT.code].contains(&failure.code.as_str())
}

/// Whether the gateway never made anything of this attempt.
pub(super) fn came_to_nothing(attempt: &Movement) -> bool {
    attempt.status == TransactionStatus::Failed && attempt.failure().is_some_and(|failure| had_no_effect(&failure))
}

/// What the payer hears of an attempt.
pub(super) fn answer(payment: Payment, attempt: &Movement) -> Result<Payment, PaymentError> {
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
