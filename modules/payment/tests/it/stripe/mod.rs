//! Stripe's gateway: what it asks, what it makes of answers and of their absence, and a shop that sells with
//! it against localstripe.

mod answers;
mod asking;
mod lookup;
mod scripted;
mod selling;

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use eshopz_kernel::{Money, PaymentId};
use eshopz_payment::gateway::{ChargeRequest, FollowUp, Sought};
use eshopz_payment::{StripeGateway, StripeSettings};
use serde_json::{Value, json};
use uuid::{NoContext, Timestamp, Uuid};

use self::scripted::{Line, Scripted};
use crate::shop::usd;

/// Stripe at an address; it is patient enough for some repetitions.
pub fn stripe_at(url: &str) -> StripeGateway {
    stripe_with(url, Duration::from_secs(20))
}

fn stripe_with(url: &str, patience: Duration) -> StripeGateway {
    let secret_key = "sk_test_local".to_owned();
    StripeGateway::new(StripeSettings { url: url.to_owned(), secret_key, patience }).unwrap()
}

/// The gateway before a server that plays these lines.
async fn playing(script: impl IntoIterator<Item = Line>) -> (Scripted, StripeGateway) {
    let server = Scripted::start(script).await;
    let gateway = stripe_at(&server.url);
    (server, gateway)
}

/// A key as old as this.
pub fn key_of_age(age: Duration) -> Uuid {
    let made_at = (SystemTime::now() - age).duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Uuid::new_v7(Timestamp::from_unix(NoContext, made_at.as_secs(), made_at.subsec_nanos()))
}

/// An attempt as old as its key tells.
pub fn sought(key: Uuid) -> Sought {
    let (seconds, _) = key.get_timestamp().unwrap().to_unix();
    let made_at = DateTime::from_timestamp(i64::try_from(seconds).unwrap(), 0).unwrap();
    Sought { idempotency_key: key, reference: None, created_at: made_at, age: Utc::now() - made_at }
}

fn charge_request(idempotency_key: Uuid, method: &str) -> ChargeRequest {
    ChargeRequest {
        idempotency_key,
        payment_id: PaymentId::new(),
        amount: usd(1_999),
        method: method.to_owned(),
        capture: true,
        reference: "order-1".to_owned(),
    }
}

fn follow_up(idempotency_key: Uuid, amount: Money) -> FollowUp {
    FollowUp { idempotency_key, charge: "pi_1".to_owned(), amount }
}

/// A payment intent as Stripe writes it, in short.
fn intent(status: &str) -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "status": status, "amount": 1_999, "currency": "usd",
        "amount_received": if status == "succeeded" { 1_999 } else { 0 },
        "created": SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(),
        "metadata": {}, "latest_charge": "ch_1", "client_secret": "pi_1_secret_2",
        "payment_method": {"id": "pm_1", "card": {"brand": "visa", "last4": "4242", "new": "field"}},
    })
}

/// A refusal as Stripe writes it.
fn error(kind: &str, fields: Value) -> Value {
    let mut error = json!({"type": kind, "message": "No."});
    error.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({ "error": error })
}
