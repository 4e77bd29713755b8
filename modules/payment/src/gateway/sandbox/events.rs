//! The sandbox's webhooks: Stripe's envelope, read leniently, for a gateway may add fields at any time.

use eshopz_kernel::PaymentId;
use serde::Deserialize;
use uuid::Uuid;

use crate::gateway::{GatewayEvent, GatewayNews, WebhookError};

#[derive(Deserialize)]
struct Envelope {
    id: String,
    r#type: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    id: String,
    #[serde(default)]
    metadata: Metadata,
    amount: Option<i64>,
    amount_received: Option<i64>,
    amount_refunded: Option<i64>,
    last_payment_error: Option<LastError>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    payment_id: Option<PaymentId>,
    attempt_id: Option<Uuid>,
}

#[derive(Deserialize)]
struct LastError {
    code: Option<String>,
    decline_code: Option<String>,
}

/// Reads an event.
pub(super) fn read(body: &str) -> Result<GatewayEvent, WebhookError> {
    let envelope: Envelope = serde_json::from_str(body).map_err(|error| WebhookError::Unreadable(error.to_string()))?;
    let object = envelope.data.object;
    for name in [&envelope.id, &envelope.r#type, &object.id] {
        let visible = name.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if !visible || name.is_empty() || name.len() > 255 {
            return Err(WebhookError::Unreadable("an id is not 1 to 255 visible ASCII characters".to_owned()));
        }
    }
    let news = news(&envelope.r#type, &object)?;
    Ok(GatewayEvent {
        id: envelope.id,
        kind: envelope.r#type,
        payment_id: object.metadata.payment_id,
        attempt: object.metadata.attempt_id,
        reference: object.id,
        news,
    })
}

fn news(kind: &str, object: &Object) -> Result<GatewayNews, WebhookError> {
    Ok(match kind {
        "payment_intent.succeeded" => {
            GatewayNews::Captured { amount: amount(object.amount_received.or(object.amount), "amount_received")? }
        }
        "payment_intent.amount_capturable_updated" => GatewayNews::Authorized,
        "payment_intent.payment_failed" => GatewayNews::Failed { code: decline_code(object) },
        "payment_intent.canceled" => GatewayNews::Voided,
        "charge.refunded" => GatewayNews::Refunded { total: amount(object.amount_refunded, "amount_refunded")? },
        _ => GatewayNews::Other,
    })
}

/// The finer reason when there is one.
fn decline_code(object: &Object) -> String {
    let error = object.last_payment_error.as_ref();
    error.and_then(|error| error.decline_code.clone().or_else(|| error.code.clone())).unwrap_or_default()
}

fn amount(value: Option<i64>, name: &str) -> Result<i64, WebhookError> {
    value
        .filter(|amount| *amount >= 0)
        .ok_or_else(|| WebhookError::Unreadable(format!("`data.object.{name}` is missing or negative")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, object: &str) -> Result<GatewayEvent, WebhookError> {
        read(&format!(r#"{{"id":"evt_1","type":"{kind}","created":1,"data":{{"object":{object}}}}}"#))
    }

    #[test]
    fn amounts_are_what_was_received() {
        let object = r#"{"id":"ch_1","amount":100,"amount_received":60,"metadata":{},"new":"field"}"#;
        assert_eq!(event("payment_intent.succeeded", object).unwrap().news, GatewayNews::Captured { amount: 60 });
        assert_eq!(event("payment_intent.created", object).unwrap().news, GatewayNews::Other);
        assert!(event("charge.refunded", object).is_err());
        assert!(event("payment_intent.succeeded", r#"{"id":"ch_1","amount":-1}"#).is_err());
    }

    #[test]
    fn ids_must_fit_a_column() {
        assert!(event("x", r#"{"id":"a\u0000b"}"#).is_err());
        assert!(event("x", r#"{"id":""}"#).is_err());
        assert!(read("[]").is_err());
    }
}
