//! Taking an event in once, however often it comes.

use diesel::result::Error as DieselError;
use diesel::sql_query;
use diesel::sql_types::{Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::EventId;

use crate::prepared::prepared;

/// Notes that `listener` takes the event in. True when it is new to it; false when it has been here,
/// and the listener has nothing to do. Called in the transaction of the effect: if that rolls back, so
/// does the note. A second delivery at the same moment waits here for the first to end.
///
/// # Errors
/// The statement's.
#[eshopz_crash::crash_points]
pub async fn claim(conn: &mut AsyncPgConnection, listener: &str, event_id: EventId) -> Result<bool, DieselError> {
    let inserted = prepared(
        sql_query("INSERT INTO inbox (event_id, listener) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind::<SqlUuid, _>(event_id.uuid())
            .bind::<Text, _>(listener),
    )
    .execute(conn)
    .await?;
    Ok(inserted == 1)
}
