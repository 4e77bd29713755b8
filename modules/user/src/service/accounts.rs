//! What admins do with accounts.

use chrono::{DateTime, Utc};
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::{Cursor, Fault, Role, UserId};
use eshopz_platform::audit::{self, Entry};
use eshopz_platform::http::IfMatch;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::UserService;
use super::sessions::one_more;
use crate::error::UserError;
use crate::store::sessions;
use crate::store::users::{self, Filter, Order, User};

/// Which accounts an admin asks for.
pub struct Listing {
    pub email: Option<String>,
    pub role: Option<Role>,
    pub order: Order,
    pub cursor: Option<String>,
    pub limit: usize,
}

/// Where a page ends. The order is part of it: in another one it would mean another place.
#[derive(Serialize, Deserialize)]
pub struct Position {
    newest_first: bool,
    at: DateTime<Utc>,
    id: Uuid,
}

impl Position {
    pub fn of(user: &User, order: Order) -> Self {
        Self { newest_first: order == Order::NewestFirst, at: user.created_at, id: user.id }
    }

    fn decode(cursor: &str, order: Order) -> Result<(DateTime<Utc>, Uuid), Fault> {
        let position: Self = Cursor::decode(cursor)?;
        if position.newest_first != (order == Order::NewestFirst) {
            return Err(Fault::field("/cursor", "invalid_cursor", "is of a list in another order; begin without one"));
        }
        Ok((Cursor::time(position.at)?, position.id))
    }
}

/// What an admin changes; `None` leaves it as it is.
#[derive(Clone, Copy)]
pub struct AccessChange {
    pub role: Option<Role>,
    pub disabled: Option<bool>,
}

impl UserService {
    /// Accounts, up to one more than the limit.
    pub async fn accounts(&self, listing: &Listing) -> Result<Vec<User>, UserError> {
        let cursor = listing.cursor.as_deref();
        let filter = Filter {
            email: listing.email.clone(),
            role: listing.role,
            order: listing.order,
            after: cursor.map(|cursor| Position::decode(cursor, listing.order)).transpose()?,
            limit: one_more(listing.limit),
        };
        let mut conn = self.db.conn().await?;
        Ok(users::list(&mut conn, &filter).await?)
    }

    /// Changes role or access. Sessions end with it, so that no token says what is no longer so.
    pub async fn change_access(&self, id: UserId, change: AccessChange, if_match: &IfMatch) -> Result<User, UserError> {
        let mut conn = self.db.conn().await?;
        let (user, ended) = (*conn).transaction(async |conn| set_access(conn, id, change, if_match).await).await?;
        drop(conn);
        self.forget_sessions(ended).await;
        Ok(user)
    }
}

async fn set_access(
    conn: &mut AsyncPgConnection,
    id: UserId,
    change: AccessChange,
    if_match: &IfMatch,
) -> Result<(User, Vec<Uuid>), UserError> {
    users::lock_admins(conn).await?;
    let user = users::lock(conn, id.uuid()).await?.ok_or(UserError::NoSuchUser)?;
    if_match.check(user.version)?;
    let role = change.role.unwrap_or(user.role());
    let disabled_at = match change.disabled {
        None => user.disabled_at,
        Some(false) => None,
        Some(true) => Some(user.disabled_at.unwrap_or_else(Utc::now)),
    };
    if role == user.role() && disabled_at == user.disabled_at {
        return Ok((user, Vec::new()));
    }
    let acting_admin = role == Role::Admin && disabled_at.is_none();
    if user.is_acting_admin() && !acting_admin && !users::has_other_admin(conn, user.id).await? {
        return Err(UserError::LastAdmin);
    }
    let changed = users::set_access(conn, user.id, role, disabled_at).await?;
    note_access(conn, &user, &changed).await?;
    let ended = sessions::revoke_all(conn, user.id, None).await?;
    Ok((changed, ended))
}

/// Role and access are two things to answer for, also when they change together.
async fn note_access(conn: &mut AsyncPgConnection, before: &User, after: &User) -> Result<(), UserError> {
    if before.role() != after.role() {
        let entry = Entry::new("user.role_changed", "user", after.id);
        audit::record(conn, &entry.with("from", before.role()).with("to", after.role())).await?;
    }
    let action = match (before.disabled_at, after.disabled_at) {
        (None, Some(_)) => "user.disabled",
        (Some(_), None) => "user.enabled",
        _ => return Ok(()),
    };
    Ok(audit::record(conn, &Entry::new(action, "user", after.id)).await?)
}
