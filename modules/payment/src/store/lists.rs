//! Statements for lists: keyset on (time, id), one row more than the page.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_payment_api::PaymentStatus;
use uuid::Uuid;

use super::columns::StatusColumn;
use super::ledger::Movement;
use super::payments::Payment;
use crate::domain::TransactionKind;
use crate::schema::{payments, transactions};

/// The last row of the page before: its time and id.
pub type Position = (DateTime<Utc>, Uuid);

/// Which payments.
#[derive(Clone, Debug, Default)]
pub struct PaymentFilter {
    pub customer_id: Option<Uuid>,
    pub order_id: Option<Uuid>,
    pub status: Option<PaymentStatus>,
    pub newest_first: bool,
}

/// A page of payments, and one more.
pub async fn payments(
    conn: &mut AsyncPgConnection,
    filter: &PaymentFilter,
    after: Option<Position>,
    limit: i64,
) -> QueryResult<Vec<Payment>> {
    let mut query = payments::table.select(Payment::as_select()).limit(limit + 1).into_boxed();
    if let Some(customer) = filter.customer_id {
        query = query.filter(payments::customer_id.eq(customer));
    }
    if let Some(order) = filter.order_id {
        query = query.filter(payments::order_id.eq(order));
    }
    if let Some(status) = filter.status {
        query = query.filter(payments::status.eq(StatusColumn(status)));
    }
    let (time, id) = (payments::created_at, payments::id);
    if filter.newest_first {
        query = query.order((time.desc(), id.desc()));
        if let Some((at, last)) = after {
            query = query.filter(time.lt(at).or(time.eq(at).and(id.lt(last))));
        }
    } else {
        query = query.order((time.asc(), id.asc()));
        if let Some((at, last)) = after {
            query = query.filter(time.gt(at).or(time.eq(at).and(id.gt(last))));
        }
    }
    query.load(conn).await
}

/// A page of a payment's ledger from its beginning, and one more row; of one kind, or all.
pub async fn ledger(
    conn: &mut AsyncPgConnection,
    payment: Uuid,
    kind: Option<TransactionKind>,
    after: Option<Position>,
    limit: i64,
) -> QueryResult<Vec<Movement>> {
    let (time, id) = (transactions::created_at, transactions::id);
    let mut query = transactions::table
        .filter(transactions::payment_id.eq(payment))
        .select(Movement::as_select())
        .order((time.asc(), id.asc()))
        .limit(limit + 1)
        .into_boxed();
    if let Some(kind) = kind {
        query = query.filter(transactions::kind.eq(kind));
    }
    if let Some((at, last)) = after {
        query = query.filter(time.gt(at).or(time.eq(at).and(id.gt(last))));
    }
    query.load(conn).await
}
