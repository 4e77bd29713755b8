//! Second factors and recovery codes. Times are the database's, which is one clock for all processes.

use std::time::Duration;

use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Binary, Double, Integer, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use crate::schema::{recovery_codes, second_factors, sessions, users};

/// A factor as it is compared with.
#[derive(QueryableByName)]
pub struct Factor {
    #[diesel(sql_type = Binary)]
    pub secret_encrypted: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    pub last_step: i64,
    /// Wrong codes within the window.
    #[diesel(sql_type = Integer)]
    pub failures: i32,
    /// Seconds until the window ends.
    #[diesel(sql_type = Double)]
    pub window_left: f64,
    /// Seconds since it was begun.
    #[diesel(sql_type = Double)]
    pub age: f64,
    /// Seconds since 1970.
    #[diesel(sql_type = BigInt)]
    pub unix_seconds: i64,
}

/// One that is locked with a key of before.
#[derive(Queryable)]
pub struct Outdated {
    pub user_id: Uuid,
    pub secret_encrypted: Vec<u8>,
}

/// Keeps a secret that is not confirmed yet, in place of one before.
pub async fn begin(
    conn: &mut AsyncPgConnection,
    user_id: Uuid,
    secret_encrypted: &[u8],
    sealed_by: &str,
) -> QueryResult<usize> {
    // Wrong codes stay counted: beginning anew gives no further guesses.
    let query = sql_query(
        "INSERT INTO second_factors AS f (user_id, secret_encrypted, sealed_by) VALUES ($1, $2, $3) \
         ON CONFLICT (user_id) DO UPDATE SET secret_encrypted = excluded.secret_encrypted, \
            sealed_by = excluded.sealed_by, last_step = 0, created_at = now()",
    )
    .bind::<SqlUuid, _>(user_id)
    .bind::<Binary, _>(secret_encrypted)
    .bind::<Text, _>(sealed_by);
    prepared(query).execute(conn).await
}

/// Reads a factor and holds it until the transaction ends: of two who come with one code the second sees it used.
pub async fn lock(conn: &mut AsyncPgConnection, user_id: Uuid, window: Duration) -> QueryResult<Option<Factor>> {
    let query = sql_query(
        "SELECT secret_encrypted, last_step, \
                CASE WHEN failures_since > clock_timestamp() - make_interval(secs => $2) THEN failures ELSE 0 END \
                    AS failures, \
                $2 - extract(epoch FROM clock_timestamp() - failures_since)::float8 AS window_left, \
                extract(epoch FROM clock_timestamp() - created_at)::float8 AS age, \
                floor(extract(epoch FROM clock_timestamp()))::bigint AS unix_seconds \
         FROM second_factors WHERE user_id = $1 FOR UPDATE",
    )
    .bind::<SqlUuid, _>(user_id)
    .bind::<Double, _>(window.as_secs_f64());
    prepared(query).single(conn).await.optional()
}

/// A code of this time step was used.
pub async fn used(conn: &mut AsyncPgConnection, user_id: Uuid, step: i64) -> QueryResult<usize> {
    diesel::update(second_factors::table.find(user_id))
        .set((second_factors::last_step.eq(step), second_factors::failures.eq(0)))
        .execute(conn)
        .await
}

/// A code was wrong.
pub async fn failed(conn: &mut AsyncPgConnection, user_id: Uuid, before: i32) -> QueryResult<usize> {
    let query = sql_query(
        "UPDATE second_factors SET failures = $2 + 1, \
            failures_since = CASE WHEN $2 = 0 THEN clock_timestamp() ELSE failures_since END WHERE user_id = $1",
    )
    .bind::<SqlUuid, _>(user_id)
    .bind::<Integer, _>(before);
    prepared(query).execute(conn).await
}

/// From now on the account needs its codes, and the session has shown one.
pub async fn enable(conn: &mut AsyncPgConnection, user_id: Uuid, session: Option<Uuid>) -> QueryResult<()> {
    diesel::update(users::table.find(user_id)).set(users::second_factor_at.eq(now)).execute(conn).await?;
    if let Some(session) = session {
        diesel::update(sessions::table.find(session)).set(sessions::second_factor.eq(true)).execute(conn).await?;
    }
    Ok(())
}

/// Takes the factor, its codes, and what sessions have shown of it.
pub async fn remove(conn: &mut AsyncPgConnection, user_id: Uuid) -> QueryResult<()> {
    diesel::delete(recovery_codes::table).filter(recovery_codes::user_id.eq(user_id)).execute(conn).await?;
    diesel::delete(second_factors::table.find(user_id)).execute(conn).await?;
    diesel::update(sessions::table)
        .filter(sessions::user_id.eq(user_id))
        .filter(sessions::second_factor)
        .set(sessions::second_factor.eq(false))
        .execute(conn)
        .await?;
    diesel::update(users::table.find(user_id))
        .filter(users::second_factor_at.is_not_null())
        .set(users::second_factor_at.eq(None::<chrono::DateTime<chrono::Utc>>))
        .execute(conn)
        .await?;
    Ok(())
}

/// Puts these recovery codes in the place of those before.
pub async fn replace_codes(conn: &mut AsyncPgConnection, user_id: Uuid, hashes: &[Vec<u8>]) -> QueryResult<usize> {
    diesel::delete(recovery_codes::table).filter(recovery_codes::user_id.eq(user_id)).execute(conn).await?;
    let query = sql_query("INSERT INTO recovery_codes (user_id, hash) SELECT $1, hash FROM unnest($2) AS hash")
        .bind::<SqlUuid, _>(user_id)
        .bind::<Array<Binary>, _>(hashes);
    prepared(query).execute(conn).await
}

/// Uses a recovery code up; false when there is none such.
pub async fn take_code(conn: &mut AsyncPgConnection, user_id: Uuid, hash: &[u8]) -> QueryResult<bool> {
    Ok(diesel::delete(recovery_codes::table.find((user_id, hash))).execute(conn).await? == 1)
}

/// How many recovery codes are left.
pub async fn count_codes(conn: &mut AsyncPgConnection, user_id: Uuid) -> QueryResult<i64> {
    recovery_codes::table.filter(recovery_codes::user_id.eq(user_id)).count().single(conn).await
}

/// Some of those that are locked with another key than this.
pub async fn outdated(
    conn: &mut AsyncPgConnection,
    key: &str,
    after: Option<Uuid>,
    limit: i64,
) -> QueryResult<Vec<Outdated>> {
    second_factors::table
        .filter(second_factors::sealed_by.ne(key))
        .filter(second_factors::user_id.gt(after.unwrap_or_default()))
        .order(second_factors::user_id)
        .limit(limit)
        .select((second_factors::user_id, second_factors::secret_encrypted))
        .load(conn)
        .await
}

/// Puts the same secret, locked with another key, in the place of what was read.
pub async fn reseal(
    conn: &mut AsyncPgConnection,
    read: &Outdated,
    secret_encrypted: &[u8],
    key: &str,
) -> QueryResult<usize> {
    diesel::update(second_factors::table.find(read.user_id))
        .filter(second_factors::secret_encrypted.eq(&read.secret_encrypted))
        .set((second_factors::secret_encrypted.eq(secret_encrypted), second_factors::sealed_by.eq(key)))
        .execute(conn)
        .await
}
