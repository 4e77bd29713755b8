//! What the gateway tells on its own: stored first, then applied; in any order, any number of times.

use actix_web::http::header::HeaderMap;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_payment_api::PaymentStatus;
use uuid::Uuid;

use super::settle::{self, Money};
use super::{PaymentService, now, voids};
use crate::domain::{Effect, Fact, Failure, TransactionKind, TransactionStatus};
use crate::error::PaymentError;
use crate::gateway::{GatewayEvent, GatewayNews, WebhookError};
use crate::store::{Movement, Payment, ledger, payments, webhooks};

/// A payment that an event moved, and how; nothing when it had none to move.
type Applied = Option<(Payment, Vec<Effect>)>;

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Takes a webhook in. Once it is stored the gateway need not send it again, whatever happens next; one that
    /// it does send again counts if the first did not yet.
    ///
    /// # Errors
    /// 400 `invalid_signature` or `malformed_event`; 404 when it is not the gateway in use.
    pub async fn receive(&self, gateway: &str, headers: &HeaderMap, body: &str) -> Result<(), PaymentError> {
        if gateway != self.gateway.name() {
            return Err(PaymentError::UnknownGateway);
        }
        let event = self.signed_event(headers, body).await.map_err(PaymentError::Webhook)?;
        let waiting = {
            let mut conn = self.db.conn().await?;
            match webhooks::insert(&mut conn, gateway, &event, body).await? {
                Some(id) => Some(id),
                None => webhooks::unapplied(&mut conn, gateway, &event.id).await?,
            }
        };
        if let Some(id) = waiting
            && let Err(error) = self.apply_stored(id).await
        {
            tracing::warn!(event = event.id, %error, "a stored event is not applied yet");
        }
        Ok(())
    }

    /// Reads an event that is signed with one of the secrets.
    async fn signed_event(&self, headers: &HeaderMap, body: &str) -> Result<GatewayEvent, WebhookError> {
        let mut outcome = Err(WebhookError::Signature);
        for secret in self.webhook_secrets.all() {
            outcome = self.gateway.parse_webhook(headers, body, &secret).await;
            if !matches!(outcome, Err(WebhookError::Signature)) {
                break;
            }
        }
        outcome
    }

    /// Applies a stored event, unless that has been done. One of a payment that is not known stays.
    pub(super) async fn apply_stored(&self, id: Uuid) -> Result<(), PaymentError> {
        let body = {
            let mut conn = self.db.conn().await?;
            webhooks::unapplied_body(&mut conn, id).await?
        };
        let Some(body) = body else { return Ok(()) };
        let event = self.gateway.read_event(&body).map_err(PaymentError::Webhook)?;
        if let Err(error) = self.ask(self.gateway.take_note(&event)).await {
            tracing::warn!(event = %id, %error, "the gateway does not take note of what it told");
            return Err(PaymentError::GatewayUnavailable);
        }
        let applied = {
            let mut conn = self.db.conn().await?;
            conn.transaction(async |conn| apply_event(conn, id, event).await).await?
        };
        if let Some((payment, effects)) = applied {
            self.meter(&payment, &effects);
            self.finish_undo_if_wanted(&payment).await;
        }
        Ok(())
    }

    /// Applies what came before its payment or charge was known, and gives the payment as it is then. An
    /// event that fails is logged: the job goes on.
    pub(super) async fn with_parked(&self, payment: Payment, reference: Option<&str>) -> Result<Payment, PaymentError> {
        let parked = {
            let mut conn = self.db.conn().await?;
            webhooks::parked_for(&mut conn, payment.id, reference).await?
        };
        if parked.is_empty() {
            return Ok(payment);
        }
        for event in parked {
            if let Err(error) = self.apply_stored(event).await {
                tracing::warn!(payment = %payment.id, %event, %error, "a parked event is not applied yet");
            }
        }
        self.load(payment.id).await
    }
}

