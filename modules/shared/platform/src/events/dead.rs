//! Dead letters: deliveries that failed every time. They wait for someone to look at them.

use chrono::{DateTime, Utc};
use diesel::prelude::QueryableByName;
use diesel::result::Error as DieselError;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::EventId;
use uuid::Uuid;

/// An event that a listener could not take in.
#[derive(Clone, Debug, QueryableByName)]
pub struct DeadLetter {
    #[diesel(sql_type = SqlUuid)]
    pub event_id: Uuid,
    #[diesel(sql_type = Text)]
    pub event: String,
    #[diesel(sql_type = Text)]
    pub listener: String,
    #[diesel(sql_type = Integer)]
    pub attempts: i32,
    #[diesel(sql_type = Timestamptz)]
    pub occurred_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub dead_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Text>)]
    pub last_error: Option<String>,
}

/// Which dead letters; what is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub event_id: Option<EventId>,
    /// The event's name.
    pub event: Option<String>,
    pub listener: Option<String>,
}

/// The dead letters, the latest first.
///
/// # Errors
/// The statement's.
pub async fn list(conn: &mut AsyncPgConnection, limit: u32) -> Result<Vec<DeadLetter>, DieselError> {
    sql_query(
        "SELECT d.event_id, o.name AS event, d.listener, d.attempts, o.occurred_at, d.dead_at, d.last_error \
         FROM outbox_deliveries d JOIN outbox o ON o.id = d.event_id \
         WHERE d.dead_at IS NOT NULL ORDER BY d.dead_at DESC LIMIT $1",
    )
    .bind::<BigInt, _>(i64::from(limit))
    .load(conn)
    .await
}

/// Has dead letters delivered again, with all their attempts before them, and says how many.
///
/// # Errors
/// The statement's.
pub async fn redrive(conn: &mut AsyncPgConnection, filter: &Filter) -> Result<usize, DieselError> {
    let redriven = sql_query(
        "UPDATE outbox_deliveries d SET dead_at = NULL, attempts = 0, available_at = now() \
         FROM outbox o WHERE o.id = d.event_id AND d.dead_at IS NOT NULL \
         AND ($1::uuid IS NULL OR o.id = $1) AND ($2::text IS NULL OR o.name = $2) \
         AND ($3::text IS NULL OR d.listener = $3)",
    )
    .bind::<Nullable<SqlUuid>, _>(filter.event_id.map(EventId::uuid))
    .bind::<Nullable<Text>, _>(filter.event.as_deref())
    .bind::<Nullable<Text>, _>(filter.listener.as_deref())
    .execute(conn)
    .await?;
    sql_query("SELECT pg_notify('eshopz_outbox_' || current_schema(), '')").execute(conn).await?;
    Ok(redriven)
}
