//! Sessions and their refresh tokens.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Bool, Double, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::users::User;
use crate::schema::{sessions, users};

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct Session {
    pub id: Uuid,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
}

/// A session that is about to begin.
pub struct NewSession<'a> {
    pub id: Uuid,
    pub user_id: Uuid,
    /// Of when the password is that was compared.
    pub password_set_at: DateTime<Utc>,
    /// Whether the code of a second factor was shown.
    pub second_factor: bool,
    pub user_agent: Option<&'a str>,
    pub address: Option<&'a str>,
    pub token_hash: &'a [u8],
    pub ttl_seconds: f64,
    /// The audit log's row.
    pub entry: serde_json::Value,
}

/// A refresh token that somebody presented, with the session and the account behind it.
#[derive(QueryableByName)]
pub struct Presented {
    #[diesel(embed)]
    pub user: User,
    #[diesel(sql_type = SqlUuid)]
    pub session_id: Uuid,
    #[diesel(sql_type = Bool)]
    pub spent: bool,
    /// Neither expired nor revoked, and the account may sign in.
    #[diesel(sql_type = Bool)]
    pub good: bool,
}

/// Begins a session with its first refresh token, and notes it in the audit log. False when the account was disabled or
/// deleted, its password changed, or a second factor added, since the password was compared: then that session would
/// outlive the change.
pub async fn open(conn: &mut AsyncPgConnection, new: &NewSession<'_>) -> QueryResult<bool> {
    let query = sql_query(concat!(
        "WITH holder AS ( \
            SELECT id FROM users WHERE id = $1 AND password_set_at = $2 AND disabled_at IS NULL AND deleted_at IS NULL \
                AND ($8 OR second_factor_at IS NULL) FOR SHARE \
         ), opened AS ( \
            INSERT INTO sessions (id, user_id, user_agent, address, expires_at, second_factor) \
            SELECT $3, id, $4, $5, now() + make_interval(secs => $6), $8 FROM holder RETURNING id \
         ), noted AS (",
        eshopz_platform::write_audit_entry!("$9", "opened"),
        ") \
         INSERT INTO refresh_tokens (hash, session_id, expires_at) \
         SELECT $7, id, now() + make_interval(secs => $6) FROM opened",
    ))
    .bind::<SqlUuid, _>(new.user_id)
    .bind::<Timestamptz, _>(new.password_set_at)
    .bind::<SqlUuid, _>(new.id)
    .bind::<Nullable<Text>, _>(new.user_agent)
    .bind::<Nullable<Text>, _>(new.address)
    .bind::<Double, _>(new.ttl_seconds)
    .bind::<Binary, _>(new.token_hash)
    .bind::<Bool, _>(new.second_factor)
    .bind::<Jsonb, _>(&new.entry);
    Ok(prepared(query).execute(conn).await? == 1)
}

/// Finds a refresh token and holds it and its session until the transaction ends. Of two who present
/// the same token at once, the second sees it spent by the first.
pub async fn lock_token(conn: &mut AsyncPgConnection, hash: &[u8]) -> QueryResult<Option<Presented>> {
    let query = sql_query(
        "SELECT u.id, u.email, u.email_verified_at, u.password_hash, u.full_name, u.phone, u.role, u.disabled_at, \
                u.version, u.created_at, u.updated_at, u.second_factor_at, u.password_set_at, \
                s.id AS session_id, t.spent_at IS NOT NULL AS spent, \
                s.revoked_at IS NULL AND s.expires_at > now() AND t.expires_at > now() \
                AND u.disabled_at IS NULL AND u.deleted_at IS NULL AS good \
         FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id JOIN users u ON u.id = s.user_id \
         WHERE t.hash = $1 FOR UPDATE OF t, s",
    )
    .bind::<Binary, _>(hash);
    prepared(query).single(conn).await.optional()
}

/// Spends a token, gives the session another, and moves the session's end on.
pub async fn rotate(conn: &mut AsyncPgConnection, spent: &[u8], fresh: &[u8], ttl_seconds: f64) -> QueryResult<usize> {
    // Each part needs the one before it: a session never has two tokens that are good, not even for
    // the moment in which the unique index looks.
    let query = sql_query(
        "WITH spent AS ( \
            UPDATE refresh_tokens SET spent_at = now() WHERE hash = $1 RETURNING session_id \
         ), used AS ( \
            UPDATE sessions SET last_used_at = now(), expires_at = now() + make_interval(secs => $3) \
            FROM spent WHERE id = spent.session_id RETURNING id \
         ) \
         INSERT INTO refresh_tokens (hash, session_id, expires_at) \
         SELECT $2, id, now() + make_interval(secs => $3) FROM used",
    )
    .bind::<Binary, _>(spent)
    .bind::<Binary, _>(fresh)
    .bind::<Double, _>(ttl_seconds);
    prepared(query).execute(conn).await
}

