//! The keys that sign access tokens, and how one takes over from another: docs/adr/0012-key-rotation.md.
//!
//! They are kept in the database, so that all processes of a shop sign with one key and a new process
//! needs no file; the private half is encrypted ([`Vault`]). Or the operator gives them ([`given`]).

mod given;
mod ring;
mod rotation;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use eshopz_kernel::Fault;
use eshopz_platform::auth::Claims;
use eshopz_platform::db::Db;
use eshopz_user_api::VerifyingKey;
use moka::future::Cache;
use sha2::{Digest as _, Sha256};

pub use self::given::{GivenKey, parse_signing_keys};
use self::ring::{Entry, Ring, Signer};
pub use self::rotation::{KeyInfo, KeyState, Revocation, Rotation};
use crate::error::UserError;
use crate::settings::UserSettings;
use crate::store;
use crate::store::keys::{NewSigningKey, SigningKeyRow};
use crate::vault::{Contents, SHORTEST_SECRET, Vault, VaultError};

/// Signs access tokens, and tells with which keys.
pub struct Keyring {
    source: Source,
    timing: Timing,
}

enum Source {
    Database(Stored),
    Given(RwLock<Arc<Ring>>),
}

/// The keys in the database.
struct Stored {
    db: Db,
    vault: RwLock<Arc<Vault>>,
    ring: Cache<(), Arc<Ring>>,
}

/// How long each step of a key's life takes.
#[derive(Clone, Copy)]
struct Timing {
    /// From when a key is shown until it signs: a process of this module remembers the keys for one
    /// `key_refresh`, who checks tokens for another, and one is to spare. Of a given one each process is told
    /// at a time of its own.
    announced: Duration,
    /// From when a key signs no more until it is shown no more: the life of a token, and one
    /// `key_refresh` to spare. A given one signs for longer in a process that is told of its successor later.
    kept: Duration,
}

impl Timing {
    fn of(settings: &UserSettings) -> Self {
        let (refresh, life) = (settings.key_refresh, settings.access_token_ttl);
        let apart = if settings.signing_keys.is_empty() { Duration::ZERO } else { settings.signing_keys_known_within };
        Self { announced: refresh * 3 + apart, kept: life + refresh + apart }
    }
}

impl Keyring {
    pub fn new(db: Db, settings: &UserSettings) -> Self {
        let refresh = settings.key_refresh;
        let source = if settings.signing_keys.is_empty() {
            let ring = Cache::builder().max_capacity(1).time_to_live(refresh).build();
            let vault = Vault::new(Contents::SigningKeys, &settings.key_secrets());
            Source::Database(Stored { db, vault: RwLock::new(Arc::new(vault)), ring })
        } else {
            let ring = given::ring(&settings.signing_keys, Instant::now());
            Source::Given(RwLock::new(Arc::new(ring)))
        };
        Self { source, timing: Timing::of(settings) }
    }

    /// Signs claims as a JWT.
    ///
    /// # Errors
    /// When the keys cannot be had.
    pub async fn sign(&self, claims: &Claims) -> Result<String, UserError> {
        let ring = self.ring().await?;
        let signer = ring.signer(Instant::now());
        signer.ok_or_else(|| UserError::SigningKey("there is none".to_owned()))?.sign(claims)
    }

    /// The keys that tokens may be signed with at present, or soon.
    ///
    /// # Errors
    /// When the keys cannot be had.
    pub async fn public(&self) -> Result<Vec<VerifyingKey>, UserError> {
        Ok(self.ring().await?.shown(Instant::now()))
    }

    /// Takes other keys that the operator gives, in place of those from before. A first key that was not
    /// among them is shown for a while before it signs; those that are gone are shown until their
    /// tokens have expired.
    ///
    /// # Errors
    /// When they cannot be read, or the keys are in the database.
    pub fn replace(&self, pem: &str) -> Result<(), UserError> {
        let Source::Given(ring) = &self.source else { return Err(UserError::KeysAreStored) };
        let keys = parse_signing_keys(pem)?;
        let mut ring = ring.write().unwrap_or_else(PoisonError::into_inner);
        *ring = Arc::new(given::replaced(&ring, &keys, self.timing, Instant::now()));
        Ok(())
    }

