//! What the user module promises to the others: who a session belongs to, and when an account goes.

use std::future::Future;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eshopz_kernel::{Event, Fault, Role, SessionId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

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

    /// Takes a part of an export in, [`ExportRequested`]. The same part again replaces the first; one of an export
    /// that nobody waits for any more is dropped.
    async fn deliver_export(&self, part: ExportPart) -> Result<(), Fault>;
}

/// Some of what a module holds on a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExportPart {
    pub export_id: Uuid,
    /// Whose part it is, as in `order`.
    pub module: String,
    /// Counted from 0: what is large comes in several.
    pub number: u32,
    /// Whether none of the module's comes after it.
    pub is_last: bool,
    /// An object of lists. Lists of the same name in several parts are one list.
    pub document: Value,
}

/// What a module hands over: its name, that of the list, and how many entries make a part.
#[derive(Clone, Copy, Debug)]
pub struct Holding {
    pub module: &'static str,
    pub list: &'static str,
    pub page: u32,
}

/// Hands over all that a module holds on a person, a page in each part. `read` gives the page after an entry, in the order
/// of their ids; one that is not full is the last. Nothing is changed by reading, and a part that comes again is the same,
/// so the event may come any number of times.
///
/// # Errors
/// Those of `read`, and those of the user module.
pub async fn hand_over<R, P>(users: &dyn UserApi, export_id: Uuid, holding: Holding, read: R) -> Result<(), Fault>
where
    R: Fn(Uuid) -> P + Send + Sync,
    P: Future<Output = Result<Vec<(Uuid, Value)>, Fault>> + Send,
{
    let mut after = Uuid::nil();
    for number in 0_u32.. {
        let page = read(after).await?;
        let is_last = u32::try_from(page.len()).is_ok_and(|length| length < holding.page);
        after = page.last().map_or(after, |(id, _)| *id);
        let entries: Vec<Value> = page.into_iter().map(|(_, entry)| entry).collect();
        let document = json!({ holding.list: entries });
        let module = holding.module.to_owned();
        users.deliver_export(ExportPart { export_id, module, number, is_last, document }).await?;
        if is_last {
            break;
        }
    }
    Ok(())
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
    /// SHA-256 in hex of the email in small letters, if the person had shown that it is theirs: what a guest has left
    /// under it is theirs too.
    #[serde(default)]
    pub email_hash: Option<String>,
    pub at: DateTime<Utc>,
}

impl Event for UserDeleted {
    const NAME: &'static str = "user.deleted.v1";
}

/// Somebody wants to see what the shop holds on him: each module that holds anything hands its part over by
/// [`UserApi::deliver_export`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRequested {
    pub export_id: Uuid,
    pub user_id: UserId,
    /// As in [`UserDeleted`].
    #[serde(default)]
    pub email_hash: Option<String>,
    pub at: DateTime<Utc>,
}

impl Event for ExportRequested {
    const NAME: &'static str = "user.export_requested.v1";
}

/// Every event of the module.
pub const EVENTS: &[&str] = &[UserRegistered::NAME, UserDeleted::NAME, ExportRequested::NAME];
