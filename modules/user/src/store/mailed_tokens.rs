//! Tokens that were sent by mail, each good once.

use std::time::Duration;

use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Double, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use crate::schema::mailed_tokens;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    PasswordReset,
    VerifyEmail,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset",
            Self::VerifyEmail => "verify_email",
        }
    }
}

pub async fn insert(
    conn: &mut AsyncPgConnection,
    user_id: Uuid,
    purpose: Purpose,
    hash: &[u8],
    ttl: Duration,
) -> QueryResult<usize> {
    let insert = sql_query(
        "INSERT INTO mailed_tokens (hash, user_id, purpose, expires_at) \
         VALUES ($1, $2, $3, now() + $4 * interval '1 second')",
    )
    .bind::<Binary, _>(hash)
    .bind::<SqlUuid, _>(user_id)
    .bind::<Text, _>(purpose.as_str())
    .bind::<Double, _>(ttl.as_secs_f64());
    prepared(insert).execute(conn).await
}

/// Whether a token is good.
pub async fn is_good(conn: &mut AsyncPgConnection, purpose: Purpose, hash: &[u8]) -> QueryResult<bool> {
    let found = mailed_tokens::table
        .find(hash)
        .filter(mailed_tokens::purpose.eq(purpose.as_str()))
        .filter(mailed_tokens::expires_at.gt(now));
    diesel::select(diesel::dsl::exists(found)).single(conn).await
}

/// Uses a token up; gives the account that it was sent to, if it was good.
pub async fn take(conn: &mut AsyncPgConnection, purpose: Purpose, hash: &[u8]) -> QueryResult<Option<Uuid>> {
    diesel::delete(mailed_tokens::table.find(hash))
        .filter(mailed_tokens::purpose.eq(purpose.as_str()))
        .filter(mailed_tokens::expires_at.gt(now))
        .returning(mailed_tokens::user_id)
        .single(conn)
        .await
        .optional()
}

/// Removes an account's tokens of one purpose.
pub async fn forget(conn: &mut AsyncPgConnection, user_id: Uuid, purpose: Purpose) -> QueryResult<usize> {
    diesel::delete(mailed_tokens::table)
        .filter(mailed_tokens::user_id.eq(user_id))
        .filter(mailed_tokens::purpose.eq(purpose.as_str()))
        .execute(conn)
        .await
}

/// Removes every token of an account.
pub async fn forget_all(conn: &mut AsyncPgConnection, user_id: Uuid) -> QueryResult<usize> {
    diesel::delete(mailed_tokens::table).filter(mailed_tokens::user_id.eq(user_id)).execute(conn).await
}

/// Removes tokens that expired; at most `limit`.
pub async fn sweep(conn: &mut AsyncPgConnection, limit: i64) -> QueryResult<usize> {
    let query = sql_query(
        "DELETE FROM mailed_tokens WHERE hash IN (SELECT hash FROM mailed_tokens WHERE expires_at < now() LIMIT $1)",
    )
    .bind::<BigInt, _>(limit);
    prepared(query).execute(conn).await
}
