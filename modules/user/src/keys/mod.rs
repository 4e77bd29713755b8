//! The keys that sign access tokens. They are kept in the database, so that all processes of a shop
//! sign with one key and a new process needs no file; the private half is encrypted ([`vault`]).

mod vault;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use eshopz_platform::auth::Claims;
use eshopz_platform::db::Db;
use eshopz_user_api::VerifyingKey;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use moka::future::Cache;
use sha2::{Digest as _, Sha256};

use self::vault::Vault;
use crate::error::UserError;
use crate::settings::UserSettings;
use crate::store;
use crate::store::keys::NewSigningKey;

/// How long the keys are remembered before the database is asked again.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The keys as of a moment.
struct Keys {
    header: Header,
    private: EncodingKey,
    public: Vec<VerifyingKey>,
}

/// Signs access tokens, and tells with which keys.
pub struct Keyring {
    db: Db,
    vault: Vault,
    /// A retired key is still shown until the last token it signed has expired.
    token_ttl: Duration,
    keys: Cache<(), Arc<Keys>>,
}

impl Keyring {
    pub fn new(db: Db, settings: &UserSettings) -> Self {
        Self {
            db,
            vault: Vault::new(&settings.key_secret),
            token_ttl: settings.access_token_ttl,
            keys: Cache::builder().max_capacity(1).time_to_live(REMEMBERED).build(),
        }
    }

    /// Signs claims as a JWT.
    ///
    /// # Errors
    /// When the keys cannot be had.
    pub async fn sign(&self, claims: &Claims) -> Result<String, UserError> {
        let keys = self.keys().await?;
        jsonwebtoken::encode(&keys.header, claims, &keys.private)
            .map_err(|error| UserError::SigningKey(error.to_string()))
    }

    /// The keys that tokens may be signed with at present.
    ///
    /// # Errors
    /// When the keys cannot be had.
    pub async fn public(&self) -> Result<Vec<VerifyingKey>, UserError> {
        Ok(self.keys().await?.public.clone())
    }

    async fn keys(&self) -> Result<Arc<Keys>, UserError> {
        // The error is shared between those who wait for it, so it goes as a fault.
        let keys = self.keys.try_get_with((), async { self.load().await.map(Arc::new).map_err(Into::into) }).await;
        keys.map_err(|fault: Arc<eshopz_kernel::Fault>| UserError::Refused(eshopz_kernel::Fault::clone(&fault)))
    }

    /// Reads the keys, after making the first one if there is none.
    async fn load(&self) -> Result<Keys, UserError> {
        let mut conn = self.db.conn().await?;
        let mut rows = store::keys::current(&mut conn, self.token_ttl).await?;
        if !rows.iter().any(|row| row.retired_at.is_none()) {
            // Another process may do the same just now; the unique index lets one of the two in.
            store::keys::insert_unless_active(&mut conn, &self.generate()?).await?;
            rows = store::keys::current(&mut conn, self.token_ttl).await?;
        }
        let public = rows
            .iter()
            .map(|row| VerifyingKey { kid: row.kid.clone(), x: URL_SAFE_NO_PAD.encode(&row.public_key) })
            .collect();
        let active = rows.into_iter().find(|row| row.retired_at.is_none());
        let active = active.ok_or_else(|| UserError::SigningKey("there is none".to_owned()))?;
        let der = self.vault.open(&active.kid, &active.private_key_encrypted)?;
        let header = Header { kid: Some(active.kid), ..Header::new(Algorithm::EdDSA) };
        Ok(Keys { header, private: EncodingKey::from_ed_der(&der), public })
    }

    fn generate(&self) -> Result<NewSigningKey, UserError> {
        let key = SigningKey::from_bytes(&rand::random());
        let public = key.verifying_key();
        let kid = thumbprint(&URL_SAFE_NO_PAD.encode(public.as_bytes()));
        let der = key.to_pkcs8_der().map_err(|error| UserError::SigningKey(error.to_string()))?;
        let private_key_encrypted = self.vault.seal(&kid, der.as_bytes())?;
        Ok(NewSigningKey { kid, private_key_encrypted, public_key: public.as_bytes().to_vec() })
    }
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
