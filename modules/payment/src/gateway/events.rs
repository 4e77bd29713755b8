//! Webhooks in Stripe's envelope, which the sandbox speaks too, read leniently: a gateway may add fields
//! at any time, and may hold charges of other programs than this one.

use eshopz_kernel::{Currency, PaymentId};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{GatewayEvent, GatewayNews, WebhookError};

/// The events that say something here. What others are about may look like anything.
const KINDS: [&str; 8] = [
    "payment_intent.succeeded",
    "payment_intent.amount_capturable_updated",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "charge.refunded",
    "charge.refund.updated",
    "refund.updated",
    "refund.failed",
];

#[derive(Deserialize)]
struct Envelope {
    id: String,
    r#type: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

/// A payment intent, a charge or a refund.
#[derive(Deserialize)]
struct Object {
    id: String,
    /// What a charge or a refund belongs to; this is the name that the rest knows it by.
    payment_intent: Option<Named>,
    metadata: Option<Metadata>,
    currency: Option<String>,
    status: Option<String>,
    amount: Option<i64>,
    amount_received: Option<i64>,
    amount_captured: Option<i64>,
    amount_refunded: Option<i64>,
    last_payment_error: Option<LastError>,
    failure_reason: Option<String>,
}

/// A reference to another object, or the object itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Id(String),
    Object { id: String },
}

/// Other programs write into it what they like.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    payment_id: Option<String>,
    attempt_id: Option<String>,
}

impl Metadata {
    pub(super) fn payment(&self) -> Option<PaymentId> {
        uuid_of(self.payment_id.as_deref()).map(PaymentId::from)
    }

    pub(super) fn attempt(&self) -> Option<Uuid> {
        uuid_of(self.attempt_id.as_deref())
    }
}

fn uuid_of(text: Option<&str>) -> Option<Uuid> {
    text.and_then(|text| text.parse().ok())
}

#[derive(Deserialize)]
struct LastError {
    code: Option<String>,
    decline_code: Option<String>,
}

/// Turns an amount of the gateway's into minor units, for a gateway that counts some currencies otherwise.
pub(super) type Units = fn(i64, Currency) -> Option<i64>;

