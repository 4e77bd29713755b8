//! Rows as they come and go.

use chrono::{DateTime, Utc};
use diesel::prelude::{AsChangeset, Queryable, QueryableByName, Selectable};
use eshopz_kernel::{Currency, Money, OrderId, PaymentId, Totals, UserId, VariantId};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::{Actor, BoughtLine, OrderStatus, PostalAddress, QuotedLine};
use crate::schema::{order_lines, order_timeline, orders};

/// A row of `orders`.
#[derive(Clone, Debug, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = orders, check_for_backend(diesel::pg::Pg))]
pub struct OrderRow {
    pub id: Uuid,
    pub number: String,
    pub cart_id: Uuid,
    pub customer_id: Option<Uuid>,
    pub token_hash: Option<String>,
    pub status: OrderStatus,
    pub email: String,
    pub currency: String,
    pub subtotal_minor: i64,
    pub discount_minor: i64,
    pub shipping_minor: i64,
    pub tax_minor: i64,
    pub total_minor: i64,
    pub shipping_address: PostalAddress,
    pub billing_address: PostalAddress,
    pub tracking: Option<Value>,
    pub payment_id: Uuid,
    pub cancel_reason: Option<String>,
    pub version: i64,
    pub placed_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub undone_at: Option<DateTime<Utc>>,
    /// How many may be about to sell its stock.
    pub sellers: i32,
}

/// The columns of [`OrderRow`], for statements that are written out. By name: one of a running process outlives a
/// migration that adds a column.
macro_rules! columns {
    () => {
        "id, number, cart_id, customer_id, token_hash, status, email, currency, subtotal_minor, \
            discount_minor, shipping_minor, tax_minor, total_minor, shipping_address, billing_address, tracking, \
            payment_id, cancel_reason, version, placed_at, updated_at, finished_at, undone_at, sellers"
    };
}

pub(super) use columns;

impl OrderRow {
    #[must_use]
    pub const fn order_id(&self) -> OrderId {
        OrderId(self.id)
    }

    #[must_use]
    pub const fn payment(&self) -> PaymentId {
        PaymentId(self.payment_id)
    }

    /// Somebody's words about the order, for another module. A guest's stay here: there they could not be found again when
    /// the person is to be forgotten.
    #[must_use]
    pub const fn words_for_others<'a>(&self, words: Option<&'a str>) -> Option<&'a str> {
        if self.customer_id.is_some() { words } else { None }
    }

    #[must_use]
    pub fn customer(&self) -> Option<UserId> {
        self.customer_id.map(UserId)
    }

    /// An amount in the order's currency. The table takes nothing but ISO 4217 codes.
    #[must_use]
    pub fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.currency.parse().unwrap_or(Currency::USD))
    }

    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            subtotal: self.money(self.subtotal_minor),
            discount: self.money(self.discount_minor),
            shipping: self.money(self.shipping_minor),
            tax: self.money(self.tax_minor),
            total: self.money(self.total_minor),
        }
    }
}

/// An order that is being placed. Its id is the resource of its idempotency key; the rest of its row is defaults.
#[derive(Clone, Debug)]
pub struct NewOrder {
    pub cart_id: Uuid,
    pub customer_id: Option<Uuid>,
    pub token_hash: Option<String>,
    pub email: String,
    pub currency: String,
    pub subtotal_minor: i64,
    pub discount_minor: i64,
    pub shipping_minor: i64,
    pub tax_minor: i64,
    pub total_minor: i64,
    pub shipping_address: Value,
    pub billing_address: Value,
    pub payment_id: Uuid,
    /// By the database's clock.
    pub placed_at: DateTime<Utc>,
    /// Whoever places it is about to have it paid, and to sell its stock.
    pub selling: bool,
}

/// A change of state; what is `None` stays as it is.
#[derive(Clone, Debug, AsChangeset)]
#[diesel(table_name = orders)]
pub struct StatusChange {
    pub status: &'static str,
    pub updated_at: DateTime<Utc>,
    pub tracking: Option<Value>,
    pub cancel_reason: Option<String>,
    pub cancelled_at: Option<DateTime<Utc>>,
}

/// A row of `order_lines`.
#[derive(Clone, Debug, Queryable, Selectable, Deserialize)]
#[diesel(table_name = order_lines, check_for_backend(diesel::pg::Pg))]
pub struct LineRow {
    pub order_id: Uuid,
    pub variant_id: Uuid,
    pub product_id: Uuid,
    pub sku: Option<String>,
    pub title: String,
    pub variant_title: String,
    pub image_url: Option<String>,
    pub quantity: i64,
    pub unit_price_minor: i64,
    pub line_total_minor: i64,
    pub taxable: bool,
    pub cancelled_quantity: i64,
    pub asked_quantity: i64,
    pub returned_quantity: i64,
}

impl LineRow {
    /// The row of a line that is just being ordered.
    #[must_use]
    pub fn new(order: OrderId, line: &QuotedLine) -> Self {
        let QuotedLine { variant, quantity, line_total } = line;
        Self {
            order_id: order.uuid(),
            variant_id: variant.id.uuid(),
            product_id: variant.product_id.uuid(),
            sku: variant.sku.clone(),
            title: variant.title.clone(),
            variant_title: variant.variant_title.clone(),
            image_url: variant.image_url.clone(),
            quantity: *quantity,
            unit_price_minor: variant.price.amount,
            line_total_minor: *line_total,
            taxable: variant.taxable,
            cancelled_quantity: 0,
            asked_quantity: 0,
            returned_quantity: 0,
        }
    }

    /// The line as its parts are reckoned.
    #[must_use]
    pub const fn bought(&self) -> BoughtLine {
        BoughtLine {
            variant: VariantId(self.variant_id),
            quantity: self.quantity,
            line_total: self.line_total_minor,
            taxable: self.taxable,
            taken_back: self.cancelled_quantity + self.returned_quantity,
            asked: self.asked_quantity,
        }
    }
}

/// A row of `order_timeline`.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = order_timeline, check_for_backend(diesel::pg::Pg))]
pub struct TimelineRow {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub from_status: Option<String>,
    pub to_status: String,
    pub event: String,
    pub actor: String,
    pub actor_id: Option<Uuid>,
    pub reason: Option<String>,
}

/// A change for the timeline, of the state or of something else.
#[derive(Clone, Debug)]
pub struct TimelineEntry<'a> {
    pub order: OrderId,
    pub at: DateTime<Utc>,
    pub from: Option<OrderStatus>,
    pub to: OrderStatus,
    /// What it is called in the timeline, and in `order.<event>.v1`.
    pub event: &'static str,
    pub actor: Actor,
    pub reason: Option<&'a str>,
}