#[eshopz_crash::crash_points]
async fn apply_event(conn: &mut AsyncPgConnection, id: Uuid, event: GatewayEvent) -> Result<Applied, PaymentError> {
    if !webhooks::lock_unapplied(conn, id).await? {
        return Ok(None);
    }
    if event.news == GatewayNews::Other {
        webhooks::mark_applied(conn, id).await?;
        return Ok(None);
    }
    // It waits until what it is about is known; the job looks again, ever more rarely.
    let Some(mut payment) = payment_of(conn, &event).await? else { return Ok(None) };
    if is_of_other_money(&payment, &event) {
        // Not taken for the payment's, and kept for whoever looks into it.
        let (id, reference) = (&event.id, &event.reference);
        tracing::error!(payment = %payment.id, event = id, reference, "the gateway tells of money of another currency");
        return Ok(None);
    }
    let Some(effects) = absorb(conn, &mut payment, event).await? else { return Ok(None) };
    webhooks::mark_applied(conn, id).await?;
    Ok(Some((payment, effects)))
}

/// The payment that an event is about, locked.
#[eshopz_crash::crash_points]
async fn payment_of(conn: &mut AsyncPgConnection, event: &GatewayEvent) -> Result<Option<Payment>, PaymentError> {
    let id = match event.payment_id {
        Some(id) => Some(id.uuid()),
        None => ledger::attempt_by_reference(conn, &event.reference).await?.map(|row| row.payment_id),
    };
    match id {
        Some(id) => Ok(payments::lock(conn, id).await?),
        None => Ok(None),
    }
}

/// Whether an event names the payment and is about money of another currency: what is written into a charge beside the
/// money is any program's that uses the same account.
fn is_of_other_money(payment: &Payment, event: &GatewayEvent) -> bool {
    event.currency.as_deref().is_some_and(|code| !code.eq_ignore_ascii_case(&payment.currency))
}

/// The attempt that an event names, by our key or by the gateway's reference.
#[eshopz_crash::crash_points]
async fn attempt_of(
    conn: &mut AsyncPgConnection,
    payment: &Payment,
    event: &GatewayEvent,
) -> Result<Option<Movement>, PaymentError> {
    let named = match event.attempt {
        Some(id) => ledger::find(conn, id).await?,
        None => ledger::attempt_by_reference(conn, &event.reference).await?,
    };
    Ok(named.filter(|row| row.payment_id == payment.id && row.kind.is_attempt()))
}

/// What collected the money that an event tells of: the capture that waits for it, the attempt that the
/// event names, or else the attempt that has no answer yet.
#[eshopz_crash::crash_points]
async fn collector_of(
    conn: &mut AsyncPgConnection,
    payment: &Payment,
    event: &GatewayEvent,
) -> Result<Option<Movement>, PaymentError> {
    if payment.gateway_reference.as_deref() == Some(event.reference.as_str())
        && let Some(open) = ledger::open_change_of_hold(conn, payment.id).await?
        && open.kind == TransactionKind::Capture
    {
        return Ok(Some(open));
    }
    attempt_or_latest(conn, payment, event).await
}

#[eshopz_crash::crash_points]
async fn attempt_or_latest(
    conn: &mut AsyncPgConnection,
    payment: &Payment,
    event: &GatewayEvent,
) -> Result<Option<Movement>, PaymentError> {
    if let Some(named) = attempt_of(conn, payment, event).await? {
        return Ok(Some(named));
    }
    match payment.attempt_id {
        Some(latest) => {
            let row = ledger::find(conn, latest).await?;
            Ok(row.filter(|row| row.status == TransactionStatus::Pending && row.gateway_reference.is_none()))
        }
        None => Ok(None),
    }
}

