//! Statements on payments.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Double, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::{Currency, Money};
use eshopz_payment_api::{CreatePayment, PaymentStatus, PaymentSummary};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::{is_one_of, prepared};
use serde_json::Value;
use uuid::Uuid;

use super::columns::StatusColumn;
use crate::domain::{Failure, PaymentState};
use crate::schema::payments;

/// A payment's row.
#[derive(Clone, Debug, PartialEq, Queryable, QueryableByName, Selectable, Identifiable, AsChangeset)]
#[diesel(table_name = payments, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct Payment {
    pub id: Uuid,
    pub order_id: Uuid,
    pub customer_id: Option<Uuid>,
    pub payer_token_hash: Option<String>,
    pub currency: String,
    pub amount_minor: i64,
    pub captured_minor: i64,
    pub refunded_minor: i64,
    pub gateway_refunded_minor: i64,
    pub gateway_bounced_minor: i64,
    pub released_minor: i64,
    pub status: StatusColumn,
    pub gateway: String,
    pub gateway_reference: Option<String>,
    pub method: Option<Value>,
    pub next_action: Option<Value>,
    pub failure_code: Option<String>,
    pub failure_message: Option<String>,
    pub attempt_id: Option<Uuid>,
    pub attempts: i32,
    pub processing_since: Option<DateTime<Utc>>,
    pub undo_requested_at: Option<DateTime<Utc>>,
    pub undo_reason: Option<String>,
    pub undo_tries: i32,
    pub undo_due_at: DateTime<Utc>,
    pub secured_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Payment {
    /// An amount of minor units in the payment's currency.
    #[must_use]
    pub fn money(&self, minor: i64) -> Money {
        // A CHECK keeps anything else out of the column.
        Money::new(minor, self.currency.parse().unwrap_or(Currency::USD))
    }

    /// As other modules see it.
    #[must_use]
    pub fn summary(&self) -> PaymentSummary {
        PaymentSummary {
            id: self.id.into(),
            order_id: self.order_id.into(),
            status: self.status.0,
            amount: self.money(self.amount_minor),
            captured_amount: self.money(self.captured_minor),
            refunded_amount: self.money(self.refunded_minor),
            next_action: self.next_action.clone(),
        }
    }

    /// What went wrong with the last attempt.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let (code, message) = self.failure_code.clone().zip(self.failure_message.clone())?;
        Some(Failure { code, message })
    }

    /// The part that facts move.
    #[must_use]
    pub fn state(&self) -> PaymentState {
        PaymentState {
            status: self.status.0,
            amount: self.amount_minor,
            captured: self.captured_minor,
            refunded: self.refunded_minor,
            refunded_at_gateway: self.gateway_refunded_minor,
            bounced_at_gateway: self.gateway_bounced_minor,
            released: self.released_minor,
            reference: self.gateway_reference.clone(),
            attempt: self.attempt_id,
            attempts: self.attempts,
            undo_requested: self.undo_requested_at.is_some(),
            method: self.method.clone().and_then(|method| serde_json::from_value(method).ok()),
            failure: self.failure(),
            next_action: self.next_action.clone(),
        }
    }

    /// Takes over what a fact has moved; times follow from it.
    pub fn set_state(&mut self, state: PaymentState, now: DateTime<Utc>) {
        let begun = state.status == PaymentStatus::Processing;
        self.processing_since = begun.then(|| self.processing_since.unwrap_or(now));
        self.secured_at = self.secured_at.or_else(|| state.status.is_secured().then_some(now));
        self.undo_requested_at = self.undo_requested_at.or_else(|| state.undo_requested.then_some(now));
        let (code, message) = state.failure.map(|failure| (failure.code, failure.message)).unzip();
        self.status = StatusColumn(state.status);
        self.captured_minor = state.captured;
        self.refunded_minor = state.refunded;
        self.gateway_refunded_minor = state.refunded_at_gateway;
        self.gateway_bounced_minor = state.bounced_at_gateway;
        self.released_minor = state.released;
        self.gateway_reference = state.reference;
        self.attempt_id = state.attempt;
        self.attempts = state.attempts;
        self.method = state.method.and_then(|method| serde_json::to_value(method).ok());
        self.failure_code = code;
        self.failure_message = message;
        self.next_action = state.next_action;
    }
}

