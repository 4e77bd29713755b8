//! Writing an event: one statement in the transaction of what it tells.

use diesel::result::Error as DieselError;
use diesel::sql_query;
use diesel::sql_types::{Array, Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::{Event, EventId};
use uuid::Uuid;

use crate::context::current_traceparent;
use crate::prepared::prepared;

/// Writes an event into the module's outbox, in the transaction that `conn` is in. If that rolls
/// back, nothing was published; when it commits, the relays of the module are woken.
///
/// # Errors
/// The statement's, or a payload that is no JSON.
#[eshopz_crash::crash_points]
pub async fn publish<E: Event>(conn: &mut AsyncPgConnection, event: &E) -> Result<EventId, DieselError> {
    let payload = serde_json::to_value(event).map_err(|error| DieselError::SerializationError(Box::new(error)))?;
    let id = EventId::new();
    // The notification rides on the insert: no second round trip, and PostgreSQL sends it at commit.
    // A transaction that notifies commits alone, so of those that are open at once only one does: the
    // relay that it wakes looks again shortly after.
    prepared(
        sql_query(
            "WITH event AS (INSERT INTO outbox (id, name, payload, traceparent) VALUES ($1, $2, $3, $4)) \
             SELECT CASE WHEN pg_try_advisory_xact_lock(hashtextextended(channel, 0)) THEN pg_notify(channel, '') END \
             FROM (SELECT 'eshopz_outbox_' || current_schema() AS channel) AS module",
        )
        .bind::<SqlUuid, _>(id.uuid())
        .bind::<Text, _>(E::NAME)
        .bind::<Jsonb, _>(payload)
        .bind::<Nullable<Text>, _>(current_traceparent()),
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Writes many events of one kind by one statement, as [`publish`] writes one; nothing for none.
///
/// # Errors
/// The statement's, or a payload that is no JSON.
#[eshopz_crash::crash_points]
pub async fn publish_all<E: Event>(conn: &mut AsyncPgConnection, events: &[E]) -> Result<(), DieselError> {
    if events.is_empty() {
        return Ok(());
    }
    let payloads = events
        .iter()
        .map(|event| serde_json::to_value(event).map_err(|error| DieselError::SerializationError(Box::new(error))))
        .collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<Uuid> = events.iter().map(|_| EventId::new().uuid()).collect();
    prepared(
        sql_query(
            "WITH events AS ( \
                INSERT INTO outbox (id, name, payload, traceparent) \
                SELECT id, $3, payload, $4 FROM unnest($1, $2) AS event (id, payload)) \
             SELECT CASE WHEN pg_try_advisory_xact_lock(hashtextextended(channel, 0)) THEN pg_notify(channel, '') END \
             FROM (SELECT 'eshopz_outbox_' || current_schema() AS channel) AS module",
        )
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<Jsonb>, _>(payloads)
        .bind::<Text, _>(E::NAME)
        .bind::<Nullable<Text>, _>(current_traceparent()),
    )
    .execute(conn)
    .await
    .map(drop)
}
