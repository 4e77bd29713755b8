//! Statements that find what is open at the gateway in use: what has no answer, and what its webhooks may not
//! have told. Of payments at another gateway nothing is known here.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::ledger::Movement;
use crate::gateway::Sought;

/// What was last tried before `before` and has no answer, and surplus charges that are not given back:
/// those that are due, each due again later from try to try, so that what is hopeless does not stand before
/// what is not. The statuses are literals, for the partial index.
pub async fn take(
    conn: &mut AsyncPgConnection,
    gateway: &str,
    now: DateTime<Utc>,
    before: DateTime<Utc>,
    limit: i64,
) -> QueryResult<Vec<Movement>> {
    prepared(
        sql_query(
            "UPDATE transactions SET tried_at = now(), tries = tries + 1, due_at = now() + least(interval '1 hour', \
                interval '5 seconds' * 2 ^ least(tries, 12)) WHERE id IN ( \
                SELECT t.id FROM transactions t JOIN payments p ON p.id = t.payment_id AND p.gateway = $1 \
                WHERE t.status IN ('pending', 'surplus') AND t.due_at <= $2 AND t.tried_at < $3 \
                ORDER BY t.due_at LIMIT $4 FOR UPDATE OF t SKIP LOCKED) \
             RETURNING *",
        )
        .bind::<Text, _>(gateway)
        .bind::<Timestamptz, _>(now)
        .bind::<Timestamptz, _>(before)
        .bind::<BigInt, _>(limit),
    )
    .load(conn)
    .await
}

/// The same whether due or not, in the order of their ids, after one of them.
pub async fn after(
    conn: &mut AsyncPgConnection,
    gateway: &str,
    before: DateTime<Utc>,
    after: Uuid,
    limit: i64,
) -> QueryResult<Vec<Movement>> {
    sql_query(
        "SELECT t.* FROM transactions t JOIN payments p ON p.id = t.payment_id AND p.gateway = $1 \
         WHERE t.status IN ('pending', 'surplus') AND t.tried_at < $2 AND t.id > $3 ORDER BY t.id LIMIT $4",
    )
    .bind::<Text, _>(gateway)
    .bind::<Timestamptz, _>(before)
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await
}

/// A payment of which the gateway may know more than it told, and the attempt to ask about.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub struct Unheard {
    #[diesel(sql_type = SqlUuid)]
    pub payment_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub attempt_id: Option<Uuid>,
}

/// Payments that wait for the payer, or are held, and of which nothing was heard since `quiet_since`: those
/// that are due, each due again later from try to try. A payer has half an hour, a hold days. Where something
/// is on its way its answer will tell.
pub async fn take_unheard(
    conn: &mut AsyncPgConnection,
    gateway: &str,
    now: DateTime<Utc>,
    quiet_since: DateTime<Utc>,
    limit: i64,
) -> QueryResult<Vec<Unheard>> {
    prepared(
        sql_query(
            "WITH taken AS ( \
                UPDATE payments SET ask_tries = ask_tries + 1, ask_due_at = now() + least(interval '1 minute' * \
                    2 ^ least(ask_tries, 12), CASE status WHEN 'requires_action' THEN interval '5 minutes' \
                                                          ELSE interval '1 hour' END) WHERE id IN ( \
                    SELECT id FROM payments WHERE status IN ('requires_action', 'authorized') AND ask_due_at <= $2 \
                        AND gateway = $1 AND updated_at < $3 AND NOT EXISTS ( \
                            SELECT FROM transactions w WHERE w.payment_id = payments.id AND w.status = 'pending') \
                    ORDER BY ask_due_at LIMIT $4 FOR UPDATE SKIP LOCKED) \
                RETURNING id, attempt_id, gateway_reference) \
             SELECT taken.id AS payment_id, coalesce((SELECT t.id FROM transactions t WHERE t.payment_id = taken.id \
                AND t.gateway_reference = taken.gateway_reference AND t.kind IN ('charge', 'authorization') \
                ORDER BY t.created_at LIMIT 1), taken.attempt_id) AS attempt_id FROM taken",
        )
        .bind::<Text, _>(gateway)
        .bind::<Timestamptz, _>(now)
        .bind::<Timestamptz, _>(quiet_since)
        .bind::<BigInt, _>(limit),
    )
    .load(conn)
    .await
}