/// Moves the payment by an event; nothing when what it is about is not known yet.
#[eshopz_crash::crash_points]
async fn absorb(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    event: GatewayEvent,
) -> Result<Option<Vec<Effect>>, PaymentError> {
    let effects = match event.news {
        GatewayNews::Captured { amount } => {
            let about = collector_of(conn, payment, &event).await?;
            let money = Money { reference: &event.reference, amount, method: method_of(about.as_ref()) };
            settle::captured(conn, payment, about, money).await?
        }
        GatewayNews::Authorized => {
            let about = attempt_or_latest(conn, payment, &event).await?;
            let (amount, method) = (payment.amount_minor, method_of(about.as_ref()));
            let money = Money { reference: &event.reference, amount, method };
            settle::authorized(conn, payment, about, money).await?
        }
        GatewayNews::Refunded { total } => {
            let fact = Fact::RefundedAtGateway { reference: event.reference, total };
            settle::apply(conn, payment, fact).await?
        }
        GatewayNews::Failed { ref code } => match attempt_of(conn, payment, &event).await? {
            Some(attempt) => failed(conn, payment, attempt, Failure::of(code)).await?,
            // It may be the one on its way, whose name is known when its answer is there.
            None if payment.status.0 == PaymentStatus::Processing => return Ok(None),
            None => Vec::new(),
        },
        GatewayNews::Voided => return voided(conn, payment, event).await,
        GatewayNews::RefundFailed { ref refund, ref code } => return bounced(conn, payment, refund, code).await,
        GatewayNews::Other => Vec::new(),
    };
    Ok(Some(effects))
}

/// A refund that was told as done did not arrive: what it gave back can be refunded again. One that is not
/// known may be one whose answer is still on its way.
#[eshopz_crash::crash_points]
async fn bounced(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    refund: &str,
    code: &str,
) -> Result<Option<Vec<Effect>>, PaymentError> {
    let Some(mut row) = ledger::refund_by_reference(conn, payment.id, refund).await? else { return Ok(None) };
    if row.status != TransactionStatus::Succeeded {
        return Ok(Some(Vec::new()));
    }
    tracing::error!(payment = %payment.id, refund, code, "a refund did not reach the payer");
    let message = "The bank sent the money back.".to_owned();
    row.fail(Failure { code: code.to_owned(), message }, now());
    ledger::save(conn, &row).await?;
    let effects = settle::apply(conn, payment, Fact::RefundBounced { amount: row.amount_minor }).await?;
    settle::publish_refund_failed(conn, payment, &row).await?;
    Ok(Some(effects))
}

/// The method that an attempt was made with.
pub(super) fn method_of(about: Option<&Movement>) -> Option<crate::domain::Method> {
    about.and_then(|row| row.method.clone()).and_then(|method| serde_json::from_value(method).ok())
}

#[eshopz_crash::crash_points]
async fn failed(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    mut attempt: Movement,
    failure: Failure,
) -> Result<Vec<Effect>, PaymentError> {
    let fact = Fact::AttemptFailed { attempt: attempt.id, failure: failure.clone() };
    let effects = settle::apply(conn, payment, fact).await?;
    if matches!(attempt.status, TransactionStatus::Pending | TransactionStatus::RequiresAction) {
        attempt.fail(failure, now());
        ledger::save(conn, &attempt).await?;
    }
    Ok(effects)
}

#[eshopz_crash::crash_points]
async fn voided(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    event: GatewayEvent,
) -> Result<Option<Vec<Effect>>, PaymentError> {
    if let Some(effects) = voids::answered(conn, payment, &event.reference).await? {
        return Ok(Some(effects));
    }
    let attempt = attempt_of(conn, payment, &event).await?;
    let rests = payment.gateway_reference.as_deref() == Some(event.reference.as_str());
    if attempt.is_none() && !rests {
        // The charge may become known yet, unless the payment is closed or secured by another.
        let settled = payment.status.0.is_secured() || payment.status.0 == PaymentStatus::Cancelled;
        return Ok(settled.then(Vec::new));
    }
    let effects = voids::unasked(conn, payment, attempt.map(|row| row.id), event.reference).await?;
    Ok(Some(effects))
}