/// Makes the payment of an order, unless there is one.
pub async fn insert(conn: &mut AsyncPgConnection, new: &CreatePayment, gateway: &str) -> QueryResult<usize> {
    diesel::insert_into(payments::table)
        .values((
            payments::id.eq(new.payment_id.uuid()),
            payments::order_id.eq(new.order_id.uuid()),
            payments::customer_id.eq(new.customer_id.map(|id| id.uuid())),
            payments::payer_token_hash.eq(&new.payer_token_hash),
            payments::currency.eq(new.amount.currency.code()),
            payments::amount_minor.eq(new.amount.amount),
            payments::gateway.eq(gateway),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await
}

/// A payment.
pub async fn find(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<Payment>> {
    payments::table.find(id).select(Payment::as_select()).first(conn).await.optional()
}

/// A payment's version.
pub async fn version(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<i64>> {
    payments::table.find(id).select(payments::version).first(conn).await.optional()
}

/// A payment that only this transaction may change from here on.
pub async fn lock(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<Payment>> {
    payments::table.find(id).select(Payment::as_select()).for_update().first(conn).await.optional()
}

/// The same, and the database's time.
pub async fn lock_at(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<(Payment, DateTime<Utc>)>> {
    let now = diesel::dsl::now.into_sql::<Timestamptz>();
    payments::table.find(id).select((Payment::as_select(), now)).for_update().first(conn).await.optional()
}

/// The attempt of a payment that has been on its way for longer than this, by the database's clock.
pub async fn abandoned_attempt(conn: &mut AsyncPgConnection, id: Uuid, wait: Duration) -> QueryResult<Option<Uuid>> {
    let found: Option<Found> = prepared(
        sql_query(
            "SELECT attempt_id AS id FROM payments WHERE id = $1 AND attempt_id IS NOT NULL \
                AND processing_since < now() - make_interval(secs => $2)",
        )
        .bind::<SqlUuid, _>(id)
        .bind::<Double, _>(wait.as_secs_f64()),
    )
    .single(conn)
    .await
    .optional()?;
    Ok(found.map(|found| found.id))
}

/// A payment by its order, that only this transaction may change from here on.
pub async fn lock_of_order(conn: &mut AsyncPgConnection, order: Uuid) -> QueryResult<Option<Payment>> {
    payments::table
        .filter(payments::order_id.eq(order))
        .select(Payment::as_select())
        .for_update()
        .first(conn)
        .await
        .optional()
}

/// The payments of orders.
pub async fn of_orders(conn: &mut AsyncPgConnection, orders: &[Uuid]) -> QueryResult<Vec<Payment>> {
    let found = payments::table.filter(is_one_of("payments.order_id", orders)).select(Payment::as_select());
    prepared(found).load(conn).await
}

/// Writes a locked payment back as its next version.
pub async fn save(conn: &mut AsyncPgConnection, payment: &mut Payment, now: DateTime<Utc>) -> QueryResult<usize> {
    payment.version += 1;
    payment.updated_at = now;
    prepared(diesel::update(payments::table.find(payment.id)).set(&*payment)).execute(conn).await
}

/// Takes `amount` from what can be refunded; 0 rows when there is not so much.
pub async fn reserve_refund(conn: &mut AsyncPgConnection, id: Uuid, amount: i64) -> QueryResult<Option<Payment>> {
    diesel::update(
        payments::table
            .find(id)
            .filter((payments::refunded_minor + amount).le(payments::captured_minor))
            .filter(payments::status.eq(StatusColumn(PaymentStatus::Succeeded))),
    )
    .set((
        payments::refunded_minor.eq(payments::refunded_minor + amount),
        payments::version.eq(payments::version + 1),
        payments::updated_at.eq(diesel::dsl::now),
    ))
    .returning(Payment::as_returning())
    .single(conn)
    .await
    .optional()
}

/// A row by its id alone.
#[derive(QueryableByName)]
pub struct Found {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
}

/// Payments of cancelled orders that still hold money or wait for the payer, at a gateway: those that are due, each due
/// again later from try to try. Worded as the partial index is.
pub async fn take_to_undo(
    conn: &mut AsyncPgConnection,
    gateway: &str,
    now: DateTime<Utc>,
    limit: i64,
) -> QueryResult<Vec<Uuid>> {
    let rows: Vec<Found> = prepared(
        sql_query(
            "UPDATE payments SET undo_tries = undo_tries + 1, undo_due_at = now() + least(interval '1 hour', \
                interval '5 seconds' * 2 ^ least(undo_tries, 12)) WHERE id IN ( \
                SELECT id FROM payments WHERE undo_requested_at IS NOT NULL \
                    AND (status IN ('authorized', 'requires_action') OR refunded_minor < captured_minor) \
                    AND undo_due_at <= $2 AND gateway = $1 ORDER BY undo_due_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
             RETURNING id",
        )
        .bind::<Text, _>(gateway)
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(limit),
    )
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// The same whether due or not, in the order of their ids, after one of them.
pub async fn to_undo_after(
    conn: &mut AsyncPgConnection,
    gateway: &str,
    after: Uuid,
    limit: i64,
) -> QueryResult<Vec<Uuid>> {
    let rows: Vec<Found> = sql_query(
        "SELECT id FROM payments WHERE undo_requested_at IS NOT NULL \
            AND (status IN ('authorized', 'requires_action') OR refunded_minor < captured_minor) \
            AND gateway = $1 AND id > $2 ORDER BY id LIMIT $3",
    )
    .bind::<Text, _>(gateway)
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}
