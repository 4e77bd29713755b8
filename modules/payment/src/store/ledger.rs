//! Statements on the ledger: what was asked of the gateway, and how it went.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Double, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use serde_json::Value;
use uuid::Uuid;

use super::payments::Payment;
use crate::domain::{Failure, TransactionKind, TransactionStatus};
use crate::schema::transactions;

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Queryable, QueryableByName, Selectable, Identifiable, AsChangeset)]
#[diesel(table_name = transactions, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct Movement {
    pub id: Uuid,
    pub payment_id: Uuid,
    pub kind: TransactionKind,
    pub status: TransactionStatus,
    pub amount_minor: i64,
    pub currency: String,
    pub payment_method: Option<String>,
    pub method: Option<Value>,
    pub gateway_reference: Option<String>,
    pub charge_reference: Option<String>,
    pub reason: Option<String>,
    pub failure_code: Option<String>,
    pub failure_message: Option<String>,
    pub created_at: DateTime<Utc>,
    pub tried_at: DateTime<Utc>,
    /// How often the periodic job has taken it up.
    pub tries: i32,
    /// When the job may take it up next.
    pub due_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
}

impl Movement {
    /// Why it failed.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let (code, message) = self.failure_code.clone().zip(self.failure_message.clone())?;
        Some(Failure { code, message })
    }

    /// Whether it is an attempt that waited for the payer until another took its place, and is not let go at the
    /// gateway yet. One that has no answer has no name there either.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        let pending = self.status == TransactionStatus::Pending;
        self.kind.is_attempt() && pending && self.gateway_reference.is_some()
    }

    /// Sets how it went.
    pub fn settle(&mut self, status: TransactionStatus, now: DateTime<Utc>) {
        self.status = status;
        self.settled_at = Some(now);
        if status != TransactionStatus::Failed {
            (self.failure_code, self.failure_message) = (None, None);
        }
    }

    /// Sets that it is to be given back, from now on.
    pub fn turn_surplus(&mut self, now: DateTime<Utc>) {
        self.settle(TransactionStatus::Surplus, now);
        // A moment that is past by the database's clock, whatever ours says.
        (self.tries, self.due_at) = (0, self.created_at);
    }

    /// Sets that it failed.
    pub fn fail(&mut self, failure: Failure, now: DateTime<Utc>) {
        self.settle(TransactionStatus::Failed, now);
        (self.failure_code, self.failure_message) = (Some(failure.code), Some(failure.message));
    }
}

/// A row to be written; its id is the idempotency key of the call to the gateway.
#[derive(Debug, Insertable)]
#[diesel(table_name = transactions)]
pub struct NewMovement<'a> {
    pub id: Uuid,
    pub payment_id: Uuid,
    pub kind: TransactionKind,
    pub status: TransactionStatus,
    pub amount_minor: i64,
    pub currency: &'a str,
    pub payment_method: Option<&'a str>,
    pub gateway_reference: Option<&'a str>,
    pub charge_reference: Option<&'a str>,
    pub reason: Option<&'a str>,
    pub settled_at: Option<DateTime<Utc>>,
}

impl<'a> NewMovement<'a> {
    /// Something that the gateway is about to be asked.
    #[must_use]
    pub fn asking(payment: &'a Payment, id: Uuid, kind: TransactionKind, amount_minor: i64) -> Self {
        Self {
            id,
            payment_id: payment.id,
            kind,
            status: TransactionStatus::Pending,
            amount_minor,
            currency: &payment.currency,
            payment_method: None,
            gateway_reference: None,
            charge_reference: payment.gateway_reference.as_deref(),
            reason: None,
            settled_at: None,
        }
    }

    /// Something that the gateway told of and we had not asked for.
    #[must_use]
    pub fn told(
        payment: &'a Payment,
        kind: TransactionKind,
        status: TransactionStatus,
        amount_minor: i64,
        reference: &'a str,
    ) -> Self {
        Self {
            status,
            gateway_reference: Some(reference),
            reason: Some("told by the gateway"),
            settled_at: Some(Utc::now()),
            ..Self::asking(payment, Uuid::now_v7(), kind, amount_minor)
        }
    }
}

/// Writes a row.
pub async fn insert(conn: &mut AsyncPgConnection, new: &NewMovement<'_>) -> QueryResult<Movement> {
    let inserting = diesel::insert_into(transactions::table).values(new).returning(Movement::as_returning());
    prepared(inserting).single(conn).await
}