/// Reads an event.
pub(super) fn read(body: &str, units: Units) -> Result<GatewayEvent, WebhookError> {
    let Envelope { id, r#type: kind, data } = serde_json::from_str(body).map_err(|error| unreadable(&error))?;
    fits_a_column(&id)?;
    fits_a_column(&kind)?;
    if !KINDS.contains(&kind.as_str()) {
        let reference = data.object.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let news = GatewayNews::Other;
        return Ok(GatewayEvent { id, kind, payment_id: None, attempt: None, reference, currency: None, news });
    }
    let object: Object = serde_json::from_value(data.object).map_err(|error| unreadable(&error))?;
    fits_a_column(object.charge())?;
    let news = news(&kind, &object, units)?;
    let metadata = object.metadata.as_ref();
    // What a refund says about keys is about its own.
    let attempt = if matches!(news, GatewayNews::RefundFailed { .. }) { None } else { metadata };
    Ok(GatewayEvent {
        id,
        kind,
        payment_id: metadata.and_then(Metadata::payment),
        attempt: attempt.and_then(Metadata::attempt),
        reference: object.charge().to_owned(),
        currency: object.currency,
        news,
    })
}

fn unreadable(error: &serde_json::Error) -> WebhookError {
    WebhookError::Unreadable(error.to_string())
}

fn fits_a_column(name: &str) -> Result<(), WebhookError> {
    let visible = name.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    if visible && !name.is_empty() && name.len() <= 255 {
        return Ok(());
    }
    Err(WebhookError::Unreadable("an id is not 1 to 255 visible ASCII characters".to_owned()))
}

/// What went back of what was collected. Stripe counts what was let go as refunded too: by a capture of a
/// part, or by the cancellation of a charge that was only held.
pub(super) fn went_back(held: Option<i64>, collected: Option<i64>, refunded: i64) -> i64 {
    let let_go = held.zip(collected).map_or(0, |(held, collected)| held.saturating_sub(collected));
    refunded.saturating_sub(let_go.max(0)).max(0)
}

/// A reason for a decline under the name that it has here, where Stripe has another.
pub(super) fn for_the_payer(code: &str) -> &str {
    match code {
        "payment_intent_authentication_failure" => "authentication_failed",
        code => code,
    }
}

impl Object {
    fn charge(&self) -> &str {
        match &self.payment_intent {
            Some(Named::Id(id) | Named::Object { id }) => id,
            None => &self.id,
        }
    }

    fn minor(&self, value: Option<i64>, name: &str, units: Units) -> Result<i64, WebhookError> {
        let currency = self.currency.as_deref().and_then(|code| code.to_ascii_uppercase().parse().ok());
        value
            .filter(|amount| *amount >= 0)
            .and_then(|amount| currency.map_or(Some(amount), |currency| units(amount, currency)))
            .ok_or_else(|| WebhookError::Unreadable(format!("`data.object.{name}` is missing or no amount")))
    }

    /// The finer reason when there is one.
    fn decline_code(&self) -> String {
        let error = self.last_payment_error.as_ref();
        let code = error.and_then(|error| error.decline_code.as_deref().or(error.code.as_deref()));
        for_the_payer(code.unwrap_or_default()).to_owned()
    }

    /// A refund that was thought done, and whose money came back to the merchant.
    fn has_failed(&self) -> bool {
        self.payment_intent.is_some() && matches!(self.status.as_deref(), Some("failed" | "canceled"))
    }
}

fn news(kind: &str, object: &Object, units: Units) -> Result<GatewayNews, WebhookError> {
    Ok(match kind {
        "payment_intent.succeeded" => {
            let amount = object.minor(object.amount_received.or(object.amount), "amount_received", units)?;
            GatewayNews::Captured { amount }
        }
        "payment_intent.amount_capturable_updated" => GatewayNews::Authorized,
        "payment_intent.payment_failed" => GatewayNews::Failed { code: object.decline_code() },
        "payment_intent.canceled" => GatewayNews::Voided,
        "charge.refunded" => {
            let returned = object.amount_refunded.filter(|refunded| *refunded >= 0);
            let returned = returned.map(|refunded| went_back(object.amount, object.amount_captured, refunded));
            match object.minor(returned, "amount_refunded", units)? {
                0 => GatewayNews::Other,
                total => GatewayNews::Refunded { total },
            }
        }
        "refund.failed" | "refund.updated" | "charge.refund.updated" if object.has_failed() => {
            let code = object.failure_reason.clone().unwrap_or_else(|| "refund_failed".to_owned());
            GatewayNews::RefundFailed { refund: object.id.clone(), code }
        }
        _ => GatewayNews::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, object: &str) -> Result<GatewayEvent, WebhookError> {
        let body = format!(r#"{{"id":"evt_1","type":"{kind}","created":1,"data":{{"object":{object}}}}}"#);
        read(&body, |amount, currency| if currency == Currency::USD { Some(amount) } else { Some(amount / 100) })
    }

    fn news_of(kind: &str, object: &str) -> GatewayNews {
        event(kind, object).unwrap().news
    }

    #[test]
    fn amounts_are_what_was_received() {
        let object = r#"{"id":"ch_1","amount":100,"amount_received":60,"metadata":{},"new":"field"}"#;
        assert_eq!(news_of("payment_intent.succeeded", object), GatewayNews::Captured { amount: 60 });
        assert_eq!(news_of("payment_intent.created", object), GatewayNews::Other);
        assert!(event("charge.refunded", object).is_err());
        assert!(event("payment_intent.succeeded", r#"{"id":"ch_1","amount":-1}"#).is_err());
        let krona = r#"{"id":"pi_1","amount":500,"currency":"isk"}"#;
        assert_eq!(news_of("payment_intent.succeeded", krona), GatewayNews::Captured { amount: 5 });
    }

    #[test]
    fn a_failure_has_its_finest_reason() {
        for (error, expected) in [
            (r#"{"code":"card_declined","decline_code":"lost_card"}"#, "lost_card"),
            (r#"{"code":"payment_intent_authentication_failure"}"#, "authentication_failed"),
            ("null", ""),
        ] {
            let object = format!(r#"{{"id":"pi_1","last_payment_error":{error}}}"#);
            let failed = GatewayNews::Failed { code: expected.to_owned() };
            assert_eq!(news_of("payment_intent.payment_failed", &object), failed);
        }
    }

    #[test]
    fn what_was_let_go_was_not_refunded() {
        let charge = |captured: i64, refunded: i64| {
            format!(
                r#"{{"id":"ch_1","payment_intent":"pi_1","amount":100,"amount_captured":{captured},"amount_refunded":{refunded}}}"#
            )
        };
        let cases = [(100, 30, Some(30)), (60, 40, None), (60, 65, Some(25)), (60, 100, Some(60)), (0, 100, None)];
        for (captured, refunded, total) in cases {
            let read = event("charge.refunded", &charge(captured, refunded)).unwrap();
            assert_eq!(read.news, total.map_or(GatewayNews::Other, |total| GatewayNews::Refunded { total }));
            assert_eq!(read.reference, "pi_1");
        }
    }

    #[test]
    fn a_refund_that_fails_later_is_told_under_its_own_name() {
        let refund = |status: &str| {
            format!(r#"{{"id":"re_1","payment_intent":{{"id":"pi_1"}},"status":"{status}","amount":5}}"#)
        };
        for kind in ["refund.failed", "refund.updated", "charge.refund.updated"] {
            let read = event(kind, &refund("failed")).unwrap();
            let failed = GatewayNews::RefundFailed { refund: "re_1".to_owned(), code: "refund_failed".to_owned() };
            assert_eq!((read.news, read.reference.as_str()), (failed, "pi_1"));
            assert_eq!(news_of(kind, &refund("succeeded")), GatewayNews::Other);
        }
    }

    #[test]
    fn metadata_of_other_programs_is_no_error() {
        let read = event("payment_intent.canceled", r#"{"id":"pi_1","metadata":{"payment_id":"7","x":"y"}}"#).unwrap();
        assert_eq!((read.payment_id, read.attempt, read.news), (None, None, GatewayNews::Voided));
    }

    #[test]
    fn what_other_events_are_about_may_look_like_anything() {
        for object in [r#"{"id":"dp_1","charge":"ch_1"}"#, r#"{"amount":[],"status":{}}"#, "[]"] {
            for kind in ["charge.dispute.created", "balance.available"] {
                assert_eq!(news_of(kind, object), GatewayNews::Other);
            }
        }
    }

    #[test]
    fn ids_must_fit_a_column() {
        assert!(event("charge.refunded", r#"{"id":"a\u0000b","amount_refunded":1}"#).is_err());
        assert!(event("payment_intent.canceled", r#"{"id":""}"#).is_err());
        assert!(event("a b", r#"{"id":"pi_1"}"#).is_err());
        assert!(read("[]", |amount, _| Some(amount)).is_err());
    }
}
