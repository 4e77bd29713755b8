//! What Stripe's payment intents mean here.

use chrono::DateTime;
use eshopz_kernel::{Currency, Money};
use serde_json::{Value, json};
use uuid::Uuid;

use super::amounts::{from_stripe, to_stripe};
use super::objects::{ErrorObject, Intent, MethodObject};
use crate::domain::Method;
use crate::gateway::events::{Metadata, for_the_payer};
use crate::gateway::{Charge, ChargeOutcome, ChargeRequest, ChargeStatus, GatewayCharge, GatewayError};

/// The request for an intent that is confirmed in the same call.
pub(super) fn form(request: &ChargeRequest) -> Result<Vec<(&'static str, String)>, GatewayError> {
    Ok(vec![
        ("amount", units(request.amount)?.to_string()),
        ("currency", request.amount.currency.code().to_ascii_lowercase()),
        ("payment_method", request.method.clone()),
        ("payment_method_types[]", "card".to_owned()),
        ("capture_method", if request.capture { "automatic" } else { "manual" }.to_owned()),
        ("confirm", "true".to_owned()),
        ("metadata[payment_id]", request.payment_id.to_string()),
        ("metadata[attempt_id]", request.idempotency_key.to_string()),
        ("metadata[order_id]", request.reference.clone()),
        ("expand[]", "payment_method".to_owned()),
    ])
}

/// An amount as Stripe counts it.
pub(super) fn units(amount: Money) -> Result<i64, GatewayError> {
    to_stripe(amount.amount, amount.currency).ok_or_else(|| GatewayError::Rejected {
        code: "amount_not_representable".to_owned(),
        message: format!("Stripe cannot count {} {}.", amount.amount, amount.currency),
    })
}

/// An intent as the answer to the request that made it.
pub(super) fn charge(intent: Intent) -> Result<Charge, GatewayError> {
    let outcome = match intent.status.as_str() {
        "succeeded" => ChargeOutcome::Succeeded { captured: minor(intent.received(), &intent) },
        "requires_capture" => ChargeOutcome::Authorized,
        "requires_action" => ChargeOutcome::RequiresAction { next_action: next_action(&intent) },
        "requires_payment_method" => declined(intent.last_payment_error.as_ref()),
        "canceled" => ChargeOutcome::Voided,
        // With the bank, or in a state that is new: it is asked about again.
        status => return Err(GatewayError::Timeout(format!("{} is `{status}`", intent.id))),
    };
    Ok(Charge { method: intent.method().and_then(method), reference: intent.id, outcome })
}

/// Minor units of what Stripe counts in an intent's currency. What Stripe counts and ISO cannot is no charge of
/// ours; it is shown as it is.
fn minor(amount: i64, intent: &Intent) -> i64 {
    let currency = intent.currency.to_ascii_uppercase().parse::<Currency>().ok();
    currency.and_then(|currency| from_stripe(amount, currency)).unwrap_or(amount)
}

/// The no of the card's bank, or of Stripe in its place.
pub(super) fn declined(error: Option<&ErrorObject>) -> ChargeOutcome {
    ChargeOutcome::Declined {
        code: error.map_or_else(|| "card_declined".to_owned(), |error| for_the_payer(&error.reason()).to_owned()),
        message: error.map(ErrorObject::message).unwrap_or_default(),
    }
}

/// What the payer has to do, with what Stripe's library in the browser needs for it.
fn next_action(intent: &Intent) -> Value {
    let mut action = intent.next_action.clone().unwrap_or_else(|| json!({}));
    if let (Some(fields), Some(secret)) = (action.as_object_mut(), &intent.client_secret) {
        fields.insert("client_secret".to_owned(), json!(secret));
    }
    action
}

fn method(method: &MethodObject) -> Option<Method> {
    let card = method.card.as_ref()?;
    Some(Method { r#type: "card".to_owned(), brand: card.brand.clone()?, last4: card.last4.clone()? })
}

/// The attempt that an intent was made for, if it was made here.
pub(super) fn attempt(intent: &Intent) -> Option<Uuid> {
    intent.metadata.as_ref().and_then(Metadata::attempt)
}

/// An intent in the list; none when it is in a currency that cannot be one.
pub(super) fn listed(intent: &Intent) -> Option<GatewayCharge> {
    let currency: Currency = intent.currency.to_ascii_uppercase().parse().ok()?;
    Some(GatewayCharge {
        reference: intent.id.clone(),
        attempt: attempt(intent),
        payment_id: intent.metadata.as_ref().and_then(Metadata::payment),
        status: status(intent),
        amount: Money::new(minor(intent.amount, intent), currency),
        captured: minor(intent.received(), intent),
        refunded: minor(intent.returned(), intent),
        created_at: DateTime::from_timestamp(intent.created, 0)?,
    })
}

fn status(intent: &Intent) -> ChargeStatus {
    match intent.status.as_str() {
        "succeeded" => ChargeStatus::Succeeded,
        "requires_capture" => ChargeStatus::Authorized,
        "canceled" => ChargeStatus::Voided,
        "requires_payment_method" if intent.last_payment_error.is_some() => ChargeStatus::Declined,
        _ => ChargeStatus::Waiting,
    }
}
