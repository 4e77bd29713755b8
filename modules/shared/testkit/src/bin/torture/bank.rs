//! The bank behind the sandbox: it tells that somebody has authenticated a payment.

use eshopz_testkit::load::body::{amount, text};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::shop::Capture;

/// The sandbox's own secret, which everybody knows.
const SECRET: &[u8] = b"whsec_sandbox";

/// The event of a payment that was authenticated under this reference.
pub fn authenticated(id: &str, reference: &str, payment: &Value, capture: Capture) -> Value {
    let kind = match capture {
        Capture::Automatic => "payment_intent.succeeded",
        Capture::Manual => "payment_intent.amount_capturable_updated",
    };
    let amount = amount(payment.get("amount").unwrap_or(&Value::Null));
    json!({
        "id": id, "type": kind,
        "data": {"object": {
            "id": reference, "amount": amount, "amount_received": amount,
            "metadata": {"payment_id": text(payment, "id")},
        }},
    })
}

/// The signature header of a body sent at `seconds` since 1970.
pub fn sign(seconds: i64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SECRET) else { return String::new() };
    mac.update(format!("{seconds}.{body}").as_bytes());
    let tag: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={tag}")
}
