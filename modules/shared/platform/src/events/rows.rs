//! The relay's statements. Each is one statement and thereby one transaction, over a batch.
//!
//! They commit without waiting for the disk (`synchronous_commit` off, for that statement only): what
//! a crash of the server can undo of them is the note that something was tried or delivered, and it is
//! then delivered again, which listeners stand anyway. It spares a flush per batch.
//!
//! `outbox_deliveries` is empty at one moment and long at the next, so what PostgreSQL believes about
//! its size is often wrong by orders, and a join would go through all of it for each row of the batch.
//! `= ANY (the batch's ids)` beside each join leaves it the primary key and nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::EventEnvelope;
use tokio::time::Instant;
use uuid::Uuid;

use super::Subscriptions;
use super::lanes::Lanes;
use super::lease::Lease;
use crate::prepared::prepared;

/// A delivery that this relay may try until its lease is over.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub event: Arc<EventEnvelope>,
    pub listener: String,
    /// Counting this one. It also tells our claim from a later one of another relay.
    pub attempts: i32,
    pub lease: Lease,
}

impl Claim {
    /// Whether it is the same one, not a later claim of the same delivery.
    pub fn is(&self, other: &Self) -> bool {
        (self.event.id, self.attempts, &self.listener) == (other.event.id, other.attempts, &other.listener)
    }
}

/// A delivery that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub claim: Claim,
    pub error: String,
    /// Seconds until the next attempt; `None` when there is none and it is a dead letter.
    pub retry_in: Option<f64>,
    pub kind: FailureKind,
}

/// Why a delivery did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureKind {
    Failed,
    /// Its listener was away: the attempt does not count.
    Away,
    /// Its listener wants it later: neither does this one.
    Postponed,
}

/// What came of a look at the new events.
#[derive(Debug, Default)]
pub(super) struct FannedOut {
    pub claims: Vec<Claim>,
    /// Every event that was seen, by name.
    pub events: Vec<String>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Jsonb)]
    payload: serde_json::Value,
    #[diesel(sql_type = Timestamptz)]
    occurred_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Text>)]
    traceparent: Option<String>,
    /// Absent when an event has no listener.
    #[diesel(sql_type = Nullable<Text>)]
    listener: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    attempts: Option<i32>,
}

/// Takes new events, writes a delivery per listener, already claimed by us where the listener's lane is
/// open, and marks an event without any listener as published.
#[eshopz_crash::crash_points]
pub(super) async fn fan_out(
    conn: &mut AsyncPgConnection,
    subscriptions: &Subscriptions,
    lanes: &Lanes,
    lease: Duration,
    batch: u32,
) -> QueryResult<FannedOut> {
    let (events, listeners): (Vec<&str>, Vec<&str>) = subscriptions.pairs().unzip();
    let open: Vec<bool> = listeners.iter().map(|listener| lanes.is_open(listener)).collect();
    let asked = Instant::now();
    let rows: Vec<Row> = prepared(
        sql_query(
            "WITH fresh AS ( \
                SELECT id, name, payload, occurred_at, traceparent FROM outbox \
                WHERE remaining IS NULL ORDER BY id LIMIT $5 FOR UPDATE SKIP LOCKED \
             ), subscribed AS ( \
                SELECT f.id, s.listener, s.open FROM fresh f \
                JOIN unnest($1::text[], $2::text[], $3::bool[]) AS s (event, listener, open) ON s.event = f.name \
             ), delivery AS ( \
                INSERT INTO outbox_deliveries (event_id, listener, attempts, available_at) \
                SELECT id, listener, open::int, \
                       CASE WHEN open THEN now() + make_interval(secs => $4) ELSE now() END FROM subscribed \
                ON CONFLICT DO NOTHING RETURNING event_id, listener, attempts \
             ), counted AS ( \
                UPDATE outbox o SET remaining = c.listeners, \
                       published_at = CASE WHEN c.listeners = 0 THEN now() END \
                FROM (SELECT f.id, count(s.listener)::int AS listeners \
                      FROM fresh f LEFT JOIN subscribed s USING (id) GROUP BY f.id) c \
                WHERE o.id = c.id AND o.id = ANY (ARRAY(SELECT id FROM fresh)) \
                AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL \
             ) \
             SELECT f.*, d.listener, d.attempts FROM fresh f LEFT JOIN delivery d ON d.event_id = f.id ORDER BY f.id",
        )
        .bind::<Array<Text>, _>(&events)
        .bind::<Array<Text>, _>(&listeners)
        .bind::<Array<Bool>, _>(&open)
        .bind::<Double, _>(lease.as_secs_f64())
        .bind::<BigInt, _>(i64::from(batch)),
    )
    .load(conn)
    .await?;
    Ok(FannedOut { events: event_names(&rows), claims: claims(rows, asked, lease) })
}

