//! Writing an event: one statement in the transaction of what it tells.

use diesel::result::Error as DieselError;
use diesel::sql_query;
use diesel::sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::{Event, EventId};

use crate::context::current_traceparent;
use crate::prepared::prepared;

/// Writes an event into the module's outbox, in the transaction that `conn` is in. If that rolls
/// back, nothing was published; when it commits, the relays of the module are woken.
///
/// # Errors
/// The statement's, or a payload that is no JSON.
pub async fn publish<E: Event>(conn: &mut AsyncPgConnection, event: &E) -> Result<EventId, DieselError> {
    let payload = serde_json::to_value(event).map_err(|error| DieselError::SerializationError(Box::new(error)))?;
    let id = EventId::new();
    // The notification rides on the insert: no second round trip, and PostgreSQL sends it at commit.
    prepared(
        sql_query(
            "WITH event AS (INSERT INTO outbox (id, name, payload, traceparent) VALUES ($1, $2, $3, $4)) \
             SELECT pg_notify('eshopz_outbox_' || current_schema(), '')",
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
