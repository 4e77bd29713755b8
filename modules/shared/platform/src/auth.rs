//! Access tokens: JWTs signed with Ed25519 (RFC 8037), checked by every module from cached public
//! keys, and the session behind them, which may have been revoked since.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eshopz_kernel::{Fault, Role, SessionId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use moka::future::Cache;
use serde::{Deserialize, Serialize};

/// The issuer in every token.
pub const ISSUER: &str = "eshopz";
/// The audience of access tokens.
pub const AUDIENCE: &str = "eshopz";

/// The claims of an access token (RFC 7519).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: UserId,
    pub sid: SessionId,
    pub role: Role,
    /// Seconds since 1970.
    pub iat: i64,
    /// Seconds since 1970.
    pub exp: i64,
    pub jti: uuid::Uuid,
}

/// The account that a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub role: Role,
}

/// A public key for checking signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub kid: String,
    /// The key's 32 bytes in base64url (`x` of its JWK).
    pub x: String,
}

/// Where keys and sessions come from: the user module, here or elsewhere.
#[async_trait]
pub trait Identity: Send + Sync {
    /// The keys that tokens may be signed with at present.
    async fn public_keys(&self) -> Result<Vec<PublicKey>, Fault>;

    /// The role of the account behind a session that is good; `None` once it is revoked, or the
    /// account disabled or deleted. Holds within a second of the revocation.
    async fn session_role(&self, session: SessionId) -> Result<Option<Role>, Fault>;
}

/// Checks access tokens.
pub struct Authenticator {
    identity: Arc<dyn Identity>,
    keys: Cache<String, Arc<DecodingKey>>,
    /// Tokens whose signature was found good, so that it is computed once per token.
    verified: Cache<String, Arc<Claims>>,
    validation: Validation,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

fn invalid_token() -> Fault {
    Fault::unauthenticated("invalid_token", "The access token is expired, revoked or not ours. Sign in again.")
}

impl Authenticator {
    #[must_use]
    pub fn new(identity: Arc<dyn Identity>) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = 0;
        Self {
            identity,
            keys: Cache::builder().max_capacity(64).time_to_live(Duration::from_secs(300)).build(),
            verified: Cache::builder().max_capacity(10_000).time_to_live(Duration::from_secs(900)).build(),
            validation,
        }
    }

    /// Checks signature, times, issuer, audience and that the session still stands.
    ///
    /// # Errors
    /// 401 `invalid_token`; 503 when keys or sessions cannot be had.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, Fault> {
        let claims = self.claims(token).await?;
        if claims.exp <= chrono::Utc::now().timestamp() {
            return Err(invalid_token());
        }
        let role = self.identity.session_role(claims.sid).await?.ok_or_else(invalid_token)?;
        Ok(Principal { user_id: claims.sub, session_id: claims.sid, role })
    }

    async fn claims(&self, token: &str) -> Result<Arc<Claims>, Fault> {
        if let Some(claims) = self.verified.get(token).await {
            return Ok(claims);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| invalid_token().caused_by(error))?;
        let kid = header.kid.ok_or_else(invalid_token)?;
        let key = self.key(&kid).await?;
        let data = jsonwebtoken::decode::<Claims>(token, &key, &self.validation)
            .map_err(|error| invalid_token().caused_by(error))?;
        let claims = Arc::new(data.claims);
        self.verified.insert(token.to_owned(), Arc::clone(&claims)).await;
        Ok(claims)
    }

    async fn key(&self, kid: &str) -> Result<Arc<DecodingKey>, Fault> {
        if let Some(key) = self.keys.get(kid).await {
            return Ok(key);
        }
        for public in self.identity.public_keys().await? {
            let key = DecodingKey::from_ed_components(&public.x)
                .map_err(|error| Fault::internal("public key").caused_by(error))?;
            self.keys.insert(public.kid, Arc::new(key)).await;
        }
        self.keys.get(kid).await.ok_or_else(invalid_token)
    }
}
