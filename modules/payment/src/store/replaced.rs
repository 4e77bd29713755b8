//! Statements on attempts that waited for the payer when another took their place, and that are to be let go at the
//! gateway.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Uuid as SqlUuid;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::ledger::Movement;
use crate::domain::{TransactionKind, TransactionStatus};
use crate::schema::transactions;

/// Attempts of a payment that still wait for the payer are to be let go at the gateway: another takes their place.
/// They are `pending`, so that the job does it for a process that dies. Returns them, and those that were not let go
/// the last time.
pub async fn begin(conn: &mut AsyncPgConnection, payment: Uuid) -> QueryResult<Vec<Movement>> {
    prepared(
        sql_query(
            "UPDATE transactions SET status = 'pending', tried_at = now(), tries = 0, due_at = now(), \
                settled_at = coalesce(settled_at, now()) \
             WHERE payment_id = $1 AND kind IN ('charge', 'authorization') AND gateway_reference IS NOT NULL \
                AND status IN ('requires_action', 'pending') RETURNING *",
        )
        .bind::<SqlUuid, _>(payment),
    )
    .load(conn)
    .await
}

/// Attempts of a payment that are replaced and not let go yet.
pub async fn of_payment(conn: &mut AsyncPgConnection, payment: Uuid) -> QueryResult<Vec<Movement>> {
    transactions::table
        .filter(transactions::payment_id.eq(payment))
        .filter(transactions::kind.eq_any([TransactionKind::Charge, TransactionKind::Authorization]))
        .filter(transactions::status.eq(TransactionStatus::Pending))
        .filter(transactions::gateway_reference.is_not_null())
        .select(Movement::as_select())
        .load(conn)
        .await
}
