//! A cart as consumers see it.

use chrono::{DateTime, Utc};
use eshopz_kernel::{CartId, CartItemId, Currency, Money, ProductId, Totals, VariantId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Status;
use crate::pricing::{Line, PricedCart};

/// A cart at today's prices.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cart)]
pub struct CartView {
    pub id: CartId,
    /// Only an open cart can be changed.
    pub status: Status,
    pub currency: Currency,
    /// In the order in which they were added.
    pub items: Vec<CartItemView>,
    /// The sum of the quantities.
    #[schema(examples(2))]
    pub item_count: i64,
    pub totals: Totals,
    /// Rises with every change of the lines.
    #[schema(examples(3))]
    pub version: i64,
    pub updated_at: DateTime<Utc>,
    /// When it will be abandoned if nothing changes.
    pub expires_at: DateTime<Utc>,
    /// What opens a guest's cart, as `X-Cart-Token`. Shown only when the cart is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A line of a cart.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CartItem)]
pub struct CartItemView {
    pub id: CartItemId,
    pub variant_id: VariantId,
    pub product_id: ProductId,
    #[schema(examples("MUG-BLUE"))]
    pub sku: Option<String>,
    /// The product's title.
    #[schema(examples("Stoneware mug"))]
    pub title: String,
    #[schema(examples("Blue"))]
    pub variant_title: String,
    pub image_url: Option<String>,
    #[schema(examples(2))]
    pub quantity: i64,
    /// Today's price.
    pub unit_price: Money,
    pub line_total: Money,
    /// How many can be had now; 0 when it is no longer on sale.
    #[schema(examples(12))]
    pub available: i64,
    /// The price is another than when the line was last changed.
    pub price_changed: bool,
}

impl From<PricedCart> for CartView {
    fn from(priced: PricedCart) -> Self {
        let PricedCart { cart, lines, totals } = priced;
        let currency = cart.currency.parse().unwrap_or(totals.total.currency);
        Self {
            id: cart.id.into(),
            status: cart.status,
            currency,
            item_count: lines.iter().fold(0_i64, |sum, line| sum.saturating_add(line.item.quantity)),
            items: lines.into_iter().map(|line| item_view(line, currency)).collect(),
            totals,
            version: cart.version,
            updated_at: cart.updated_at,
            expires_at: cart.expires_at,
            token: None,
        }
    }
}

fn item_view(line: Line, currency: Currency) -> CartItemView {
    let Line { item, line_total, available, price_changed } = line;
    CartItemView {
        id: item.id.into(),
        variant_id: item.variant_id.into(),
        product_id: item.product_id.into(),
        sku: item.sku,
        title: item.title,
        variant_title: item.variant_title,
        image_url: item.image_url,
        quantity: item.quantity,
        unit_price: Money::new(item.unit_price_minor, currency),
        line_total: Money::new(line_total, currency),
        available,
        price_changed,
    }
}