/// Ends a session of an account. False when there is none that is still good.
pub async fn revoke(conn: &mut AsyncPgConnection, user_id: Uuid, id: Uuid) -> QueryResult<bool> {
    let ended = diesel::update(sessions::table.find(id))
        .filter(sessions::user_id.eq(user_id))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(diesel::dsl::now))
        .set(sessions::revoked_at.eq(diesel::dsl::now))
        .execute(conn)
        .await?;
    Ok(ended == 1)
}

/// Ends every session of an account, but for one if it is named. Gives those that were ended.
pub async fn revoke_all(conn: &mut AsyncPgConnection, user_id: Uuid, but: Option<Uuid>) -> QueryResult<Vec<Uuid>> {
    diesel::update(sessions::table)
        .filter(sessions::user_id.eq(user_id))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::id.ne(but.unwrap_or_default()))
        .set(sessions::revoked_at.eq(diesel::dsl::now))
        .returning(sessions::id)
        .get_results(conn)
        .await
}

/// Forgets from where an account was used.
pub async fn anonymise(conn: &mut AsyncPgConnection, user_id: Uuid) -> QueryResult<usize> {
    diesel::update(sessions::table)
        .filter(sessions::user_id.eq(user_id))
        .set((sessions::user_agent.eq(None::<String>), sessions::address.eq(None::<String>)))
        .execute(conn)
        .await
}

/// The role behind a session that is good, and whether the session has shown a second factor.
pub async fn role_of(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<(String, bool)>> {
    sessions::table
        .inner_join(users::table.on(users::id.eq(sessions::user_id)))
        .filter(sessions::id.eq(id))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(diesel::dsl::now))
        .filter(users::disabled_at.is_null())
        .filter(users::deleted_at.is_null())
        .select((users::role, sessions::second_factor))
        .first(conn)
        .await
        .optional()
}

/// The good sessions of an account, newest first, those older than `after`.
pub async fn list(
    conn: &mut AsyncPgConnection,
    user_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> QueryResult<Vec<Session>> {
    sessions::table
        .filter(sessions::user_id.eq(user_id))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(diesel::dsl::now))
        .filter(sessions::id.lt(after.unwrap_or(Uuid::max())))
        .order(sessions::id.desc())
        .limit(limit)
        .select(Session::as_select())
        .load(conn)
        .await
}

/// Every session of an account that is kept, newest first.
pub async fn all(conn: &mut AsyncPgConnection, user_id: Uuid) -> QueryResult<Vec<Session>> {
    sessions::table
        .filter(sessions::user_id.eq(user_id))
        .order(sessions::id.desc())
        .select(Session::as_select())
        .load(conn)
        .await
}

/// Removes refresh tokens that expired, and those of sessions that ended; at most `limit`.
pub async fn sweep_tokens(conn: &mut AsyncPgConnection, limit: i64) -> QueryResult<usize> {
    let query = sql_query(
        "DELETE FROM refresh_tokens WHERE hash IN ( \
            SELECT t.hash FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id \
            WHERE t.expires_at < now() OR s.revoked_at < now() - interval '1 day' \
            LIMIT $1 FOR UPDATE OF t SKIP LOCKED)",
    )
    .bind::<BigInt, _>(limit);
    prepared(query).execute(conn).await
}

/// Removes sessions that have no token left, so that nobody can ask for them; at most `limit`.
pub async fn sweep(conn: &mut AsyncPgConnection, limit: i64) -> QueryResult<usize> {
    let query = sql_query(
        "DELETE FROM sessions WHERE id IN ( \
            SELECT s.id FROM sessions s WHERE (s.expires_at < now() OR s.revoked_at < now() - interval '1 day') \
            AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.session_id = s.id) \
            LIMIT $1 FOR UPDATE SKIP LOCKED)",
    )
    .bind::<BigInt, _>(limit);
    prepared(query).execute(conn).await
}
