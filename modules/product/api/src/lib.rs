//! What the product module promises to the others: what a variant is and costs now, and stock that is
//! reserved, sold, freed and put back under an order's id.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eshopz_kernel::{Event, Fault, Money, OrderId, ProductId, VariantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A variant as it is at this moment. Only variants of active products are `sellable`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariantSnapshot {
    pub id: VariantId,
    pub product_id: ProductId,
    pub sku: Option<String>,
    /// The product's title.
    pub title: String,
    pub variant_title: String,
    pub image_url: Option<String>,
    pub price: Money,
    /// On hand minus reserved.
    pub available: i64,
    /// Sold beyond the stock (`inventory_policy` is `continue`).
    pub backorder: bool,
    pub requires_shipping: bool,
    pub taxable: bool,
    pub sellable: bool,
}

impl VariantSnapshot {
    /// Whether so many can be sold now.
    #[must_use]
    pub fn can_supply(&self, quantity: i64) -> bool {
        self.sellable && (self.backorder || quantity <= self.available)
    }
}

/// So many of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLine {
    pub variant_id: VariantId,
    /// At least 1.
    pub quantity: i64,
}

/// Reserve stock under an order's id until a deadline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveStock {
    pub order_id: OrderId,
    pub lines: Vec<StockLine>,
    pub expires_at: DateTime<Utc>,
}

/// Part of what an order holds or bought comes back: lines that were cancelled, or things that were returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveBackStock {
    pub order_id: OrderId,
    /// Of this giving back, chosen by the order: a second time with the same id changes nothing.
    pub id: Uuid,
    pub lines: Vec<StockLine>,
}

/// A line that cannot be supplied; `details.lines` of the fault `insufficient_stock` is a list of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    pub variant_id: VariantId,
    pub requested: i64,
    pub available: i64,
}

/// The calls that other modules make. All of them are idempotent.
#[async_trait]
pub trait ProductApi: Send + Sync {
    /// The variants that exist among those asked for, in no order, whatever their product's status.
    async fn variants(&self, ids: &[VariantId]) -> Result<Vec<VariantSnapshot>, Fault>;

    /// Reserves all lines or none. The same order again is a success and changes nothing but a deadline
    /// that has been moved; one that was freed is reserved anew; one already sold is left alone.
    ///
    /// Fails with 409 `insufficient_stock`, `details.lines` naming each [`Shortage`].
    async fn reserve(&self, command: ReserveStock) -> Result<(), Fault>;

    /// Turns an order's reservation into a sale: `on_hand` falls, with a movement in the ledger. Done
    /// before is a success. One that was freed meanwhile is taken from what is available now.
    ///
    /// Fails with 409 `insufficient_stock` in that last case only.
    async fn commit_reservation(&self, order: OrderId) -> Result<(), Fault>;

    /// Undoes what an order holds: frees a reservation, or puts sold stock back with a movement. A
    /// second time, or for an order that holds nothing, it changes nothing.
    async fn release(&self, order: OrderId) -> Result<(), Fault>;

    /// Undoes a part of what an order holds: so much less is reserved, or so much of what was sold is put
    /// back with a movement. From then on the order holds that much less. A second time with the same id it
    /// changes nothing, and for an order whose stock was released altogether neither.
    ///
    /// Fails with 409 `exceeds_holding` when the order holds less of a variant than that.
    async fn give_back(&self, command: GiveBackStock) -> Result<(), Fault>;
}

/// A product was made, changed or archived, or its price or stock setting did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductChanged {
    pub product_id: ProductId,
    pub at: DateTime<Utc>,
}

impl Event for ProductChanged {
    const NAME: &'static str = "product.changed.v1";
}

/// Every event of the module.
pub const EVENTS: &[&str] = &[ProductChanged::NAME];
