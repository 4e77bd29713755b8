//! A module that does nothing but tell and hear: a schema `widgets` with the tables that every module has, two
//! events, and what a listener of them does. For tests of how events travel.

use diesel::sql_query;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use eshopz_kernel::{Event, EventEnvelope, Fault};
use eshopz_platform::db::{Db, StoreError};
use eshopz_platform::events::inbox;
use serde::{Deserialize, Serialize};

/// The schema, which is also the module's role.
pub const SCHEMA: &str = "widgets";

/// What makes the schema in an empty database. The role is shared by all databases of the server, so two tests
/// can be about to make it. Effects have no key: what happens twice is to be seen.
pub const MIGRATIONS: [&str; 3] = [
    "DO $$ BEGIN CREATE ROLE widgets; \
     EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; \
     CREATE SCHEMA widgets AUTHORIZATION widgets; SET ROLE widgets; SET search_path = widgets, public;",
    include_str!("../../../../migrations/common.sql.template"),
    "CREATE TABLE effects (listener text, event_id uuid, number bigint, at timestamptz DEFAULT clock_timestamp())",
];

/// An event.
#[derive(Debug, Serialize, Deserialize)]
pub struct WidgetMade {
    pub number: i64,
}

impl Event for WidgetMade {
    const NAME: &'static str = "widget.made.v1";
}

/// Another, for listeners that do not take all.
#[derive(Debug, Serialize, Deserialize)]
pub struct WidgetSold {
    pub number: i64,
}

impl Event for WidgetSold {
    const NAME: &'static str = "widget.sold.v1";
}

/// What a listener does about them, as listeners should: one effect, in a transaction with its note in the inbox.
///
/// # Errors
/// The database's.
pub async fn take(db: &Db, listener: &str, event: &EventEnvelope) -> Result<(), Fault> {
    // Both have a number.
    let (id, number) = (event.id, event.decode::<WidgetMade>()?.number);
    let mut conn = db.conn().await?;
    let effect = conn.transaction::<(), diesel::result::Error, _>(async |conn| {
        if inbox::claim(conn, listener, id).await? {
            sql_query("INSERT INTO effects (listener, event_id, number) VALUES ($1, $2, $3)")
                .bind::<Text, _>(listener)
                .bind::<SqlUuid, _>(id.uuid())
                .bind::<BigInt, _>(number)
                .execute(conn)
                .await?;
        }
        Ok(())
    });
    effect.await.map_err(|error| StoreError::from(error).into())
}
