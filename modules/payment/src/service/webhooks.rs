//! What the gateway tells on its own: stored first, then applied; in any order, any number of times.

use actix_web::http::header::HeaderMap;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use uuid::Uuid;

use super::settle::{self, Money};
use super::{PaymentService, now};
use crate::domain::{Effect, Fact, Failure, TransactionKind, TransactionStatus};
use crate::error::PaymentError;
use crate::gateway::{GatewayEvent, GatewayNews, WebhookError};
use crate::store::{Movement, NewMovement, Payment, ledger, payments, webhooks};

/// A payment that an event moved, and how; nothing when it had none to move.
type Applied = Option<(Payment, Vec<Effect>)>;

impl PaymentService {
    /// Takes a webhook in. Once it is stored the gateway need not send it again, whatever happens next.
    ///
    /// # Errors
    /// 400 `invalid_signature` or `malformed_event`; 404 when it is not the gateway in use.
    pub async fn receive(&self, gateway: &str, headers: &HeaderMap, body: &str) -> Result<(), PaymentError> {
        if gateway != self.gateway.name() {
            return Err(PaymentError::UnknownGateway);
        }
        let event = self.signed_event(headers, body).await.map_err(PaymentError::Webhook)?;
        let stored = {
            let mut conn = self.db.conn().await?;
            webhooks::insert(&mut conn, gateway, &event, body).await?
        };
        if let Some(id) = stored
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
        let applied = {
            let mut conn = self.db.conn().await?;
            conn.transaction(async |conn| self.apply_event(conn, id).await).await?
        };
        if let Some((payment, effects)) = applied {
            self.meter(&payment, &effects);
            self.finish_undo_if_wanted(&payment).await;
        }
        Ok(())
    }

    async fn apply_event(&self, conn: &mut AsyncPgConnection, id: Uuid) -> Result<Applied, PaymentError> {
        let Some(stored) = webhooks::lock_unapplied(conn, id).await? else { return Ok(None) };
        let event = self.gateway.read_event(&stored.body).map_err(PaymentError::Webhook)?;
        if event.news == GatewayNews::Other {
            webhooks::mark_applied(conn, id).await?;
            return Ok(None);
        }
        let Some(mut payment) = payment_of(conn, &event).await? else {
            webhooks::park(conn, &stored).await?;
            return Ok(None);
        };
        let effects = absorb(conn, &mut payment, event).await?;
        webhooks::mark_applied(conn, id).await?;
        Ok(Some((payment, effects)))
    }
}

/// The payment that an event is about, locked.
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

/// The attempt that an event names, by our key or by the gateway's reference.
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
async fn collector_of(
    conn: &mut AsyncPgConnection,
    payment: &Payment,
    event: &GatewayEvent,
) -> Result<Option<Movement>, PaymentError> {
    if payment.gateway_reference.as_deref() == Some(event.reference.as_str())
        && let Some(open) = ledger::open_capture_or_void(conn, payment.id).await?
        && open.kind == TransactionKind::Capture
    {
        return Ok(Some(open));
    }
    attempt_or_latest(conn, payment, event).await
}

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

async fn absorb(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    event: GatewayEvent,
) -> Result<Vec<Effect>, PaymentError> {
    match event.news {
        GatewayNews::Captured { amount } => {
            let about = collector_of(conn, payment, &event).await?;
            let money = Money { reference: &event.reference, amount, method: method_of(about.as_ref()) };
            Ok(settle::captured(conn, payment, about, money).await?)
        }
        GatewayNews::Authorized => {
            let about = attempt_or_latest(conn, payment, &event).await?;
            let (amount, method) = (payment.amount_minor, method_of(about.as_ref()));
            let money = Money { reference: &event.reference, amount, method };
            Ok(settle::authorized(conn, payment, about, money).await?)
        }
        GatewayNews::Refunded { total } => {
            let fact = Fact::RefundedAtGateway { reference: event.reference, total };
            Ok(settle::apply(conn, payment, fact).await?)
        }
        GatewayNews::Failed { ref code } => match attempt_of(conn, payment, &event).await? {
            Some(attempt) => failed(conn, payment, attempt, Failure::of(code)).await,
            // It cannot be told which attempt this was; the one on its way has its own answer.
            None => Ok(Vec::new()),
        },
        GatewayNews::Voided => voided(conn, payment, event).await,
        GatewayNews::Other => Ok(Vec::new()),
    }
}

fn method_of(about: Option<&Movement>) -> Option<crate::domain::Method> {
    about.and_then(|row| row.method.clone()).and_then(|method| serde_json::from_value(method).ok())
}

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

async fn voided(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    event: GatewayEvent,
) -> Result<Vec<Effect>, PaymentError> {
    let attempt = attempt_of(conn, payment, &event).await?;
    let fact = Fact::Voided { reference: event.reference.clone(), attempt: attempt.as_ref().map(|row| row.id) };
    let effects = settle::apply(conn, payment, fact).await?;
    if !effects.contains(&Effect::Cancelled) {
        return Ok(effects);
    }
    ledger::replace_waiting(conn, payment.id, now()).await?;
    match ledger::open_capture_or_void(conn, payment.id).await? {
        Some(mut open) if open.kind == TransactionKind::Void => {
            open.settle(TransactionStatus::Succeeded, now());
            ledger::save(conn, &open).await?;
        }
        _ => {
            let (kind, status) = (TransactionKind::Void, TransactionStatus::Succeeded);
            let told = NewMovement::told(payment, kind, status, payment.amount_minor, &event.reference);
            ledger::insert(conn, &told).await?;
        }
    }
    Ok(effects)
}
