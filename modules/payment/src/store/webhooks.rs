//! Statements on stored webhooks.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::payments::Found;
use crate::gateway::{GatewayEvent, GatewayNews};
use crate::schema::webhook_events;

/// Stores an event. Nothing when it has been here before.
pub async fn insert(
    conn: &mut AsyncPgConnection,
    gateway: &str,
    event: &GatewayEvent,
    body: &str,
) -> QueryResult<Option<Uuid>> {
    diesel::insert_into(webhook_events::table)
        .values((
            webhook_events::id.eq(Uuid::now_v7()),
            webhook_events::gateway.eq(gateway),
            webhook_events::event_id.eq(&event.id),
            webhook_events::kind.eq(&event.kind),
            webhook_events::payment_id.eq(event.payment_id.map(|id| id.uuid())),
            // What does not concern us may look like anything.
            webhook_events::reference.eq((event.news != GatewayNews::Other).then_some(&event.reference)),
            webhook_events::body.eq(body),
        ))
        .on_conflict_do_nothing()
        .returning(webhook_events::id)
        .single(conn)
        .await
        .optional()
}

/// An event of the gateway's that was stored before and waits.
pub async fn unapplied(conn: &mut AsyncPgConnection, gateway: &str, event: &str) -> QueryResult<Option<Uuid>> {
    webhook_events::table
        .filter(webhook_events::gateway.eq(gateway).and(webhook_events::event_id.eq(event)))
        .filter(webhook_events::applied_at.is_null())
        .select(webhook_events::id)
        .first(conn)
        .await
        .optional()
}

/// The body of an event that nobody has applied yet.
pub async fn unapplied_body(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<String>> {
    webhook_events::table
        .find(id)
        .filter(webhook_events::applied_at.is_null())
        .select(webhook_events::body)
        .first(conn)
        .await
        .optional()
}

/// Whether nobody has applied an event yet; then it is for this transaction alone.
pub async fn lock_unapplied(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<bool> {
    let found: Option<Uuid> = webhook_events::table
        .find(id)
        .filter(webhook_events::applied_at.is_null())
        .select(webhook_events::id)
        .for_update()
        .skip_locked()
        .first(conn)
        .await
        .optional()?;
    Ok(found.is_some())
}

/// Whether an event was applied.
pub async fn is_applied(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<bool> {
    let found = webhook_events::table.find(id).filter(webhook_events::applied_at.is_not_null());
    diesel::select(diesel::dsl::exists(found)).single(conn).await
}

/// Marks an event as applied. What it said is in the ledger then; the rest of it, perhaps a name and an address, is not
/// kept.
pub async fn mark_applied(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<usize> {
    diesel::update(webhook_events::table.find(id))
        .set((webhook_events::applied_at.eq(diesel::dsl::now), webhook_events::body.eq("")))
        .execute(conn)
        .await
}

/// Events of a gateway that wait and are due, each due again later from try to try.
pub async fn take_due(
    conn: &mut AsyncPgConnection,
    gateway: &str,
    now: DateTime<Utc>,
    limit: i64,
) -> QueryResult<Vec<Uuid>> {
    let rows: Vec<Found> = prepared(
        sql_query(
            "UPDATE webhook_events SET tries = tries + 1, due_at = now() + least(interval '1 hour', \
                interval '5 seconds' * 2 ^ least(tries, 12)) WHERE id IN ( \
                SELECT id FROM webhook_events WHERE applied_at IS NULL AND gateway = $1 AND due_at <= $2 \
                ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
             RETURNING id",
        )
        .bind::<Text, _>(gateway)
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(limit),
    )
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// The same whether due or not, in the order of their ids, after one of them.
pub async fn waiting_after(
    conn: &mut AsyncPgConnection,
    gateway: &str,
    after: Uuid,
    limit: i64,
) -> QueryResult<Vec<Uuid>> {
    webhook_events::table
        .filter(webhook_events::applied_at.is_null())
        .filter(webhook_events::gateway.eq(gateway))
        .filter(webhook_events::id.gt(after))
        .order(webhook_events::id)
        .limit(limit)
        .select(webhook_events::id)
        .load(conn)
        .await
}

/// Events that have waited for this payment, or for a charge of this name.
pub async fn parked_for(
    conn: &mut AsyncPgConnection,
    payment: Uuid,
    reference: Option<&str>,
) -> QueryResult<Vec<Uuid>> {
    webhook_events::table
        .filter(webhook_events::applied_at.is_null())
        .filter(webhook_events::payment_id.eq(payment).or(webhook_events::reference.eq(reference)))
        .order(webhook_events::received_at)
        .select(webhook_events::id)
        .load(conn)
        .await
}

/// How many events wait.
pub async fn waiting(conn: &mut AsyncPgConnection) -> QueryResult<i64> {
    webhook_events::table.filter(webhook_events::applied_at.is_null()).count().single(conn).await
}

/// Removes events that were applied before `before`, some at a time.
pub async fn sweep(conn: &mut AsyncPgConnection, before: DateTime<Utc>, limit: i64) -> QueryResult<usize> {
    let old = webhook_events::table
        .filter(webhook_events::applied_at.lt(before))
        .order(webhook_events::applied_at)
        .limit(limit)
        .select(webhook_events::id)
        .load::<Uuid>(conn)
        .await?;
    diesel::delete(webhook_events::table.filter(webhook_events::id.eq_any(old))).execute(conn).await
}
