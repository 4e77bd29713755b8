//! Writing an event: one statement in the transaction of what it tells.

use diesel::result::Error as DieselError;
use diesel::sql_query;
use diesel::sql_types::{Array, Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::{Event, EventId};
use uuid::Uuid;

use crate::context::current_traceparent;
use crate::prepared::prepared;

/// Wakes the module's relays when the transaction commits: what a statement selects that writes events.
///
/// A transaction that notifies commits alone, so of those that are open at once only one does: the relay that it wakes
/// looks again shortly after.
#[macro_export]
macro_rules! notify_relays {
    () => {
        "CASE WHEN pg_try_advisory_xact_lock(hashtextextended('eshopz_outbox_' || current_schema(), 0)) \
              THEN pg_notify('eshopz_outbox_' || current_schema(), '') END"
    };
}

/// An event as a row of the outbox, for a statement that writes it together with what it tells. Such a statement selects
/// [`notify_relays`](crate::notify_relays) as well.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: Uuid,
    pub name: &'static str,
    pub payload: serde_json::Value,
    pub traceparent: Option<String>,
}

impl Entry {
    /// # Errors
    /// A payload that is no JSON.
    pub fn of<E: Event>(event: &E) -> Result<Self, DieselError> {
        let payload = serde_json::to_value(event).map_err(|error| DieselError::SerializationError(Box::new(error)))?;
        Ok(Self { id: EventId::new().uuid(), name: E::NAME, payload, traceparent: current_traceparent() })
    }
}

/// Writes an event into the module's outbox, in the transaction that `conn` is in. If that rolls
/// back, nothing was published; when it commits, the relays of the module are woken.
///
/// # Errors
/// The statement's, or a payload that is no JSON.
#[eshopz_crash::crash_points]
pub async fn publish<E: Event>(conn: &mut AsyncPgConnection, event: &E) -> Result<EventId, DieselError> {
    let Entry { id, name, payload, traceparent } = Entry::of(event)?;
    // The notification rides on the insert: no second round trip, and PostgreSQL sends it at commit.
    prepared(
        sql_query(concat!(
            "WITH event AS (INSERT INTO outbox (id, name, payload, traceparent) VALUES ($1, $2, $3, $4)) SELECT ",
            notify_relays!()
        ))
        .bind::<SqlUuid, _>(id)
        .bind::<Text, _>(name)
        .bind::<Jsonb, _>(payload)
        .bind::<Nullable<Text>, _>(traceparent),
    )
    .execute(conn)
    .await?;
    Ok(EventId::from(id))
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
        sql_query(concat!(
            "WITH events AS ( \
                INSERT INTO outbox (id, name, payload, traceparent) \
                SELECT id, $3, payload, $4 FROM unnest($1, $2) AS event (id, payload)) SELECT ",
            notify_relays!()
        ))
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<Jsonb>, _>(payloads)
        .bind::<Text, _>(E::NAME)
        .bind::<Nullable<Text>, _>(current_traceparent()),
    )
    .execute(conn)
    .await
    .map(drop)
}
