//! What the shop holds on a person, handed out to him. This module calls no other: it tells by an event that somebody
//! asks, the others hand their parts over, and the request waits for them a while. What has come by then is kept for
//! the next request.

use std::time::Duration;

use chrono::Utc;
use diesel_async::AsyncConnection as _;
use eshopz_kernel::UserId;
use eshopz_platform::audit::{self, AuditEntry, AuditQuery, Entry};
use eshopz_platform::events::outbox;
use eshopz_user_api::{ExportPart, ExportRequested};
use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use super::UserService;
use crate::domain::MAX_ADDRESSES;
use crate::error::UserError;
use crate::store::addresses::{self, Address};
use crate::store::exports;
use crate::store::sessions::{self, Session};
use crate::store::users::{self, User};

/// The pauses between two looks at what has come.
const PAUSES: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(250);
/// After so long what has come is removed.
pub const KEPT: Duration = Duration::from_secs(3_600);

/// All that is held on a person.
pub struct Export {
    pub account: User,
    pub addresses: Vec<Address>,
    /// Those that have ended too, as long as they are kept.
    pub sessions: Vec<Session>,
    /// What the person has done that was noted, the latest first.
    pub noted: Vec<AuditEntry>,
    /// What the other modules hold, by their names.
    pub elsewhere: Map<String, Value>,
}

impl UserService {
    /// Gathers it, and waits until all of it is there.
    ///
    /// # Errors
    /// 429 for somebody who asks often; 503 when a module has not handed its part over in time. The next call goes on
    /// from there.
    pub async fn export(&self, id: UserId) -> Result<Export, UserError> {
        self.throttles.exports_account.hit(&id.to_string()).await?;
        let until = Instant::now() + self.settings.export_patience;
        let mut pause = *PAUSES.start();
        let elsewhere = loop {
            let export = self.begin_export(id).await?;
            if let Some(parts) = self.take_export(export).await? {
                break parts;
            }
            if Instant::now() + pause >= until {
                return Err(UserError::ExportNotReady);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(*PAUSES.end());
        };
        self.own_part(id, elsewhere).await
    }

    /// The export that the account waits for, asked for now if there is none.
    async fn begin_export(&self, id: UserId) -> Result<Uuid, UserError> {
        let mut conn = self.db.conn().await?;
        if let Some(export) = exports::of_user(&mut conn, id.uuid()).await? {
            return Ok(export);
        }
        (*conn)
            .transaction(async |conn| {
                let user = users::lock(conn, id.uuid()).await?.ok_or(UserError::NoSuchUser)?;
                // Another request of the same account may have been quicker.
                if let Some(export) = exports::of_user(conn, user.id).await? {
                    return Ok(export);
                }
                let export_id = Uuid::now_v7();
                exports::insert(conn, export_id, user.id).await?;
                audit::record(conn, &Entry::new("user.export_requested", "user", id)).await?;
                let email_hash = user.own_email_hash();
                outbox::publish(conn, &ExportRequested { export_id, user_id: id, email_hash, at: Utc::now() }).await?;
                Ok(export_id)
            })
            .await
    }

    /// The parts of the other modules, if all are there; then nothing of them is kept.
    async fn take_export(&self, export: Uuid) -> Result<Option<Map<String, Value>>, UserError> {
        let mut conn = self.db.conn().await?;
        let is_complete = |complete: &[String]| {
            self.settings.export_from.iter().all(|module| complete.iter().any(|one| one == module))
        };
        if !is_complete(&exports::complete(&mut conn, export).await?) {
            return Ok(None);
        }
        (*conn)
            .transaction(async |conn| {
                // Another request of the same account may have taken it.
                if !exports::lock(conn, export).await? {
                    return Ok(None);
                }
                let parts = exports::parts(conn, export).await?;
                exports::delete(conn, export).await?;
                Ok(Some(joined(parts)))
            })
            .await
    }

    async fn own_part(&self, id: UserId, elsewhere: Map<String, Value>) -> Result<Export, UserError> {
        let account = self.account(id).await?;
        let (addresses, sessions) = {
            let mut conn = self.db.conn().await?;
            let addresses = addresses::list(&mut conn, id.uuid(), None, MAX_ADDRESSES).await?;
            (addresses, sessions::all(&mut conn, id.uuid()).await?)
        };
        let mut query = AuditQuery { actor: Some(id.to_string()), limit: Some(100), ..AuditQuery::default() };
        let mut noted = Vec::new();
        loop {
            let page = audit::page(&self.db, &query).await?;
            noted.extend(page.items);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                return Ok(Export { account, addresses, sessions, noted, elsewhere });
            }
        }
    }

    /// Takes a part of another module in.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn take_export_part(&self, part: &ExportPart) -> Result<(), UserError> {
        let mut conn = self.db.conn().await?;
        exports::put(&mut conn, part, i32::try_from(part.number).unwrap_or(i32::MAX)).await?;
        Ok(())
    }

    /// Removes what nobody has fetched.
    pub(crate) async fn sweep_exports(&self) -> Result<(), UserError> {
        let mut conn = self.db.conn().await?;
        exports::sweep(&mut conn, KEPT).await?;
        Ok(())
    }
}

/// The parts of each module as one: lists of the same name become one list.
fn joined(parts: Vec<(String, Value)>) -> Map<String, Value> {
    let mut modules = Map::new();
    for (module, part) in parts {
        let whole = modules.entry(module).or_insert_with(|| Value::Object(Map::new()));
        let (Some(whole), Value::Object(part)) = (whole.as_object_mut(), part) else { continue };
        for (name, value) in part {
            match (whole.get_mut(&name).and_then(Value::as_array_mut), value) {
                (Some(list), Value::Array(more)) => list.extend(more),
                (_, value) => {
                    whole.insert(name, value);
                }
            }
        }
    }
    modules
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn parts_of_a_module_are_joined_in_their_order() {
        let part = |module: &str, document| (module.to_owned(), document);
        let joined = super::joined(vec![
            part("cart", json!({"carts": []})),
            part("order", json!({"orders": [1, 2], "count": 2})),
            part("order", json!({"orders": [3], "count": 3})),
        ]);
        assert_eq!(json!(joined), json!({"cart": {"carts": []}, "order": {"orders": [1, 2, 3], "count": 3}}));
    }
}
