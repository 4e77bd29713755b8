//! The sandbox's list of charges, for whoever compares books.

use chrono::{DateTime, Utc};
use diesel::result::{OptionalExtension as _, QueryResult};
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use eshopz_kernel::Money;
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;

use super::memory::SandboxCharge;
use crate::gateway::{ChargeStatus, GatewayCharge, GatewayPage};

/// How many charges a piece of the list has.
const PAGE: usize = 100;

/// A piece of the list: the newest charges since a moment, after the one that the cursor names.
pub(super) async fn page(
    conn: &mut AsyncPgConnection,
    since: DateTime<Utc>,
    cursor: Option<&str>,
) -> QueryResult<GatewayPage> {
    let found = older_than(conn, since, cursor, PAGE + 1).await?;
    let is_last = found.len() <= PAGE;
    let charges: Vec<GatewayCharge> = found.into_iter().take(PAGE).map(listed).collect();
    let next = charges.last().filter(|_| !is_last).map(|charge| charge.reference.clone());
    Ok(GatewayPage { charges, next })
}

/// A charge as the list has it.
pub(super) async fn one(conn: &mut AsyncPgConnection, reference: &str) -> QueryResult<Option<GatewayCharge>> {
    let found: Option<SandboxCharge> =
        prepared(sql_query("SELECT * FROM sandbox_charges WHERE reference = $1").bind::<Text, _>(reference))
            .single(conn)
            .await
            .optional()?;
    Ok(found.map(listed))
}

fn listed(charge: SandboxCharge) -> GatewayCharge {
    let status = match charge.status.as_str() {
        "succeeded" => ChargeStatus::Succeeded,
        "authorized" => ChargeStatus::Authorized,
        "requires_action" => ChargeStatus::Waiting,
        "declined" => ChargeStatus::Declined,
        _ => ChargeStatus::Voided,
    };
    GatewayCharge {
        attempt: charge.was_asked_for().then_some(charge.idempotency_key),
        payment_id: Some(charge.payment_id.into()),
        status,
        amount: Money::new(charge.amount_minor, charge.currency()),
        captured: charge.captured_minor,
        refunded: charge.refunded_minor,
        created_at: charge.created_at,
        reference: charge.reference,
    }
}

async fn older_than(
    conn: &mut AsyncPgConnection,
    since: DateTime<Utc>,
    cursor: Option<&str>,
    limit: usize,
) -> QueryResult<Vec<SandboxCharge>> {
    prepared(
        sql_query(
            "SELECT * FROM sandbox_charges WHERE created_at >= $1 AND ($2 IS NULL OR (created_at, reference) < \
                (SELECT created_at, reference FROM sandbox_charges WHERE reference = $2)) \
             ORDER BY created_at DESC, reference DESC LIMIT $3",
        )
        .bind::<Timestamptz, _>(since)
        .bind::<Nullable<Text>, _>(cursor)
        .bind::<BigInt, _>(i64::try_from(limit).unwrap_or(i64::MAX)),
    )
    .load(conn)
    .await
}
