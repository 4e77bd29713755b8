//! Private keys at rest: XChaCha20-Poly1305 under a key made from the operator's secret.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};

use crate::error::UserError;

/// Bytes of the nonce that comes before the ciphertext. Long enough to be drawn at random.
const NONCE: usize = 24;
/// The shortest secret that is taken, in bytes.
const SHORTEST_SECRET: usize = 16;

/// Locks and unlocks private keys. After a change of the secret, keys locked with the one before still open.
pub struct Vault(Vec<XChaCha20Poly1305>);

impl Vault {
    /// The first secret locks, all of them unlock. A secret is meant to be random, so a plain hash makes the
    /// key; the text keeps it apart from other uses of the same secret. Without a good first secret nothing
    /// is locked or unlocked.
    pub fn new(secrets: &[String]) -> Self {
        let good = |secret: &&String| secret.len() >= SHORTEST_SECRET;
        if !secrets.first().is_some_and(|first| good(&first)) {
            return Self(Vec::new());
        }
        let cipher = |secret: &String| {
            let key = Sha256::new_with_prefix("eshopz user signing keys 1:").chain_update(secret).finalize();
            XChaCha20Poly1305::new_from_slice(&key).ok()
        };
        Self(secrets.iter().filter(good).filter_map(cipher).collect())
    }

    /// Whether it locks anything.
    ///
    /// # Errors
    /// [`UserError::SigningKey`] without a secret.
    pub fn check(&self) -> Result<(), UserError> {
        self.cipher().map(drop)
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
                "the secret for signing keys is not the one that key {kid} was encrypted with; set that one as \
                 ESHOPZ_SECRET_KEY_PREVIOUS, or delete the key from users.signing_keys, which signs everybody out"
            ))
        };
        let (nonce, text) = sealed.split_first_chunk::<NONCE>().ok_or_else(unreadable)?;
        let open = |cipher: &XChaCha20Poly1305| {
            cipher.decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: kid.as_bytes() }).ok()
        };
        self.cipher()?;
        self.0.iter().find_map(open).ok_or_else(unreadable)
    }

    fn cipher(&self) -> Result<&XChaCha20Poly1305, UserError> {
        self.0.first().ok_or_else(|| {
            UserError::SigningKey(format!(
                "the secret that encrypts signing keys needs {SHORTEST_SECRET} bytes or more"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(secrets: &[&str]) -> Vault {
        Vault::new(&secrets.iter().map(|secret| (*secret).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn only_the_same_secret_and_name_open_a_key() {
        let ours = vault(&["a secret of the operator"]);
        let sealed = ours.seal("kid-1", b"private").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"private"));
        assert_eq!(ours.open("kid-1", &sealed).unwrap(), b"private");
        assert!(ours.open("kid-2", &sealed).is_err());
        assert!(ours.open("kid-1", b"short").is_err());
        assert!(vault(&["another secret, as long"]).open("kid-1", &sealed).is_err());
        assert!(vault(&["too short"]).seal("kid-1", b"private").is_err());
        assert!(vault(&["too short", "a secret of the operator"]).open("kid-1", &sealed).is_err());
        assert!(vault(&[]).seal("kid-1", b"private").is_err());
    }

    #[test]
    fn a_key_of_the_secret_before_opens_and_the_new_secret_locks() {
        let (old, new) = ("a secret of the operator", "another secret, as long");
        let sealed = vault(&[old]).seal("kid", b"private").unwrap();
        let both = vault(&[new, old]);
        assert_eq!(both.open("kid", &sealed).unwrap(), b"private");
        let sealed = both.seal("kid", b"private").unwrap();
        assert!(vault(&[new]).open("kid", &sealed).is_ok());
        assert!(vault(&[old]).open("kid", &sealed).is_err());
    }
}
