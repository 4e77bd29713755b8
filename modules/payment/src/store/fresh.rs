//! A payment that is made and paid in one go, as nearly all are: a statement for what will be asked of the gateway, and
//! one for what came of it. Each is a transaction of its own, and does nothing where somebody else was there.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_payment_api::{CreatePayment, PaymentStatus};
use eshopz_platform::db::Single as _;
use eshopz_platform::events::outbox::Entry;
use eshopz_platform::notify_relays;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::columns::StatusColumn;
use super::{Movement, Payment};
use crate::domain::{TransactionKind, TransactionStatus};

/// Makes the payment of an order together with its first attempt, which is about to be carried out. Nothing when the
/// order has a payment.
pub async fn begin(
    conn: &mut AsyncPgConnection,
    new: &CreatePayment,
    gateway: &str,
    attempt: Uuid,
    kind: TransactionKind,
    method: &str,
) -> QueryResult<Option<(Payment, Movement)>> {
    // By name: a statement of a running process outlives a migration that adds a column.
    let begun: Option<Payment> = prepared(
        sql_query(
            "WITH payment AS ( \
                INSERT INTO payments (id, order_id, customer_id, payer_token_hash, currency, amount_minor, gateway, \
                    status, attempt_id, attempts, processing_since) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, now()) ON CONFLICT DO NOTHING \
                RETURNING id, order_id, customer_id, payer_token_hash, currency, amount_minor, captured_minor, \
                    refunded_minor, gateway_refunded_minor, gateway_bounced_minor, released_minor, status, gateway, \
                    gateway_reference, method, next_action, failure_code, failure_message, attempt_id, attempts, \
                    processing_since, undo_requested_at, undo_reason, undo_tries, undo_due_at, secured_at, version, \
                    created_at, updated_at), \
             attempt AS ( \
                INSERT INTO transactions (id, payment_id, kind, status, amount_minor, currency, payment_method) \
                SELECT $9, id, $10, $11, amount_minor, currency, $12 FROM payment) \
             SELECT * FROM payment",
        )
        .bind::<SqlUuid, _>(new.payment_id.uuid())
        .bind::<SqlUuid, _>(new.order_id.uuid())
        .bind::<Nullable<SqlUuid>, _>(new.customer_id.map(|id| id.uuid()))
        .bind::<Nullable<Text>, _>(&new.payer_token_hash)
        .bind::<Text, _>(new.amount.currency.code())
        .bind::<BigInt, _>(new.amount.amount)
        .bind::<Text, _>(gateway)
        .bind::<Text, _>(StatusColumn(PaymentStatus::Processing))
        .bind::<SqlUuid, _>(attempt)
        .bind::<Text, _>(kind)
        .bind::<Text, _>(TransactionStatus::Pending)
        .bind::<Text, _>(method),
    )
    .single(conn)
    .await
    .optional()?;
    Ok(begun.map(|payment| {
        let row = Movement {
            id: attempt,
            payment_id: payment.id,
            kind,
            status: TransactionStatus::Pending,
            amount_minor: payment.amount_minor,
            currency: payment.currency.clone(),
            payment_method: Some(method.to_owned()),
            method: None,
            gateway_reference: None,
            charge_reference: None,
            reason: None,
            failure_code: None,
            failure_message: None,
            // The defaults of both tables are the transaction's time.
            created_at: payment.created_at,
            tried_at: payment.created_at,
            tries: 0,
            due_at: payment.created_at,
            settled_at: None,
        };
        (payment, row)
    }))
}

/// Writes down that an attempt has collected its payment, if the payment still has the version before `after`; false,
/// and nothing is done, when it has not. `row` and `event` are what goes with it.
///
/// # Errors
/// Also when the attempt is not on its way while its payment has not changed: nothing is done then.
pub async fn collected(
    conn: &mut AsyncPgConnection,
    after: &Payment,
    row: &Movement,
    event: &Entry,
) -> QueryResult<bool> {
    prepared(
        sql_query(concat!(
            "WITH payment AS ( \
                UPDATE payments SET status = $3, captured_minor = $4, gateway_reference = $5, method = $6, \
                    processing_since = NULL, secured_at = $7, version = $2, updated_at = $8 \
                WHERE id = $1 AND version = $2 - 1 RETURNING id), \
             attempt AS ( \
                UPDATE transactions t SET status = $9, amount_minor = $10, gateway_reference = $11, method = $12, \
                    settled_at = $13 \
                FROM payment WHERE t.id = $14 AND t.payment_id = payment.id AND t.status = 'pending' RETURNING t.id), \
             event AS ( \
                INSERT INTO outbox (id, name, payload, traceparent) SELECT $15, $16, $17, $18 FROM payment) \
             SELECT 1 / (SELECT count(*) FROM attempt), ",
            notify_relays!(),
            " FROM payment"
        ))
        .bind::<SqlUuid, _>(after.id)
        .bind::<BigInt, _>(after.version)
        .bind::<Text, _>(after.status)
        .bind::<BigInt, _>(after.captured_minor)
        .bind::<Nullable<Text>, _>(&after.gateway_reference)
        .bind::<Nullable<Jsonb>, _>(&after.method)
        .bind::<Nullable<Timestamptz>, _>(after.secured_at)
        .bind::<Timestamptz, _>(after.updated_at)
        .bind::<Text, _>(row.status)
        .bind::<BigInt, _>(row.amount_minor)
        .bind::<Nullable<Text>, _>(&row.gateway_reference)
        .bind::<Nullable<Jsonb>, _>(&row.method)
        .bind::<Nullable<Timestamptz>, _>(row.settled_at)
        .bind::<SqlUuid, _>(row.id)
        .bind::<SqlUuid, _>(event.id)
        .bind::<Text, _>(event.name)
        .bind::<Jsonb, _>(&event.payload)
        .bind::<Nullable<Text>, _>(&event.traceparent),
    )
    .execute(conn)
    .await
    .map(|rows| rows == 1)
}