/// A row.
pub async fn find(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<Movement>> {
    transactions::table.find(id).select(Movement::as_select()).first(conn).await.optional()
}

/// Writes a row back; the payment is locked.
pub async fn save(conn: &mut AsyncPgConnection, movement: &Movement) -> QueryResult<usize> {
    prepared(diesel::update(transactions::table.find(movement.id)).set(movement)).execute(conn).await
}

/// The attempt that has this name at the gateway.
pub async fn attempt_by_reference(conn: &mut AsyncPgConnection, reference: &str) -> QueryResult<Option<Movement>> {
    transactions::table
        .filter(transactions::gateway_reference.eq(reference))
        .filter(transactions::kind.eq_any([TransactionKind::Charge, TransactionKind::Authorization]))
        .order(transactions::created_at)
        .select(Movement::as_select())
        .first(conn)
        .await
        .optional()
}

/// The capture, void or release of a payment that has no answer yet; there is at most one.
pub async fn open_change_of_hold(conn: &mut AsyncPgConnection, payment: Uuid) -> QueryResult<Option<Movement>> {
    transactions::table
        .filter(transactions::payment_id.eq(payment))
        .filter(transactions::kind.eq_any(TransactionKind::OF_HOLDS))
        .filter(transactions::status.eq(TransactionStatus::Pending))
        .select(Movement::as_select())
        .first(conn)
        .await
        .optional()
}

/// Attempts of a payment that still wait for the payer are over: another has taken their place.
pub async fn replace_waiting(conn: &mut AsyncPgConnection, payment: Uuid, now: DateTime<Utc>) -> QueryResult<usize> {
    diesel::update(
        transactions::table
            .filter(transactions::payment_id.eq(payment))
            .filter(transactions::status.eq(TransactionStatus::RequiresAction)),
    )
    .set((transactions::status.eq(TransactionStatus::Cancelled), transactions::settled_at.eq(now)))
    .execute(conn)
    .await
}

#[derive(QueryableByName)]
struct Total {
    #[diesel(sql_type = BigInt)]
    total: i64,
}

/// What has gone back to the payer so far, in minor units.
pub async fn refunded(conn: &mut AsyncPgConnection, payment: Uuid) -> QueryResult<i64> {
    let row: Total = prepared(
        sql_query(
            "SELECT coalesce(sum(amount_minor), 0)::bigint AS total FROM transactions \
             WHERE payment_id = $1 AND kind = 'refund' AND status = 'succeeded'",
        )
        .bind::<SqlUuid, _>(payment),
    )
    .single(conn)
    .await?;
    Ok(row.total)
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

/// Whether a row of a kind has failed within a time, by the database's clock.
pub async fn has_failed_within(
    conn: &mut AsyncPgConnection,
    payment: Uuid,
    kind: TransactionKind,
    time: Duration,
) -> QueryResult<bool> {
    let row: Found = prepared(
        sql_query(
            "SELECT EXISTS (SELECT FROM transactions WHERE payment_id = $1 AND kind = $2 AND status = 'failed' \
                AND created_at > now() - make_interval(secs => $3)) AS found",
        )
        .bind::<SqlUuid, _>(payment)
        .bind::<Text, _>(kind)
        .bind::<Double, _>(time.as_secs_f64()),
    )
    .single(conn)
    .await?;
    Ok(row.found)
}

/// The refund that has this name at the gateway.
pub async fn refund_by_reference(
    conn: &mut AsyncPgConnection,
    payment: Uuid,
    reference: &str,
) -> QueryResult<Option<Movement>> {
    transactions::table
        .filter(transactions::payment_id.eq(payment))
        .filter(transactions::kind.eq(TransactionKind::Refund))
        .filter(transactions::gateway_reference.eq(reference))
        .select(Movement::as_select())
        .first(conn)
        .await
        .optional()
}

/// The releases of a payment did not hold: they are no more. Returns them.
pub async fn cancel_releases(
    conn: &mut AsyncPgConnection,
    payment: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<Vec<Movement>> {
    diesel::update(
        transactions::table
            .filter(transactions::payment_id.eq(payment))
            .filter(transactions::kind.eq(TransactionKind::Release))
            .filter(transactions::status.eq(TransactionStatus::Succeeded)),
    )
    .set((transactions::status.eq(TransactionStatus::Cancelled), transactions::settled_at.eq(now)))
    .returning(Movement::as_returning())
    .get_results(conn)
    .await
}

/// Strikes an attempt that had no effect at all.
pub async fn strike(conn: &mut AsyncPgConnection, attempt: Uuid) -> QueryResult<usize> {
    diesel::delete(transactions::table.find(attempt)).execute(conn).await
}

/// Frees the idempotency key of an attempt that had no effect, so that the same request can be made anew.
pub async fn free_key(conn: &mut AsyncPgConnection, attempt: Uuid) -> QueryResult<usize> {
    prepared(
        sql_query("DELETE FROM idempotency_keys WHERE resource_id = $1 AND status IS NULL").bind::<SqlUuid, _>(attempt),
    )
    .execute(conn)
    .await
}
