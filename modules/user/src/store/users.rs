//! Accounts. Deleted ones are found by none of these.

use chrono::{DateTime, Utc};
use diesel::dsl::{exists, now};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::Role;
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use crate::domain::email;
use crate::schema::users;

diesel::define_sql_function! { fn lower(text: Text) -> Text; }

#[derive(Clone, Debug, Queryable, Selectable, QueryableByName)]
#[diesel(table_name = users)]
pub struct User {
    pub id: Uuid,
    pub email: String,
    pub email_verified_at: Option<DateTime<Utc>>,
    pub password_hash: Option<String>,
    pub full_name: String,
    pub phone: Option<String>,
    pub role: String,
    pub disabled_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Since when it needs the codes of a second factor.
    pub second_factor_at: Option<DateTime<Utc>>,
    /// When the password was chosen, whatever was done with its hash since.
    pub password_set_at: DateTime<Utc>,
}

impl User {
    pub fn role(&self) -> Role {
        Role::parse_or_customer(&self.role)
    }

    /// Whether it is an admin who can sign in.
    pub fn is_acting_admin(&self) -> bool {
        self.role() == Role::Admin && self.disabled_at.is_none()
    }

    /// The hash of the email, if the person has shown that it is theirs. Else somebody could have what another one has
    /// left under it shown, or removed.
    pub fn own_email_hash(&self) -> Option<String> {
        self.email_verified_at.map(|_| email::hash(&self.email))
    }
}

#[derive(Insertable)]
#[diesel(table_name = users)]
pub struct NewUser {
    pub id: Uuid,
    pub email: String,
    pub email_verified_at: Option<DateTime<Utc>>,
    pub password_hash: String,
    pub full_name: String,
    pub role: &'static str,
}

/// What the person may change.
#[derive(AsChangeset, Default)]
#[diesel(table_name = users)]
pub struct ProfileChange {
    pub full_name: Option<String>,
    pub phone: Option<Option<String>>,
}

/// The order of a list, by time of registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    OldestFirst,
    NewestFirst,
}

/// Which accounts are listed, and from where on.
pub struct Filter {
    /// Any part of the email, in any case.
    pub email: Option<String>,
    pub role: Option<Role>,
    pub order: Order,
    pub after: Option<(DateTime<Utc>, Uuid)>,
    pub limit: i64,
}

pub async fn insert(conn: &mut AsyncPgConnection, user: &NewUser) -> QueryResult<User> {
    diesel::insert_into(users::table).values(user).returning(User::as_returning()).single(conn).await
}

pub async fn by_email(conn: &mut AsyncPgConnection, email: &str) -> QueryResult<Option<User>> {
    users::table
        .filter(lower(users::email).eq(lower(email)))
        .filter(users::deleted_at.is_null())
        .select(User::as_select())
        .first(conn)
        .await
        .optional()
}

