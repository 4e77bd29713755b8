//! The keys as of a moment, and which of them signs.

use std::sync::Arc;
use std::time::Instant;

use eshopz_platform::auth::Claims;
use eshopz_user_api::VerifyingKey;
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use crate::error::UserError;

/// A private key.
pub struct Signer {
    header: Header,
    private: EncodingKey,
}

impl Signer {
    /// From a key in PKCS#8.
    pub fn new(kid: String, der: &[u8]) -> Self {
        let header = Header { kid: Some(kid), ..Header::new(Algorithm::EdDSA) };
        Self { header, private: EncodingKey::from_ed_der(der) }
    }

    pub fn sign(&self, claims: &Claims) -> Result<String, UserError> {
        jsonwebtoken::encode(&self.header, claims, &self.private)
            .map_err(|error| UserError::SigningKey(error.to_string()))
    }
}

/// A key. It is by this process' own clock when it signs, counted from what the database said, so that
/// clocks need not agree.
#[derive(Clone)]
pub struct Entry {
    pub public: VerifyingKey,
    /// `None` of one that has signed its last.
    pub signer: Option<Arc<Signer>>,
    pub signs_from: Instant,
    pub shown_until: Option<Instant>,
}

impl Entry {
    pub fn is_shown(&self, now: Instant) -> bool {
        self.shown_until.is_none_or(|until| now < until)
    }
}

/// The keys, a successor after its predecessor.
pub struct Ring(pub Vec<Entry>);

impl Ring {
    /// Of those whose time has come, the last.
    pub fn signer(&self, now: Instant) -> Option<&Signer> {
        self.0.iter().rev().find(|entry| entry.signs_from <= now)?.signer.as_deref()
    }

    /// Those that are published.
    pub fn shown(&self, now: Instant) -> Vec<VerifyingKey> {
        self.0.iter().filter(|entry| entry.is_shown(now)).map(|entry| entry.public.clone()).collect()
    }

    pub fn find(&self, kid: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.public.kid == kid)
    }
}