/// The same whether due or not, in the order of their ids, after one of them.
pub async fn unheard_after(
    conn: &mut AsyncPgConnection,
    gateway: &str,
    after: Uuid,
    limit: i64,
) -> QueryResult<Vec<Unheard>> {
    sql_query(
        "SELECT p.id AS payment_id, coalesce((SELECT t.id FROM transactions t WHERE t.payment_id = p.id \
            AND t.gateway_reference = p.gateway_reference AND t.kind IN ('charge', 'authorization') \
            ORDER BY t.created_at LIMIT 1), p.attempt_id) AS attempt_id \
         FROM payments p WHERE p.status IN ('requires_action', 'authorized') AND p.gateway = $1 AND p.id > $2 \
            AND NOT EXISTS (SELECT FROM transactions w WHERE w.payment_id = p.id AND w.status = 'pending') \
         ORDER BY p.id LIMIT $3",
    )
    .bind::<Text, _>(gateway)
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await
}

/// Something that nobody could settle.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct Left {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub payment_id: Uuid,
    #[diesel(sql_type = Text)]
    pub what: String,
    #[diesel(sql_type = Text)]
    pub status: String,
    #[diesel(sql_type = Timestamptz)]
    pub since: DateTime<Utc>,
    /// Somebody may still wait for its answer.
    #[diesel(sql_type = Bool)]
    pub in_flight: bool,
}

/// What is open of payments that were there at a moment. In flight is what was tried from `before` on.
pub async fn left(
    conn: &mut AsyncPgConnection,
    gateway: &str,
    made_until: DateTime<Utc>,
    before: DateTime<Utc>,
) -> QueryResult<Vec<Left>> {
    sql_query(
        "SELECT t.id, t.payment_id, t.kind AS what, t.status, t.created_at AS since, t.tried_at >= $3 AS in_flight \
         FROM transactions t JOIN payments p ON p.id = t.payment_id \
         WHERE t.status IN ('pending', 'surplus') AND p.gateway = $1 AND p.created_at <= $2 \
         UNION ALL \
         SELECT p.id, p.id, 'undoing', p.status, p.undo_requested_at, false FROM payments p \
         WHERE p.undo_requested_at IS NOT NULL AND p.gateway = $1 AND p.created_at <= $2 \
            AND (p.status IN ('authorized', 'requires_action') OR p.refunded_minor < p.captured_minor) \
            AND NOT EXISTS (SELECT FROM transactions w WHERE w.payment_id = p.id AND w.status = 'pending') \
         ORDER BY since, id",
    )
    .bind::<Text, _>(gateway)
    .bind::<Timestamptz, _>(made_until)
    .bind::<Timestamptz, _>(before)
    .load(conn)
    .await
}

#[derive(QueryableByName)]
struct Aged {
    #[diesel(sql_type = Nullable<Text>)]
    reference: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
}

/// An attempt as the gateway is asked about it; nothing when it was struck.
pub async fn sought(conn: &mut AsyncPgConnection, attempt: Uuid) -> QueryResult<Option<Sought>> {
    let aged: Option<Aged> = prepared(
        sql_query("SELECT gateway_reference AS reference, created_at, now() AS now FROM transactions WHERE id = $1")
            .bind::<SqlUuid, _>(attempt),
    )
    .single(conn)
    .await
    .optional()?;
    Ok(aged.map(|row| Sought {
        idempotency_key: attempt,
        reference: row.reference,
        created_at: row.created_at,
        age: TimeDelta::max(row.now - row.created_at, TimeDelta::zero()),
    }))
}
