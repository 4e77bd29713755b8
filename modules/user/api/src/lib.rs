//! What the user module promises to the others: who a session belongs to, and when an account goes.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eshopz_kernel::{Event, Fault, Role, SessionId, UserId};
use serde::{Deserialize, Serialize};

/// The public half of a key that signs access tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyingKey {
    pub kid: String,
    /// Ed25519 public key in base64url, `x` of its JWK (RFC 8037).
    pub x: String,
}

/// An account as other modules see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSummary {
    pub id: UserId,
    pub email: String,
    pub full_name: String,
    pub role: Role,
}

/// The calls that other modules make.
#[async_trait]
pub trait UserApi: Send + Sync {
    /// The keys that access tokens may be signed with at present.
    async fn verifying_keys(&self) -> Result<Vec<VerifyingKey>, Fault>;

    /// The role behind a session that is good; `None` once it is revoked or its account is disabled or
    /// deleted. A revocation shows within a second.
    async fn session_role(&self, session: SessionId) -> Result<Option<Role>, Fault>;

    /// An account. Fails with `not_found` when there is none or it was deleted.
    async fn user(&self, id: UserId) -> Result<UserSummary, Fault>;
}

/// Somebody made an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRegistered {
    pub user_id: UserId,
    pub at: DateTime<Utc>,
}

impl Event for UserRegistered {
    const NAME: &'static str = "user.registered.v1";
}

/// An account was deleted: whoever keeps something about the person makes it anonymous.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDeleted {
    pub user_id: UserId,
    pub at: DateTime<Utc>,
}

impl Event for UserDeleted {
    const NAME: &'static str = "user.deleted.v1";
}

/// Every event of the module.
pub const EVENTS: &[&str] = &[UserRegistered::NAME, UserDeleted::NAME];
