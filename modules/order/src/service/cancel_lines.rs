//! Cancelling lines of a paid order that goes on without them.

use chrono::{DateTime, Utc};
use diesel_async::AsyncPgConnection;
use eshopz_order_api::OrderLinesCancelled;
use eshopz_payment_api::RefundStatus;
use eshopz_platform::events::outbox;
use uuid::Uuid;

use super::{CancelOrder, Change, note_change, ordered};
use crate::domain::{
    OrderStatus, Quantities, RefundState, ReversalKind, ReversalStatus, excesses, now, takes_all, worth,
};
use crate::error::OrderError;
use crate::store::{self, Counted, Decision, LineRow, NewReversal, OrderRow, RefundNews, ReversalRow};

/// Takes lines from a locked order, under this id; `None` when nothing would be left of it.
///
/// # Errors
/// `order_not_paid`, `invalid_transition`, `exceeds_ordered`.
#[eshopz_crash::crash_points]
pub(super) async fn cancel_lines(
    conn: &mut AsyncPgConnection,
    order: &OrderRow,
    command: &CancelOrder,
    wanted: &Quantities,
    id: Uuid,
) -> Result<Option<(OrderRow, ReversalRow)>, OrderError> {
    match order.status {
        OrderStatus::Paid | OrderStatus::Processing => {}
        OrderStatus::PendingPayment => return Err(OrderError::NotPaid),
        from => return Err(OrderError::InvalidTransition { from }),
    }
    let rows = store::lines_of(conn, &[order.id]).await?;
    let lines: Vec<_> = rows.iter().map(LineRow::bought).collect();
    let excess = excesses(&lines, wanted);
    if !excess.is_empty() {
        return Err(OrderError::ExceedsOrdered(excess));
    }
    if takes_all(&lines, wanted) {
        return Ok(None);
    }
    let (at, worth) = (now(), worth(&lines, order.discount_minor, order.tax_minor, wanted));
    let reason = command.reason.as_deref();
    let new = NewReversal { id, order: order.order_id(), kind: ReversalKind::Cancellation, reason, at };
    let decision = Decision {
        restock: Some(true),
        worth_minor: Some(worth),
        refund_minor: Some(worth),
        ..Decision::undecided(ReversalStatus::Accepted, None, at)
    };
    let part = store::insert_reversal(conn, &new, wanted, &decision).await?;
    store::count_lines(conn, order.order_id(), wanted, Counted::Cancelled).await?;
    expect_refund(conn, &part, at).await?;
    let change = Change { event: "lines_cancelled", actor: command.actor, reason, worth, at };
    let order = note_change(conn, order, change).await?;
    outbox::publish(conn, &told(&order, &part, wanted)).await?;
    Ok(Some((order, part)))
}

/// Writes down that a part's money is to go back, before anybody is asked for it.
#[eshopz_crash::crash_points]
pub(super) async fn expect_refund(
    conn: &mut AsyncPgConnection,
    part: &ReversalRow,
    at: DateTime<Utc>,
) -> Result<(), OrderError> {
    if let Some(amount_minor) = part.refund_minor.filter(|amount| *amount > 0) {
        let (order, reason, status) = (part.order_id, part.reason.as_deref(), RefundState(RefundStatus::Pending));
        store::note_refund(conn, &RefundNews { id: part.id, order, amount_minor, reason, status, at }).await?;
    }
    Ok(())
}

fn told(order: &OrderRow, part: &ReversalRow, wanted: &Quantities) -> OrderLinesCancelled {
    OrderLinesCancelled {
        order_id: order.order_id(),
        number: order.number.clone(),
        cancellation_id: part.id,
        items: ordered(wanted),
        refund: order.money(part.refund_minor.unwrap_or(0)),
        at: order.updated_at,
    }
}
