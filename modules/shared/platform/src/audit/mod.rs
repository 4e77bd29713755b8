//! The audit log: who did what that an admin has to answer for, and what matters to the security of the shop.
//!
//! An entry is a row of `audit_log` in the schema of the module that did it, written in the transaction of what it
//! tells: what was rolled back leaves none, and what stands has one. Rows are only ever added; the role in which a
//! module works may neither change nor remove any (`migrations/common.sql.template`).
//!
//! Whoever writes one says what was done to what. Who did it, in which request and from where is known to the request's
//! context: the extractors of [`crate::http`] note there who is signed in. Neither passwords nor tokens nor personal
//! data go into an entry: accounts are named by their id, and an email that belongs to nobody by its hash.

mod read;

use diesel::result::QueryResult;
use diesel::sql_query;
use diesel::sql_types::Jsonb;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::{Role, UserId};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub use self::read::{AuditEntry, AuditQuery, page};
use crate::context;
use crate::prepared::prepared;

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody who is signed in, or has just shown that the account is theirs.
    Account(UserId, Role),
    /// An operator at the command line.
    Cli,
    /// Somebody who has not shown who they are.
    Nobody,
}

impl Actor {
    /// What a log may tell: an account's id, and nothing of a person.
    #[must_use]
    pub fn id(self) -> Option<String> {
        (self != Self::Nobody).then(|| self.name())
    }

    fn name(self) -> String {
        match self {
            Self::Account(id, _) => id.to_string(),
            Self::Cli => "cli".to_owned(),
            Self::Nobody => "nobody".to_owned(),
        }
    }

    const fn role(self) -> Option<&'static str> {
        match self {
            Self::Account(_, role) => Some(role.as_str()),
            Self::Cli | Self::Nobody => None,
        }
    }
}

/// Something that was done, to be written with what it did.
#[derive(Clone, Debug)]
pub struct Entry {
    action: String,
    subject_type: &'static str,
    subject_id: String,
    actor: Option<Actor>,
    details: Map<String, Value>,
}

impl Entry {
    /// An action, as in `product.archived`, on a subject: what it is, and its id.
    #[must_use]
    pub fn new(action: &str, subject_type: &'static str, subject_id: impl ToString) -> Self {
        let (action, subject_id) = (action.to_owned(), subject_id.to_string());
        Self { action, subject_type, subject_id, actor: None, details: Map::new() }
    }

    /// Another than the request's context names.
    #[must_use]
    pub const fn by(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Something more that is worth knowing; nothing personal.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.details.insert(name.to_owned(), json!(value));
        self
    }

    /// The row, as the statement of [`write_audit_entry`](crate::write_audit_entry) takes it.
    #[must_use]
    pub fn row(&self) -> Value {
        let actor = self.actor.or_else(context::actor).unwrap_or(Actor::Nobody);
        json!({
            "id": Uuid::now_v7(),
            "actor": actor.name(),
            "actor_role": actor.role(),
            "action": self.action,
            "subject_type": self.subject_type,
            "subject_id": self.subject_id,
            "request_id": context::current_request_id(),
            "address": context::address().map(|address| address.to_string()),
            "details": self.details,
        })
    }
}

/// The statement that writes [`Entry::row`], bound as the parameter `$row`; once for each row of what else it selects
/// from, so that it can go with the statement of its effect.
#[macro_export]
macro_rules! write_audit_entry {
    ($row:literal $(, $from:literal)?) => {
        concat!(
            "INSERT INTO audit_log \
                (id, actor, actor_role, action, subject_type, subject_id, request_id, address, details) \
             SELECT e.id, e.actor, e.actor_role, e.action, e.subject_type, e.subject_id, e.request_id, e.address, e.details \
             FROM jsonb_populate_record(NULL::audit_log, ",
            $row,
            ") AS e"
            $(, ", ", $from)?
        )
    };
}

/// Writes an entry into the module's log, in the transaction that `conn` is in.
///
/// # Errors
/// The statement's.
pub async fn record(conn: &mut AsyncPgConnection, entry: &Entry) -> QueryResult<()> {
    let insert = sql_query(write_audit_entry!("$1")).bind::<Jsonb, _>(entry.row());
    prepared(insert).execute(conn).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::RequestContext;

    #[tokio::test]
    async fn an_entry_knows_its_request_and_who_made_it() {
        let (id, other) = (UserId::new(), UserId::new());
        let context = RequestContext {
            request_id: "r-1".to_owned(),
            address: Some("192.0.2.7".parse().unwrap()),
            ..RequestContext::default()
        };
        let entry = Entry::new("product.archived", "product", "p").with("status", "archived");
        context
            .scope(async {
                assert_eq!(entry.row()["actor"], "nobody");
                context::note_actor(Actor::Account(id, Role::Admin));
                context::note_actor(Actor::Account(other, Role::Customer));
                let row = entry.row();
                assert_eq!((&row["actor"], &row["actor_role"]), (&json!(id), &json!("admin")), "the first one stays");
                assert_eq!((&row["request_id"], &row["address"]), (&json!("r-1"), &json!("192.0.2.7")));
                assert_eq!(row["details"], json!({"status": "archived"}));
                assert_eq!(entry.clone().by(Actor::Nobody).row()["actor"], "nobody");
            })
            .await;
        let row = context::command(async { entry.row() }).await;
        assert_eq!((&row["actor"], &row["actor_role"], &row["address"]), (&json!("cli"), &Value::Null, &Value::Null));
        assert!(row["request_id"].as_str().is_some_and(|id| !id.is_empty()));
    }
}
