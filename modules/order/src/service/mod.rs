//! The use cases. Other modules are called outside of transactions, and every such call is one that can
//! be repeated: a request does them at once, a listener does them again for a request that broke off.

mod advance;
mod cancel;
mod cancel_lines;
mod checkout;
mod expire;
mod finish;
mod place;
mod read;
mod refund_again;
mod repair;
mod returns;
mod reverse;
mod settle;
mod voided;

pub use cancel::CancelOrder;
pub use place::{PlaceOrder, Placed};
pub use read::{OrderDetails, OrderRef, position};
pub use returns::{DecideReturn, RequestReturn, ReturnDetails, refund_minor};
pub use settle::TENDED;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel_async::AsyncPgConnection;
use eshopz_cart_api::CartApi;
use eshopz_kernel::{EventId, OrderId};
use eshopz_order_api::{OrderCancelled, OrderDelivered, OrderPaid, OrderProcessing, OrderShipped, OrderedQuantity};
use eshopz_payment_api::{PaymentApi, PaymentStatus, PaymentSummary};
use eshopz_platform::audit::{self, Entry};
use eshopz_platform::db::Db;
use eshopz_platform::events::{inbox, outbox};
use eshopz_platform::idempotency::InFlight;
use eshopz_product_api::ProductApi;
use eshopz_user_api::UserApi;

use crate::OrderSettings;
use crate::domain::{Actor, OrderStatus, Quantities, now};
use crate::error::OrderError;
use crate::store::{self, OrderRow, StatusChange, TimelineEntry};

/// What the use cases need.
pub struct OrderService {
    pub(crate) db: Db,
    pub(crate) in_flight: InFlight,
    pub(crate) users: Arc<dyn UserApi>,
    products: Arc<dyn ProductApi>,
    carts: Arc<dyn CartApi>,
    payments: Arc<dyn PaymentApi>,
    settings: OrderSettings,
}

/// The event that has a listener do something; noted in the inbox together with what it does.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    pub listener: &'static str,
    pub event: EventId,
}

#[eshopz_crash::crash_points]
impl Delivery {
    /// Notes a delivery, if there is one; false when it has had its effect already.
    async fn claim(via: Option<Self>, conn: &mut AsyncPgConnection) -> Result<bool, OrderError> {
        match via {
            Some(delivery) => Ok(inbox::claim(conn, delivery.listener, delivery.event).await?),
            None => Ok(true),
        }
    }
}

#[eshopz_crash::crash_points]
impl OrderService {
    pub(crate) fn new(deps: crate::OrderDeps) -> Self {
        let crate::OrderDeps { db, users, products, carts, payments, settings } = deps;
        Self { db, in_flight: InFlight::default(), users, products, carts, payments, settings }
    }

    /// The order, or an internal fault: somebody who must know says that it exists.
    pub(crate) async fn known(&self, id: OrderId) -> Result<OrderRow, OrderError> {
        let mut conn = self.db.conn().await?;
        store::by_id(&mut conn, id).await?.ok_or(OrderError::UnknownOrder(id.uuid()))
    }

    async fn payments_of(&self, orders: &[OrderRow]) -> Result<HashMap<OrderId, PaymentSummary>, OrderError> {
        if orders.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<OrderId> = orders.iter().map(OrderRow::order_id).collect();
        let payments = self.payments.of_orders(&ids).await?;
        Ok(payments.into_iter().map(|payment| (payment.order_id, payment)).collect())
    }
}

/// Takes a locked order one state further: row, timeline and event.
#[eshopz_crash::crash_points]
async fn step(
    conn: &mut AsyncPgConnection,
    order: &OrderRow,
    to: OrderStatus,
    actor: Actor,
    reason: Option<&str>,
    tracking: Option<serde_json::Value>,
) -> Result<OrderRow, OrderError> {
    // The clocks of two processes, and the database's, differ a little.
    let at = now().max(order.updated_at);
    let cancelled = to == OrderStatus::Cancelled;
    let change = StatusChange {
        status: to.as_str(),
        updated_at: at,
        tracking,
        cancel_reason: reason.filter(|_| cancelled).map(str::to_owned),
        cancelled_at: cancelled.then_some(at),
    };
    let changed = store::change(conn, order.order_id(), &change).await?;
    let entry =
        TimelineEntry { order: order.order_id(), at, from: Some(order.status), to, event: to.event(), actor, reason };
    store::append(conn, &entry).await?;
    publish(conn, &changed).await?;
    Ok(changed)
}

