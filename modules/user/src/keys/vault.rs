//! Private keys at rest: XChaCha20-Poly1305 under a key made from the operator's secret.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};

use crate::error::UserError;

/// Bytes of the nonce that comes before the ciphertext. Long enough to be drawn at random.
const NONCE: usize = 24;
/// The shortest secret that is taken, in bytes.
const SHORTEST_SECRET: usize = 16;

/// Locks and unlocks private keys.
pub struct Vault(Option<XChaCha20Poly1305>);

impl Vault {
    /// The secret is meant to be random, so a plain hash makes the key; the text keeps it apart from
    /// other uses of the same secret. Without a good secret nothing is locked or unlocked.
    pub fn new(secret: &str) -> Self {
        let good = secret.len() >= SHORTEST_SECRET;
        let key = Sha256::new_with_prefix("eshopz user signing keys 1:").chain_update(secret).finalize();
        Self(good.then(|| XChaCha20Poly1305::new_from_slice(&key).ok()).flatten())
    }

    /// Encrypts a private key. `kid` is bound to it: it opens under no other name.
    ///
    /// # Errors
    /// [`UserError::SigningKey`] without a secret.
    pub fn seal(&self, kid: &str, private: &[u8]) -> Result<Vec<u8>, UserError> {
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload { msg: private, aad: kid.as_bytes() };
        let sealed = self.cipher()?.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|error| UserError::SigningKey(error.to_string()))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts what [`Self::seal`] made.
    ///
    /// # Errors
    /// [`UserError::SigningKey`] without a secret, or with another one than it was sealed with.
    pub fn open(&self, kid: &str, sealed: &[u8]) -> Result<Vec<u8>, UserError> {
        let unreadable = || {
            UserError::SigningKey(format!(
                "the secret for signing keys is not the one that key {kid} was encrypted with; set that one again, \
                 or delete the key from users.signing_keys, which signs everybody out"
            ))
        };
        let (nonce, text) = sealed.split_first_chunk::<NONCE>().ok_or_else(unreadable)?;
        let payload = Payload { msg: text, aad: kid.as_bytes() };
        self.cipher()?.decrypt(&XNonce::from(*nonce), payload).map_err(|_| unreadable())
    }

    fn cipher(&self) -> Result<&XChaCha20Poly1305, UserError> {
        self.0.as_ref().ok_or_else(|| {
            UserError::SigningKey(format!(
                "the secret that encrypts signing keys needs {SHORTEST_SECRET} bytes or more"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_and_name_open_a_key() {
        let vault = Vault::new("a secret of the operator");
        let sealed = vault.seal("kid-1", b"private").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"private"));
        assert_eq!(vault.open("kid-1", &sealed).unwrap(), b"private");
        assert!(vault.open("kid-2", &sealed).is_err());
        assert!(vault.open("kid-1", b"short").is_err());
        assert!(Vault::new("another secret, as long").open("kid-1", &sealed).is_err());
        assert!(Vault::new("too short").seal("kid-1", b"private").is_err());
    }
}
