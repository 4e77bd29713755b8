//! What the order module tells the world. It is at the top of the call graph: nobody calls it, so it
//! has events and no trait.

use chrono::{DateTime, Utc};
use eshopz_kernel::{CartId, Event, Money, OrderId, UserId, VariantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An order was placed: its stock is reserved and its cart is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    pub order_id: OrderId,
    pub number: String,
    pub cart_id: CartId,
    pub customer_id: Option<UserId>,
    pub total: Money,
    pub at: DateTime<Utc>,
}

impl Event for OrderPlaced {
    const NAME: &'static str = "order.placed.v1";
}

macro_rules! order_event {
    ($(#[$doc:meta])* $name:ident = $wire:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            pub order_id: OrderId,
            pub number: String,
            pub at: DateTime<Utc>,
        }

        impl Event for $name {
            const NAME: &'static str = $wire;
        }
    };
}

order_event! {
    /// The payment is secured.
    OrderPaid = "order.paid.v1"
}
order_event! {
    /// It is being prepared.
    OrderProcessing = "order.processing.v1"
}
order_event! {
    /// It left the house.
    OrderShipped = "order.shipped.v1"
}
order_event! {
    /// It arrived.
    OrderDelivered = "order.delivered.v1"
}
order_event! {
    /// It was cancelled, by somebody or by time; stock and money go back.
    OrderCancelled = "order.cancelled.v1"
}

/// So many of a variant that was ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedQuantity {
    pub variant_id: VariantId,
    pub quantity: i64,
}

/// Lines were cancelled and the order goes on without them; their stock and their share of the money go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLinesCancelled {
    pub order_id: OrderId,
    pub number: String,
    pub cancellation_id: Uuid,
    pub items: Vec<OrderedQuantity>,
    /// What goes back to the payer.
    pub refund: Money,
    pub at: DateTime<Utc>,
}

impl Event for OrderLinesCancelled {
    const NAME: &'static str = "order.lines_cancelled.v1";
}

/// Somebody wants to give things back that have arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReturnRequested {
    pub order_id: OrderId,
    pub number: String,
    pub return_id: Uuid,
    pub items: Vec<OrderedQuantity>,
    pub at: DateTime<Utc>,
}

impl Event for OrderReturnRequested {
    const NAME: &'static str = "order.return_requested.v1";
}

/// A return is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReturnAccepted {
    pub order_id: OrderId,
    pub number: String,
    pub return_id: Uuid,
    pub items: Vec<OrderedQuantity>,
    /// Whether they are for sale again.
    pub restocked: bool,
    /// What goes back to the payer.
    pub refund: Money,
    pub at: DateTime<Utc>,
}

impl Event for OrderReturnAccepted {
    const NAME: &'static str = "order.return_accepted.v1";
}

/// A return is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReturnRejected {
    pub order_id: OrderId,
    pub number: String,
    pub return_id: Uuid,
    pub at: DateTime<Utc>,
}

impl Event for OrderReturnRejected {
    const NAME: &'static str = "order.return_rejected.v1";
}

/// Every event of the module.
pub const EVENTS: &[&str] = &[
    OrderPlaced::NAME,
    OrderPaid::NAME,
    OrderProcessing::NAME,
    OrderShipped::NAME,
    OrderDelivered::NAME,
    OrderCancelled::NAME,
    OrderLinesCancelled::NAME,
    OrderReturnRequested::NAME,
    OrderReturnAccepted::NAME,
    OrderReturnRejected::NAME,
];
