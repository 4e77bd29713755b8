//! What the order module tells the world. It is at the top of the call graph: nobody calls it, so it
//! has events and no trait.

use chrono::{DateTime, Utc};
use eshopz_kernel::{CartId, Event, Money, OrderId, UserId};
use serde::{Deserialize, Serialize};

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

/// Every event of the module.
pub const EVENTS: &[&str] = &[
    OrderPlaced::NAME,
    OrderPaid::NAME,
    OrderProcessing::NAME,
    OrderShipped::NAME,
    OrderDelivered::NAME,
    OrderCancelled::NAME,
];
