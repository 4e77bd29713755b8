//! Secrets that are handed out once and kept only as a hash: refresh tokens, and tokens sent by mail.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// A new secret.
pub struct Secret {
    /// 32 random bytes in base64url, for the person.
    pub text: String,
    /// SHA-256 of the text, for the database. A plain hash will do: nobody guesses 256 random bits.
    pub hash: Vec<u8>,
}

impl Secret {
    #[must_use]
    pub fn generate() -> Self {
        let text = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let hash = hash(&text);
        Self { text, hash }
    }
}

/// The hash by which a secret that was presented is found.
#[must_use]
pub fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_found_by_their_hash() {
        let (one, other) = (Secret::generate(), Secret::generate());
        assert_ne!(one.text, other.text);
        assert_eq!(hash(&one.text), one.hash);
        assert_eq!((one.text.len(), one.hash.len()), (43, 32));
    }
}
