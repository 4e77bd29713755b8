//! Tokens that were sent by mail, each good once.

use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::users::User;
use crate::schema::{mailed_tokens, users};

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    PasswordReset,
    VerifyEmail,
}

impl Purpose {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset",
            Self::VerifyEmail => "verify_email",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::PasswordReset, Self::VerifyEmail].into_iter().find(|purpose| purpose.as_str() == text)
    }
}

/// Whose token it is, if it is good.
pub async fn holder(conn: &mut AsyncPgConnection, purpose: Purpose, hash: &[u8]) -> QueryResult<Option<User>> {
    mailed_tokens::table
        .find(hash)
        .inner_join(users::table.on(users::id.eq(mailed_tokens::user_id)))
        .filter(mailed_tokens::purpose.eq(purpose.as_str()))
        .filter(mailed_tokens::expires_at.gt(now))
        .select(User::as_select())
        .first(conn)
        .await
        .optional()
}

/// Makes a token worthless that has not gone out.
pub async fn withdraw(conn: &mut AsyncPgConnection, hash: &[u8]) -> QueryResult<usize> {
    diesel::delete(mailed_tokens::table.find(hash)).execute(conn).await
}

/// Uses a token up; whether it was good.
pub async fn take(conn: &mut AsyncPgConnection, purpose: Purpose, hash: &[u8]) -> QueryResult<bool> {
    let taken = diesel::delete(mailed_tokens::table.find(hash))
        .filter(mailed_tokens::purpose.eq(purpose.as_str()))
        .filter(mailed_tokens::expires_at.gt(now))
        .execute(conn)
        .await?;
    Ok(taken > 0)
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
