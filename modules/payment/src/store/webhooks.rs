//! Statements on stored webhooks.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::gateway::GatewayEvent;
use crate::schema::webhook_events;

/// A webhook that was stored and is not applied yet.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = webhook_events, check_for_backend(diesel::pg::Pg))]
pub struct StoredEvent {
    pub id: Uuid,
    pub body: String,
    pub tries: i32,
}

/// The longest pause before a parked event is looked at again.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(1);

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
            webhook_events::body.eq(body),
        ))
        .on_conflict_do_nothing()
        .returning(webhook_events::id)
        .get_result(conn)
        .await
        .optional()
}

/// An event that nobody has applied yet, for this transaction alone.
pub async fn lock_unapplied(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<StoredEvent>> {
    webhook_events::table
        .find(id)
        .filter(webhook_events::applied_at.is_null())
        .select(StoredEvent::as_select())
        .for_update()
        .skip_locked()
        .first(conn)
        .await
        .optional()
}

/// Marks an event as applied.
pub async fn mark_applied(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<usize> {
    diesel::update(webhook_events::table.find(id))
        .set(webhook_events::applied_at.eq(diesel::dsl::now))
        .execute(conn)
        .await
}

/// Lays an event aside for a while, longer each time.
pub async fn park(conn: &mut AsyncPgConnection, event: &StoredEvent) -> QueryResult<usize> {
    let pause = TimeDelta::seconds(5_i64.saturating_mul(1 << event.tries.clamp(0, 12))).min(LONGEST_PAUSE);
    diesel::update(webhook_events::table.find(event.id))
        .set((webhook_events::tries.eq(webhook_events::tries + 1), webhook_events::due_at.eq(Utc::now() + pause)))
        .execute(conn)
        .await
}

/// Events that wait and are due.
pub async fn due(conn: &mut AsyncPgConnection, now: DateTime<Utc>, limit: i64) -> QueryResult<Vec<Uuid>> {
    webhook_events::table
        .filter(webhook_events::applied_at.is_null())
        .filter(webhook_events::due_at.le(now))
        .order(webhook_events::due_at)
        .limit(limit)
        .select(webhook_events::id)
        .load(conn)
        .await
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