/// A change of an order that stays in its state.
#[derive(Clone, Copy, Debug)]
struct Change<'a> {
    /// As in `order.<event>.v1`.
    event: &'static str,
    actor: Actor,
    reason: Option<&'a str>,
    /// Of what is taken back by it, in minor units.
    worth: i64,
    at: DateTime<Utc>,
}

/// Notes such a change of a locked order: row and timeline. Its event is told by whoever knows the rest.
#[eshopz_crash::crash_points]
async fn note_change(
    conn: &mut AsyncPgConnection,
    order: &OrderRow,
    change: Change<'_>,
) -> Result<OrderRow, OrderError> {
    let Change { event, actor, reason, worth, at } = change;
    let changed = store::touch(conn, order.order_id(), worth, at).await?;
    let (from, to) = (Some(order.status), order.status);
    note_if_admin(conn, actor, audit_entry(&format!("order.{event}"), order)).await?;
    store::append(conn, &TimelineEntry { order: order.order_id(), at, from, to, event, actor, reason }).await?;
    Ok(changed)
}

/// What was done to an order, for the audit log.
fn audit_entry(action: &str, order: &OrderRow) -> Entry {
    Entry::new(action, "order", order.id).with("number", &order.number)
}

/// Writes into the audit log what an admin did. What others do to their own orders is in the timeline.
#[eshopz_crash::crash_points]
async fn note_if_admin(conn: &mut AsyncPgConnection, actor: Actor, entry: Entry) -> Result<(), OrderError> {
    if let Actor::Admin(_) = actor {
        audit::record(conn, &entry).await?;
    }
    Ok(())
}

/// Quantities as events tell them.
fn ordered(items: &Quantities) -> Vec<OrderedQuantity> {
    items
        .iter()
        .map(|(variant_id, quantity)| OrderedQuantity { variant_id: *variant_id, quantity: *quantity })
        .collect()
}

/// Tells that an order has come to its present state.
#[eshopz_crash::crash_points]
async fn publish(conn: &mut AsyncPgConnection, order: &OrderRow) -> Result<(), OrderError> {
    let (order_id, number, at) = (order.order_id(), order.number.clone(), order.updated_at);
    match order.status {
        // Told with more detail where the order is placed.
        OrderStatus::PendingPayment => return Ok(()),
        OrderStatus::Paid => outbox::publish(conn, &OrderPaid { order_id, number, at }).await?,
        OrderStatus::Processing => outbox::publish(conn, &OrderProcessing { order_id, number, at }).await?,
        OrderStatus::Shipped => outbox::publish(conn, &OrderShipped { order_id, number, at }).await?,
        OrderStatus::Delivered => outbox::publish(conn, &OrderDelivered { order_id, number, at }).await?,
        OrderStatus::Cancelled => outbox::publish(conn, &OrderCancelled { order_id, number, at }).await?,
    };
    Ok(())
}

/// Counts an order that has come to a state; called once its transaction stands.
fn count(status: OrderStatus) {
    metrics::counter!("eshopz_orders_total", "module" => "order", "status" => status.as_str()).increment(1);
}

fn count_stockout() {
    metrics::counter!("eshopz_stockouts_total", "module" => "order").increment(1);
}

/// A payment as it stands before the payment module has it: nobody has paid anything.
fn no_payment_yet(order: &OrderRow) -> PaymentSummary {
    PaymentSummary {
        id: order.payment(),
        order_id: order.order_id(),
        status: PaymentStatus::RequiresPaymentMethod,
        amount: order.money(order.total_minor),
        captured_amount: order.money(0),
        refunded_amount: order.money(0),
        next_action: None,
    }
}