pub async fn by_id(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<User>> {
    users::table.find(id).filter(users::deleted_at.is_null()).select(User::as_select()).first(conn).await.optional()
}

/// Reads an account and holds it until the transaction ends.
pub async fn lock(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<User>> {
    users::table
        .find(id)
        .filter(users::deleted_at.is_null())
        .select(User::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

pub async fn change_profile(conn: &mut AsyncPgConnection, id: Uuid, change: &ProfileChange) -> QueryResult<User> {
    diesel::update(users::table.find(id))
        .set((change, users::version.eq(users::version + 1), users::updated_at.eq(now)))
        .returning(User::as_returning())
        .single(conn)
        .await
}

pub async fn set_password(conn: &mut AsyncPgConnection, id: Uuid, hash: &str) -> QueryResult<usize> {
    diesel::update(users::table.find(id))
        .set((
            users::password_hash.eq(hash),
            users::password_set_at.eq(now),
            users::version.eq(users::version + 1),
            users::updated_at.eq(now),
        ))
        .execute(conn)
        .await
}

/// Keeps another hash of the same password, unless the password has changed since `of` was read.
pub async fn rehash(conn: &mut AsyncPgConnection, of: &User, hash: &str) -> QueryResult<usize> {
    diesel::update(users::table.find(of.id))
        .filter(users::password_hash.eq(&of.password_hash))
        .set(users::password_hash.eq(hash))
        .execute(conn)
        .await
}

/// Notes that the email is the person's; of no effect when that is known.
pub async fn set_email_verified(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<usize> {
    diesel::update(users::table.find(id))
        .filter(users::email_verified_at.is_null())
        .filter(users::deleted_at.is_null())
        .set((users::email_verified_at.eq(now), users::version.eq(users::version + 1), users::updated_at.eq(now)))
        .execute(conn)
        .await
}

pub async fn set_access(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    role: Role,
    disabled_at: Option<DateTime<Utc>>,
) -> QueryResult<User> {
    diesel::update(users::table.find(id))
        .set((
            users::role.eq(role.as_str()),
            users::disabled_at.eq(disabled_at),
            users::version.eq(users::version + 1),
            users::updated_at.eq(now),
        ))
        .returning(User::as_returning())
        .single(conn)
        .await
}

/// Takes everything personal out of an account.
pub async fn anonymise(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<usize> {
    diesel::update(users::table.find(id))
        .set((
            users::email.eq(format!("deleted+{id}@invalid")),
            users::email_verified_at.eq(None::<DateTime<Utc>>),
            users::password_hash.eq(None::<String>),
            users::full_name.eq(""),
            users::phone.eq(None::<String>),
            users::role.eq(Role::Customer.as_str()),
            users::second_factor_at.eq(None::<DateTime<Utc>>),
            users::deleted_at.eq(now),
            users::version.eq(users::version + 1),
            users::updated_at.eq(now),
        ))
        .execute(conn)
        .await
}

/// Accounts that were deleted some minutes ago, each once: longer ago than a request lasts that was under way then.
pub async fn take_erasures_to_repeat(conn: &mut AsyncPgConnection, limit: i64) -> QueryResult<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Deleted {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let take = diesel::sql_query(
        "UPDATE users SET erasure_repeated_at = now() WHERE id IN ( \
            SELECT id FROM users WHERE deleted_at < now() - interval '5 minutes' AND erasure_repeated_at IS NULL \
            ORDER BY deleted_at LIMIT $1 FOR UPDATE SKIP LOCKED) \
         RETURNING id",
    )
    .bind::<BigInt, _>(limit);
    let taken: Vec<Deleted> = prepared(take).load(conn).await?;
    Ok(taken.into_iter().map(|deleted| deleted.id).collect())
}

/// Lets one transaction at a time change who is an admin, so that two admins who remove each other at
/// the same moment do not leave none. The number is `admins` in ASCII.
pub async fn lock_admins(conn: &mut AsyncPgConnection) -> QueryResult<usize> {
    diesel::sql_query("SELECT pg_advisory_xact_lock(107083960249971)").execute(conn).await
}

/// Whether an admin other than this one can sign in.
pub async fn has_other_admin(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<bool> {
    let others = users::table
        .filter(users::role.eq(Role::Admin.as_str()))
        .filter(users::disabled_at.is_null())
        .filter(users::deleted_at.is_null())
        .filter(users::id.ne(id));
    diesel::select(exists(others)).single(conn).await
}

pub async fn list(conn: &mut AsyncPgConnection, filter: &Filter) -> QueryResult<Vec<User>> {
    let mut query = users::table.filter(users::deleted_at.is_null()).select(User::as_select()).into_boxed();
    if let Some(part) = &filter.email {
        query = query.filter(lower(users::email).like(containing(part)));
    }
    if let Some(role) = filter.role {
        query = query.filter(users::role.eq(role.as_str()));
    }
    let key = (users::created_at, users::id);
    query = match filter.order {
        Order::NewestFirst => query.order((key.0.desc(), key.1.desc())),
        Order::OldestFirst => query.order((key.0.asc(), key.1.asc())),
    };
    query = match (filter.order, filter.after) {
        (_, None) => query,
        (Order::NewestFirst, Some((at, id))) => query.filter(key.0.lt(at).or(key.0.eq(at).and(key.1.lt(id)))),
        (Order::OldestFirst, Some((at, id))) => query.filter(key.0.gt(at).or(key.0.eq(at).and(key.1.gt(id)))),
    };
    query.limit(filter.limit).load(conn).await
}

/// A `LIKE` pattern for text with this part.
fn containing(part: &str) -> String {
    let escaped = part.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_searched_for_is_no_pattern() {
        assert_eq!(super::containing("A_b%\\"), "%a\\_b\\%\\\\%");
    }
}
