//! Access tokens that nobody was given, made as somebody would who wants to get in.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

/// What stands before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410, 7).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// An Ed25519 key by its seed.
#[derive(Clone, Copy)]
pub struct Key([u8; 32]);

/// The shop's own, by which the test can sign what the shop would.
pub const OURS: Key = Key([7; 32]);
pub const FOREIGN: Key = Key([9; 32]);

impl Key {
    fn der(self) -> Vec<u8> {
        [&PKCS8[..], &self.0].concat()
    }

    pub fn pem(self) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(self.der()))
    }

    /// A token with this header and these claims.
    pub fn sign(self, header: &Value, claims: &Value) -> String {
        signed(header, claims, &EncodingKey::from_ed_der(&self.der()), Algorithm::EdDSA)
    }
}

/// A token by whatever key and algorithm.
pub fn signed(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = unsigned(header, claims);
    let signature = crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// Header and claims, without a signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// Header and claims of a token.
pub fn read(token: &str) -> (Value, Value) {
    let part = |index| {
        let text = token.trim_start_matches("Bearer ").split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    (part(0), part(1))
}

/// With other claims than a token has.
pub fn changed(token: &str, change: Value) -> (Value, Value) {
    let (header, mut claims) = read(token);
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    (header, claims)
}

/// The shop's signature on a token whose time is over.
pub fn expired(token: &str) -> String {
    let (header, claims) = read(token);
    let over = claims["iat"].as_i64().unwrap() - 1;
    let (header, claims) = (header, changed(token, json!({"iat": over - 900, "exp": over})).1);
    OURS.sign(&header, &claims)
}

/// The signature of somebody else, once under the name of the shop's key, once under another.
pub fn foreign(token: &str) -> [String; 2] {
    let (header, claims) = read(token);
    let mut named = header.clone();
    named["kid"] = json!("another-key");
    [FOREIGN.sign(&header, &claims), FOREIGN.sign(&named, &claims)]
}

/// No signature, or one that nobody is to look at, under each spelling of `none`.
pub fn none(token: &str) -> [String; 4] {
    let (header, claims) = read(token);
    let unsigned = |alg: &str| {
        let mut header = header.clone();
        header["alg"] = json!(alg);
        unsigned(&header, &claims)
    };
    let signature = token.rsplit('.').next().unwrap();
    [
        format!("{}.", unsigned("none")),
        format!("{}.", unsigned("None")),
        format!("{}.", unsigned("NONE")),
        format!("{}.{signature}", unsigned("nOnE")),
    ]
}
