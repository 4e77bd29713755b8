//! Letters that are to be sent. A row says to whom and what for; the token is made when the letter goes out.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::mailed_tokens::Purpose;
use crate::schema::letters;

/// A letter that this process is to send.
#[derive(Clone, Debug, QueryableByName)]
pub struct Claimed {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    purpose: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub user_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    pub address: Option<String>,
    /// This one included.
    #[diesel(sql_type = Integer)]
    pub attempts: i32,
    /// Seconds since it was asked for.
    #[diesel(sql_type = Double)]
    pub age: f64,
    #[diesel(sql_type = Timestamptz)]
    pub claimed_at: chrono::DateTime<chrono::Utc>,
}

impl Claimed {
    /// What its token is good for; `None` of one that a newer version of the program asked for.
    pub fn purpose(&self) -> Option<Purpose> {
        Purpose::parse(&self.purpose)
    }
}

/// Asks for a letter to an account, in the transaction that `conn` is in.
pub async fn ask(conn: &mut AsyncPgConnection, user_id: Uuid, purpose: Purpose) -> QueryResult<usize> {
    diesel::insert_into(letters::table)
        .values((letters::id.eq(Uuid::now_v7()), letters::purpose.eq(purpose.as_str()), letters::user_id.eq(user_id)))
        .execute(conn)
        .await
}

/// Asks for a letter to the account with this email, if there is one. The row is the same whether there is or not, so
/// that nobody learns it from the time that it takes.
pub async fn ask_by_address(conn: &mut AsyncPgConnection, address: &str, purpose: Purpose) -> QueryResult<usize> {
    diesel::insert_into(letters::table)
        .values((letters::id.eq(Uuid::now_v7()), letters::purpose.eq(purpose.as_str()), letters::address.eq(address)))
        .execute(conn)
        .await
}

/// Takes letters that are due, for as long as `lease`; the oldest first.
pub async fn claim(conn: &mut AsyncPgConnection, lease: Duration, limit: usize) -> QueryResult<Vec<Claimed>> {
    let query = sql_query(
        "WITH due AS ( \
            SELECT id FROM letters WHERE available_at <= now() ORDER BY available_at LIMIT $2 FOR UPDATE SKIP LOCKED \
         ) \
         UPDATE letters AS l SET attempts = l.attempts + 1, available_at = now() + make_interval(secs => $1) \
         FROM due WHERE l.id = due.id \
         RETURNING l.id, l.purpose, l.user_id, l.address, l.attempts, now() AS claimed_at, \
                   extract(epoch FROM now() - l.created_at)::float8 AS age",
    )
    .bind::<Double, _>(lease.as_secs_f64())
    .bind::<BigInt, _>(i64::try_from(limit).unwrap_or(1));
    prepared(query).load(conn).await
}

/// Notes whose account it is that somebody named by its email.
pub async fn address_to(conn: &mut AsyncPgConnection, id: Uuid, user_id: Uuid) -> QueryResult<usize> {
    diesel::update(letters::table.find(id))
        .set((letters::user_id.eq(user_id), letters::address.eq(None::<String>)))
        .execute(conn)
        .await
}

/// Makes the token of a letter good and says where it goes. `None` when nobody wants the letter any more: the account is
/// gone or disabled, or its email confirmed.
pub async fn begin(conn: &mut AsyncPgConnection, id: Uuid, hash: &[u8], ttl: Duration) -> QueryResult<Option<String>> {
    #[derive(QueryableByName)]
    struct Recipient {
        #[diesel(sql_type = Text)]
        email: String,
    }
    // The account is held: one that is deleted at this moment takes the token along, or gets none.
    let query = sql_query(
        "WITH wanted AS ( \
            SELECT u.id, u.email, l.purpose FROM letters l JOIN users u ON u.id = l.user_id \
            WHERE l.id = $1 AND u.deleted_at IS NULL AND u.disabled_at IS NULL \
              AND (l.purpose <> 'verify_email' OR u.email_verified_at IS NULL) FOR SHARE OF u \
         ), made AS ( \
            INSERT INTO mailed_tokens (hash, user_id, purpose, expires_at) \
            SELECT $2, id, purpose, now() + make_interval(secs => $3) FROM wanted \
         ) \
         SELECT email FROM wanted",
    )
    .bind::<SqlUuid, _>(id)
    .bind::<Binary, _>(hash)
    .bind::<Double, _>(ttl.as_secs_f64());
    Ok(prepared(query).single::<Recipient>(conn).await.optional()?.map(|recipient| recipient.email))
}

/// A letter is out: it is done, and those that were asked for before it began, which it answers too.
pub async fn sent(conn: &mut AsyncPgConnection, letter: &Claimed) -> QueryResult<usize> {
    // One that another process sends at this moment is left to it.
    let query = sql_query(
        "WITH answered AS ( \
            SELECT id FROM letters WHERE user_id = $2 AND purpose = $3 AND created_at <= $4 AND id <> $1 \
            FOR UPDATE SKIP LOCKED \
         ) \
         DELETE FROM letters WHERE id = $1 OR id IN (SELECT id FROM answered)",
    )
    .bind::<SqlUuid, _>(letter.id)
    .bind::<Nullable<SqlUuid>, _>(letter.user_id)
    .bind::<Text, _>(&letter.purpose)
    .bind::<Timestamptz, _>(letter.claimed_at);
    prepared(query).execute(conn).await
}

/// Nobody sends it.
pub async fn drop_one(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<usize> {
    diesel::delete(letters::table.find(id)).execute(conn).await
}

/// It could not be sent, and is due again after a pause.
pub async fn postpone(conn: &mut AsyncPgConnection, id: Uuid, pause: Duration) -> QueryResult<usize> {
    let query = sql_query("UPDATE letters SET available_at = now() + make_interval(secs => $2) WHERE id = $1")
        .bind::<SqlUuid, _>(id)
        .bind::<Double, _>(pause.as_secs_f64());
    prepared(query).execute(conn).await
}

/// Removes an account's letters of one purpose.
pub async fn forget(conn: &mut AsyncPgConnection, user_id: Uuid, purpose: Purpose) -> QueryResult<usize> {
    diesel::delete(letters::table)
        .filter(letters::user_id.eq(user_id))
        .filter(letters::purpose.eq(purpose.as_str()))
        .execute(conn)
        .await
}

/// Removes an account's letters.
pub async fn forget_all(conn: &mut AsyncPgConnection, user_id: Uuid) -> QueryResult<usize> {
    diesel::delete(letters::table).filter(letters::user_id.eq(user_id)).execute(conn).await
}
