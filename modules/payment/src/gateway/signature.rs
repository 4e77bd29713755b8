//! Signatures of webhooks as Stripe makes them: `t=<seconds>,v1=<hex of HMAC-SHA-256 over "t.body">`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// How far the signature's time may be from ours, in seconds: a recorded request is of no use later.
const TOLERANCE: i64 = 300;

/// The value of the signature header for a body sent at `seconds` since 1970.
#[must_use]
pub fn sign(secret: &str, seconds: i64, body: &str) -> String {
    let tag = keyed(secret, seconds, body).map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default();
    format!("t={seconds},v1={}", hex(&tag))
}

/// Whether a signature header is good for a body at the time `now`. An empty secret is never good.
#[must_use]
pub fn verify(secret: &str, header: &str, body: &str, now: i64) -> bool {
    let field = |name: &'static str| {
        header.split(',').filter_map(|part| part.trim().split_once('=')).filter(move |(key, _)| *key == name)
    };
    let time = field("t").next().and_then(|(_, seconds)| seconds.parse::<i64>().ok());
    let Some(time) = time.filter(|time| now.abs_diff(*time) <= TOLERANCE.unsigned_abs()) else { return false };
    // More than one while the gateway changes its secret.
    !secret.is_empty()
        && field("v1").any(|(_, tag)| {
            let expected = keyed(secret, time, body);
            unhex(tag).zip(expected).is_some_and(|(tag, expected)| expected.verify_slice(&tag).is_ok())
        })
}

fn keyed(secret: &str, seconds: i64, body: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    Some(mac)
}

/// Bytes in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |text, byte| format!("{text}{byte:02x}"))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    // A sign is no digit, though it would be read as one.
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
#[path = "signature_properties.rs"]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"id":"evt_1"}"#;

    #[test]
    fn a_signature_holds_for_its_body_secret_and_time() {
        let header = sign("secret", 1_000, BODY);
        assert!(verify("secret", &header, BODY, 1_000));
        assert!(verify("secret", &header, BODY, 1_300));
        assert!(verify("secret", &format!("v0=x, v1=00, {header}"), BODY, 900));
        assert!(!verify("secret", &header, BODY, 1_301));
        assert!(!verify("secret", &header, BODY, 699));
        assert!(!verify("other", &header, BODY, 1_000));
        assert!(!verify("secret", &header, "{}", 1_000));
        assert!(!verify("secret", &header.replace("t=1000", "t=1001"), BODY, 1_000));
    }

    #[test]
    fn nonsense_and_an_empty_secret_are_refused() {
        for header in ["", "t=", "t=1000", "v1=00", "t=1000,v1=zz", "t=1000,v1=é", "t=1000,v1=0", "t=x,v1=00"] {
            assert!(!verify("secret", header, BODY, 1_000), "{header}");
        }
        assert!(!verify("", &sign("", 1_000, BODY), BODY, 1_000));
        assert!(!verify("secret", &format!("t={},v1=00", i64::MIN), BODY, 1_000));
    }

    #[test]
    fn the_tag_is_hmac_sha_256_in_hex() {
        let header = sign("secret", 1_000, BODY);
        assert_eq!(header, "t=1000,v1=9a87814c353fb728b2a0563fc1b83be3f731d47017373fd4cf10c07c21eccf6f");
        assert_eq!(unhex("000fff"), Some(vec![0, 15, 255]));
    }
}
