//! The relay's statements about what it holds: leases that are moved on, and claims that are given back.

use std::collections::HashSet;
use std::time::Duration;

use diesel::prelude::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_query;
use diesel::sql_types::{Array, Double, Integer, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::rows::{Claim, keys};
use crate::prepared::prepared;

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = SqlUuid)]
    event_id: Uuid,
    #[diesel(sql_type = Text)]
    listener: String,
}

/// Moves the leases of deliveries on that are still ours, and returns the keys of these.
#[eshopz_crash::crash_points]
pub(super) async fn renew(
    conn: &mut AsyncPgConnection,
    claims: &[Claim],
    lease: Duration,
) -> QueryResult<HashSet<(Uuid, String)>> {
    let (events, listeners) = keys(claims.iter());
    let renewed: Vec<Key> = prepared(
        sql_query(
            "UPDATE outbox_deliveries d SET available_at = now() + make_interval(secs => $4) \
             FROM unnest($1::uuid[], $2::text[], $3::int[]) AS k (event_id, listener, attempts) \
             WHERE (d.event_id, d.listener, d.attempts) = (k.event_id, k.listener, k.attempts) \
             AND d.event_id = ANY ($1) AND d.dead_at IS NULL \
             AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL \
             RETURNING d.event_id, d.listener",
        )
        .bind::<Array<SqlUuid>, _>(events)
        .bind::<Array<Text>, _>(listeners)
        .bind::<Array<Integer>, _>(claims.iter().map(|claim| claim.attempts).collect::<Vec<_>>())
        .bind::<Double, _>(lease.as_secs_f64()),
    )
    .load(conn)
    .await?;
    Ok(renewed.into_iter().map(|key| (key.event_id, key.listener)).collect())
}

/// Gives deliveries back that were claimed and never begun; they do not count as attempts.
#[eshopz_crash::crash_points]
pub(super) async fn release(conn: &mut AsyncPgConnection, claims: &[Claim]) -> QueryResult<()> {
    let (events, listeners) = keys(claims.iter());
    prepared(
        sql_query(
            "UPDATE outbox_deliveries d SET attempts = d.attempts - 1, available_at = now() \
             FROM unnest($1::uuid[], $2::text[], $3::int[]) AS k (event_id, listener, attempts) \
             WHERE (d.event_id, d.listener, d.attempts) = (k.event_id, k.listener, k.attempts) \
             AND d.event_id = ANY ($1)",
        )
        .bind::<Array<SqlUuid>, _>(events)
        .bind::<Array<Text>, _>(listeners)
        .bind::<Array<Integer>, _>(claims.iter().map(|claim| claim.attempts).collect::<Vec<_>>()),
    )
    .execute(conn)
    .await?;
    Ok(())
}
