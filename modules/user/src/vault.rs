//! Secrets at rest: XChaCha20-Poly1305 under a key made from the operator's secret.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};

/// Bytes of the nonce that comes before the ciphertext. Long enough to be drawn at random.
const NONCE: usize = 24;
/// The shortest secret that is taken, in bytes.
pub const SHORTEST_SECRET: usize = 16;
/// Bytes of a key's name, which says no more of the key than that it is the same.
const NAME: usize = 9;

/// What is locked. Each has keys of its own, so that nothing of one opens as another.
#[derive(Clone, Copy, Debug)]
pub enum Contents {
    SigningKeys,
    SecondFactors,
}

impl Contents {
    /// Keeps the uses of the same secret apart.
    const fn prefix(self) -> &'static str {
        match self {
            Self::SigningKeys => "eshopz user signing keys 1:",
            Self::SecondFactors => "eshopz user second factors 1:",
        }
    }
}

/// Why something is not locked or unlocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("the secret that encrypts needs {SHORTEST_SECRET} bytes or more")]
    NoSecret,
    #[error("it was encrypted with another secret")]
    AnotherSecret,
}

/// Locks and unlocks. After a change of the secret, what was locked with the one before still opens.
pub struct Vault {
    keys: Vec<(String, XChaCha20Poly1305)>,
    since: Instant,
}

impl Vault {
    /// The first secret locks, all of them unlock. A secret is meant to be random, so a plain hash makes the
    /// key. Without a good first secret nothing is locked or unlocked.
    pub fn new(contents: Contents, secrets: &[String]) -> Self {
        let good = |secret: &&String| secret.len() >= SHORTEST_SECRET;
        let since = Instant::now();
        if !secrets.first().is_some_and(|first| good(&first)) {
            return Self { keys: Vec::new(), since };
        }
        let key = |secret: &String| {
            let key = Sha256::new_with_prefix(contents.prefix()).chain_update(secret).finalize();
            let name = Sha256::new_with_prefix("eshopz name of a key 1:").chain_update(key).finalize();
            Some((URL_SAFE_NO_PAD.encode(name.get(..NAME)?), XChaCha20Poly1305::new_from_slice(&key).ok()?))
        };
        Self { keys: secrets.iter().filter(good).filter_map(key).collect(), since }
    }

    /// Whether it locks anything.
    ///
    /// # Errors
    /// [`VaultError::NoSecret`].
    pub fn check(&self) -> Result<(), VaultError> {
        self.first().map(drop)
    }

    /// The name of the key that locks.
    ///
    /// # Errors
    /// [`VaultError::NoSecret`].
    pub fn locks_with(&self) -> Result<&str, VaultError> {
        self.first().map(|(name, _)| name.as_str())
    }

    /// For how long these secrets have been in use here.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Encrypts. `name` is bound to it: it opens under no other name.
    ///
    /// # Errors
    /// [`VaultError::NoSecret`].
    pub fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE] = rand::random();
        let (_, cipher) = self.first()?;
        let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: name.as_bytes() });
        // It fails for what is longer than memory only.
        Ok([nonce.as_slice(), &sealed.map_err(|_| VaultError::NoSecret)?].concat())
    }

    /// Decrypts what [`Self::seal`] made.
    ///
    /// # Errors
    /// [`VaultError`], without a secret, or with another one than it was sealed with.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.check()?;
        let (nonce, text) = sealed.split_first_chunk::<NONCE>().ok_or(VaultError::AnotherSecret)?;
        let open = |(_, cipher): &(String, XChaCha20Poly1305)| {
            cipher.decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: name.as_bytes() }).ok()
        };
        self.keys.iter().find_map(open).ok_or(VaultError::AnotherSecret)
    }

    fn first(&self) -> Result<&(String, XChaCha20Poly1305), VaultError> {
        self.keys.first().ok_or(VaultError::NoSecret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(secrets: &[&str]) -> Vault {
        Vault::new(Contents::SigningKeys, &secrets.iter().map(|secret| (*secret).to_owned()).collect::<Vec<_>>())
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
        let others = Vault::new(Contents::SecondFactors, &["a secret of the operator".to_owned()]);
        assert_eq!(others.open("kid-1", &sealed), Err(VaultError::AnotherSecret));
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
        assert_eq!(both.locks_with(), vault(&[new]).locks_with());
        assert_ne!(both.locks_with(), vault(&[old]).locks_with());
    }
}
