//! Events that wait for deliveries that are not there, which no relay can know of: `verify` finds them.

use diesel::result::{Error as DieselError, OptionalExtension as _};
use diesel::sql_query;
use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::EventId;
use uuid::Uuid;

use super::Subscriptions;
use crate::db::Single as _;

#[derive(diesel::prelude::QueryableByName)]
struct Locked {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Makes an event's deliveries anew, one for each of its listeners that has none, and has it wait for as many.
/// Those that had it before have it again, which their inboxes stand. False when there is no such event.
///
/// # Errors
/// The statements'.
pub async fn redeliver(
    conn: &mut AsyncPgConnection,
    event: EventId,
    subscriptions: &Subscriptions,
) -> Result<bool, DieselError> {
    conn.transaction(async |conn| {
        // Locked first: a relay that ends a delivery at this moment counts it down before or after.
        let locked: Option<Locked> = sql_query("SELECT name FROM outbox WHERE id = $1 FOR NO KEY UPDATE")
            .bind::<SqlUuid, _>(event.uuid())
            .single(conn)
            .await
            .optional()?;
        match locked {
            Some(found) => deliver_anew(conn, event.uuid(), subscriptions.listeners_of(&found.name).collect()).await,
            None => Ok(false),
        }
    })
    .await
}

async fn deliver_anew(conn: &mut AsyncPgConnection, event: Uuid, listeners: Vec<&str>) -> Result<bool, DieselError> {
    sql_query(
        "INSERT INTO outbox_deliveries (event_id, listener) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(event)
    .bind::<Array<Text>, _>(listeners)
    .execute(conn)
    .await?;
    sql_query(
        "UPDATE outbox SET remaining = d.deliveries, published_at = CASE WHEN d.deliveries = 0 THEN now() END \
         FROM (SELECT count(*)::int AS deliveries FROM outbox_deliveries WHERE event_id = $1) AS d WHERE id = $1",
    )
    .bind::<SqlUuid, _>(event)
    .execute(conn)
    .await?;
    sql_query("SELECT pg_notify('eshopz_outbox_' || current_schema(), '')").execute(conn).await?;
    Ok(true)
}
