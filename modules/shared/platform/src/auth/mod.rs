//! Access tokens: JWTs signed with Ed25519 (RFC 8037), checked by every module by itself, from keys
//! that it knows (`keys`), and the session behind them, which may have been revoked since
//! (`sessions`).

mod keys;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eshopz_kernel::{Fault, FaultKind, Role, SessionId, UserId};
use jsonwebtoken::{Algorithm, Validation};
use moka::future::Cache;
use serde::{Deserialize, Serialize};

use self::keys::VerificationKeys;
pub use self::sessions::{SessionCopies, forget_sessions, session_copies};

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
    /// As it is now, which may be another than the token says.
    pub role: Role,
    /// The account is an admin's, and the session may not act as one until it has shown a second factor.
    pub lacks_second_factor: bool,
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
    /// The keys that tokens may be signed with at present, those included that will sign soon.
    async fn public_keys(&self) -> Result<Vec<PublicKey>, Fault>;

    /// The role of the account behind a session that is good; `None` once it is revoked, or the
    /// account disabled or deleted. Read afresh: copies are kept by who asks.
    async fn session_role(&self, session: SessionId) -> Result<Option<Role>, Fault>;
}

/// Checks access tokens. Asks the user module about keys now and then, and about each session at most
/// every 0.8 seconds; without it nobody is let in, and nobody is signed out: that is 503, not 401.
pub struct Authenticator {
    identity: Arc<dyn Identity>,
    keys: Arc<VerificationKeys>,
    sessions: SessionCopies,
    /// Tokens whose signature was found good, so that it is computed once per token.
    verified: Cache<String, Arc<Verified>>,
    validation: Validation,
}

/// What a token says, and the key that vouches for it.
struct Verified {
    claims: Claims,
    kid: String,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

fn invalid_token() -> Fault {
    Fault::unauthenticated("invalid_token", "The access token is expired, revoked or not ours. Sign in again.")
}

/// The user module could not be asked. Whatever its reason, it is none of the person who signed in: a
/// refusal between two processes must not reach him as his own 401.
fn outage(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Unavailable | FaultKind::Internal => fault,
        _ => unreachable_issuer().caused_by(fault),
    }
}

fn unreachable_issuer() -> Fault {
    Fault::unavailable("Access tokens cannot be checked just now. Try again in a moment.", 1)
}

impl Authenticator {
    /// `sessions` are the process' own, [`session_copies`]: where the user module runs too, the same
    /// that it forgets ended sessions in.
    #[must_use]
    pub fn new(identity: Arc<dyn Identity>, sessions: SessionCopies) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = 0;
        Self {
            keys: Arc::new(VerificationKeys::new(Arc::clone(&identity))),
            identity,
            sessions,
            verified: Cache::builder().max_capacity(10_000).time_to_live(Duration::from_secs(900)).build(),
            validation,
        }
    }

    /// Gets the keys, if there are none yet. For a process that runs the user module itself, before it
    /// says that it is ready; any other gets them with its first token.
    ///
    /// # Errors
    /// When the user module cannot be asked.
    pub async fn prepare(&self) -> Result<(), Fault> {
        self.keys.prepare().await
    }

    /// Whether there are keys to check tokens with.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.keys.are_known()
    }

    /// Checks signature, times, issuer, audience and that the session still stands.
    ///
    /// # Errors
    /// 401 `invalid_token`; 503 when keys or sessions cannot be had.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, Fault> {
        let verified = self.verify(token).await?;
        let claims = &verified.claims;
        if claims.exp <= chrono::Utc::now().timestamp() {
            return Err(invalid_token());
        }
        let role = sessions::role(&self.sessions, self.identity.as_ref(), claims.sid).await.map_err(outage)?;
        let role = role.ok_or_else(invalid_token)?;
        // A change of the account's role ends its sessions. So a session that is good and may do less than its token says
        // is one that the user module lets do less.
        let lacks_second_factor = claims.role == Role::Admin && role != Role::Admin;
        Ok(Principal { user_id: claims.sub, session_id: claims.sid, role, lacks_second_factor })
    }

    async fn verify(&self, token: &str) -> Result<Arc<Verified>, Fault> {
        if let Some(verified) = self.verified.get(token).await {
            // Its key may have been withdrawn since; then this does not come back.
            self.keys.key(&verified.kid).await?;
            return Ok(verified);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| invalid_token().caused_by(error))?;
        if header.alg != Algorithm::EdDSA {
            return Err(invalid_token());
        }
        let kid = header.kid.ok_or_else(invalid_token)?;
        let key = self.keys.key(&kid).await?;
        let data = jsonwebtoken::decode::<Claims>(token, &key, &self.validation)
            .map_err(|error| invalid_token().caused_by(error))?;
        let verified = Arc::new(Verified { claims: data.claims, kid });
        self.verified.insert(token.to_owned(), Arc::clone(&verified)).await;
        Ok(verified)
    }
}