/// Claims deliveries that are due: after a failure, after the end of a lease, or left for later by
/// [`fan_out`]. Those of listeners that this relay does not know are left to one that does.
#[eshopz_crash::crash_points]
pub(super) async fn claim_due(
    conn: &mut AsyncPgConnection,
    listeners: &[&str],
    lease: Duration,
    batch: u32,
) -> QueryResult<Vec<Claim>> {
    let asked = Instant::now();
    let rows: Vec<Row> = prepared(
        sql_query(
            "WITH due AS ( \
                SELECT d.event_id, d.listener FROM unnest($1::text[]) AS l (listener) CROSS JOIN LATERAL ( \
                    SELECT event_id, listener FROM outbox_deliveries \
                    WHERE dead_at IS NULL AND listener = l.listener AND available_at <= now() \
                    ORDER BY available_at LIMIT $3 FOR UPDATE SKIP LOCKED \
                ) AS d \
             ), claimed AS ( \
                UPDATE outbox_deliveries d \
                SET attempts = d.attempts + 1, available_at = now() + make_interval(secs => $2) \
                FROM due WHERE (d.event_id, d.listener) = (due.event_id, due.listener) \
                AND d.event_id = ANY (ARRAY(SELECT event_id FROM due)) \
                AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL \
                RETURNING d.event_id, d.listener, d.attempts \
             ) \
             SELECT o.id, o.name, o.payload, o.occurred_at, o.traceparent, c.listener, c.attempts \
             FROM claimed c JOIN outbox o ON o.id = c.event_id ORDER BY o.id",
        )
        .bind::<Array<Text>, _>(listeners)
        .bind::<Double, _>(lease.as_secs_f64())
        .bind::<BigInt, _>(i64::from(batch)),
    )
    .load(conn)
    .await?;
    Ok(claims(rows, asked, lease))
}

/// Removes deliveries that are done and marks events whose last one that was.
///
/// `remaining` is counted down on the row itself, because two relays that end the last two deliveries
/// of an event at the same moment would each still see the other's in a count. The rows are locked in
/// the order of their ids, so that the two cannot wait for each other.
#[eshopz_crash::crash_points]
pub(super) async fn delivered(conn: &mut AsyncPgConnection, claims: &[Claim]) -> QueryResult<()> {
    let (events, listeners) = keys(claims.iter());
    prepared(
        sql_query(
            "WITH done AS ( \
                DELETE FROM outbox_deliveries d USING unnest($1::uuid[], $2::text[]) AS k (event_id, listener) \
                WHERE (d.event_id, d.listener) = (k.event_id, k.listener) AND d.event_id = ANY ($1) \
                RETURNING d.event_id \
             ), event AS ( \
                SELECT event_id AS id, count(*)::int AS done FROM done GROUP BY event_id \
             ), locked AS ( \
                SELECT id FROM outbox WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE \
             ) \
             UPDATE outbox o SET remaining = greatest(0, o.remaining - e.done), \
                    published_at = CASE WHEN coalesce(o.remaining, 0) <= e.done THEN now() END \
             FROM event e JOIN locked USING (id) \
             WHERE o.id = e.id AND o.id = ANY ($1) AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL",
        )
        .bind::<Array<SqlUuid>, _>(events)
        .bind::<Array<Text>, _>(listeners),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes failures, unless another relay has claimed the delivery since. An attempt that does not count gives its
/// number back, and the next claim has the same; should this be noted a second time then, the other relay loses
/// its lease and the event comes once more, which listeners stand.
#[eshopz_crash::crash_points]
pub(super) async fn failed(conn: &mut AsyncPgConnection, failures: &[Failure]) -> QueryResult<()> {
    let (events, listeners) = keys(failures.iter().map(|failure| &failure.claim));
    prepared(
        sql_query(
            "UPDATE outbox_deliveries d SET last_error = k.error, attempts = d.attempts - k.uncounted::int, \
                    available_at = now() + make_interval(secs => k.retry_in), \
                    dead_at = CASE WHEN k.dead THEN now() END \
             FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::float8[], $6::bool[], $7::bool[]) \
                  AS k (event_id, listener, attempts, error, retry_in, dead, uncounted) \
             WHERE (d.event_id, d.listener, d.attempts) = (k.event_id, k.listener, k.attempts) \
             AND d.event_id = ANY ($1)",
        )
        .bind::<Array<SqlUuid>, _>(events)
        .bind::<Array<Text>, _>(listeners)
        .bind::<Array<Integer>, _>(failures.iter().map(|failure| failure.claim.attempts).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(failures.iter().map(|failure| failure.error.as_str()).collect::<Vec<_>>())
        .bind::<Array<Double>, _>(failures.iter().map(|f| f.retry_in.unwrap_or(0.0)).collect::<Vec<_>>())
        .bind::<Array<Bool>, _>(failures.iter().map(|failure| failure.retry_in.is_none()).collect::<Vec<_>>())
        .bind::<Array<Bool>, _>(failures.iter().map(|failure| failure.kind != FailureKind::Failed).collect::<Vec<_>>()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Of claims, what a statement takes them by.
pub(super) fn keys<'a>(claims: impl Iterator<Item = &'a Claim>) -> (Vec<Uuid>, Vec<&'a str>) {
    claims.map(|claim| (claim.event.id.uuid(), claim.listener.as_str())).unzip()
}

/// The rows are in the order of the events, one or more for each.
fn event_names(rows: &[Row]) -> Vec<String> {
    rows.chunk_by(|one, next| one.id == next.id).filter_map(|rows| rows.first()).map(|row| row.name.clone()).collect()
}

/// The rows that are claimed, those of one event sharing its envelope.
fn claims(rows: Vec<Row>, asked: Instant, lease: Duration) -> Vec<Claim> {
    let mut events: HashMap<Uuid, Arc<EventEnvelope>> = HashMap::new();
    let mut claims = Vec::with_capacity(rows.len());
    for row in rows {
        let (Some(listener), Some(attempts @ 1..)) = (row.listener, row.attempts) else { continue };
        let event = events.entry(row.id).or_insert_with(|| {
            Arc::new(EventEnvelope {
                id: row.id.into(),
                name: row.name,
                occurred_at: row.occurred_at,
                payload: row.payload,
                traceparent: row.traceparent,
            })
        });
        claims.push(Claim { event: Arc::clone(event), listener, attempts, lease: Lease::new(asked, lease) });
    }
    claims
}
