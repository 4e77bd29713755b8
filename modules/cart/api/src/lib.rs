//! What the cart module promises to the others: a cart's content for a checkout, and its closing.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eshopz_kernel::{CartId, Fault, OrderId, UserId, VariantId};
use serde::{Deserialize, Serialize};

/// How somebody shows that a cart is theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CartOwner {
    Customer(UserId),
    /// The token of a guest's cart.
    Guest(String),
}

/// A line of a cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutLine {
    pub variant_id: VariantId,
    pub quantity: i64,
}

/// A cart as a checkout reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutCart {
    pub id: CartId,
    /// Rises with every change of the lines.
    pub version: i64,
    /// When that version was made.
    pub updated_at: DateTime<Utc>,
    pub customer_id: Option<UserId>,
    /// In the order in which they were added.
    pub lines: Vec<CheckoutLine>,
    /// The order that closed it, if one did.
    pub ordered_as: Option<OrderId>,
}

/// The calls that other modules make.
#[async_trait]
pub trait CartApi: Send + Sync {
    /// A cart of this owner, open or already ordered. Fails with `not_found` when it is absent, somebody
    /// else's or abandoned.
    async fn for_checkout(&self, cart: CartId, owner: &CartOwner) -> Result<CheckoutCart, Fault>;

    /// Closes a cart for the order that was made of it. Idempotent; a cart that is gone is no error.
    async fn close(&self, cart: CartId, order: OrderId) -> Result<(), Fault>;
}