    /// Encrypts with the first of these secrets from now on, and decrypts with any of them. Keys that the
    /// operator gives are not encrypted at all.
    ///
    /// # Errors
    /// When the first is too short; nothing changes then.
    pub fn replace_secrets(&self, secrets: &[String]) -> Result<(), UserError> {
        let Source::Database(stored) = &self.source else { return Ok(()) };
        let vault = Vault::new(Contents::SigningKeys, secrets);
        vault.check().map_err(|error| locked("", error))?;
        *stored.vault.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(vault);
        Ok(())
    }

    /// Deletes keys that are shown no more.
    pub async fn sweep(&self) -> Result<(), UserError> {
        let Source::Database(stored) = &self.source else { return Ok(()) };
        let mut conn = stored.db.conn().await?;
        store::keys::sweep(&mut conn, self.timing.kept).await?;
        Ok(())
    }

    async fn ring(&self) -> Result<Arc<Ring>, UserError> {
        match &self.source {
            Source::Given(ring) => Ok(Arc::clone(&ring.read().unwrap_or_else(PoisonError::into_inner))),
            Source::Database(stored) => {
                // The error is shared between those who wait for it, so it goes as a fault.
                let load = async { stored.load(self.timing.kept).await.map(Arc::new).map_err(Into::into) };
                let ring = stored.ring.try_get_with((), load).await;
                ring.map_err(|fault: Arc<Fault>| UserError::Refused(Fault::clone(&fault)))
            }
        }
    }
}

impl Stored {
    fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.vault.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The private key. Fails when the secret is not the one that it was encrypted with.
    fn open(&self, row: &SigningKeyRow) -> Result<Vec<u8>, UserError> {
        self.vault().open(&row.kid, &row.private_key_encrypted).map_err(|error| locked(&row.kid, error))
    }

    /// Reads the keys, after making the first one if there is none.
    async fn load(&self, kept: Duration) -> Result<Ring, UserError> {
        let mut conn = self.db.conn().await?;
        let mut rows = store::keys::shown(&mut conn, kept).await?;
        if !rows.iter().any(|row| row.retired_at.is_none()) {
            // Another process may do the same just now; the unique index lets one of the two in.
            store::keys::insert(&mut conn, &self.generate()?, None).await?;
            rows = store::keys::shown(&mut conn, kept).await?;
        }
        let now = Instant::now();
        Ok(Ring(rows.into_iter().map(|row| self.entry(row, now)).collect::<Result<_, _>>()?))
    }

    fn entry(&self, row: SigningKeyRow, now: Instant) -> Result<Entry, UserError> {
        let x = URL_SAFE_NO_PAD.encode(&row.public_key);
        let signer = if row.may_sign() {
            let der = self.open(&row)?;
            Some(Arc::new(Signer::new(row.kid.clone(), &der)))
        } else {
            None
        };
        let signs_from = now + Duration::try_from_secs_f64(row.signs_in).unwrap_or_default();
        Ok(Entry { public: VerifyingKey { kid: row.kid, x }, signer, signs_from, shown_until: None })
    }

    fn generate(&self) -> Result<NewSigningKey, UserError> {
        let key = SigningKey::from_bytes(&rand::random());
        let public = key.verifying_key();
        let kid = thumbprint(&URL_SAFE_NO_PAD.encode(public.as_bytes()));
        let der = key.to_pkcs8_der().map_err(|error| UserError::SigningKey(error.to_string()))?;
        let sealed = self.vault().seal(&kid, der.as_bytes());
        let private_key_encrypted = sealed.map_err(|error| locked(&kid, error))?;
        Ok(NewSigningKey { kid, private_key_encrypted, public_key: public.as_bytes().to_vec() })
    }
}

/// Why a key is not encrypted or decrypted, and what to do about it.
fn locked(kid: &str, error: VaultError) -> UserError {
    UserError::SigningKey(match error {
        VaultError::NoSecret => {
            format!("the secret that encrypts signing keys needs {SHORTEST_SECRET} bytes or more")
        }
        VaultError::AnotherSecret => format!(
            "the secret for signing keys is not the one that key {kid} was encrypted with; set that one as \
             ESHOPZ_SECRET_KEY_PREVIOUS, or delete the key from users.signing_keys, which signs everybody out"
        ),
    })
}

/// The thumbprint of an Ed25519 JWK (RFC 7638, RFC 8037): a name that follows from the key.
fn thumbprint(x: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_thumbprint_is_that_of_the_standard() {
        // RFC 8037, A.3.
        let thumbprint = super::thumbprint("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
