//! Products, variants, movements and categories as they are shown.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use eshopz_kernel::{CategoryId, Currency, Money, OrderId, ProductId, VariantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::{Images, MovementKind, Options, Status};
use crate::service::WholeProduct;
use crate::store::rows;

/// What is done when the stock is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InventoryPolicy {
    /// No more is sold.
    #[default]
    Deny,
    /// It is sold beyond the stock.
    Continue,
}

impl InventoryPolicy {
    pub const fn of(backorder: bool) -> Self {
        if backorder { Self::Continue } else { Self::Deny }
    }

    pub const fn is_backorder(self) -> bool {
        matches!(self, Self::Continue)
    }
}

/// An option with its values, in the order in which they are shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProductOption)]
pub struct OptionView {
    #[schema(example = "Size")]
    pub name: String,
    #[schema(example = json!(["S", "M", "L"]))]
    pub values: Vec<String>,
}

/// A picture.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Image)]
pub struct ImageView {
    #[schema(example = "https://example.com/blue-shirt.jpg")]
    pub url: String,
    #[schema(example = "A blue shirt on a hanger")]
    pub alt: String,
    /// From 1.
    #[schema(example = 1)]
    pub position: usize,
}

/// The lowest and the highest price.
#[derive(Debug, Serialize, ToSchema)]
pub struct PriceRange {
    pub min: Money,
    pub max: Money,
}

/// What a shop page shows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Product)]
pub struct ProductView {
    pub id: ProductId,
    /// The readable part of its address.
    #[schema(example = "blue-shirt")]
    pub handle: String,
    #[schema(example = "Blue Shirt")]
    pub title: String,
    /// HTML.
    pub description: String,
    pub vendor: String,
    pub product_type: String,
    pub tags: Vec<String>,
    pub status: Status,
    /// The slug of its category.
    #[schema(example = "shirts")]
    pub category: Option<String>,
    pub options: Vec<OptionView>,
    pub variants: Vec<VariantView>,
    pub images: Vec<ImageView>,
    /// `null` while the product has no variant.
    pub price_range: Option<PriceRange>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What is sold, priced and kept in stock.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Variant)]
pub struct VariantView {
    pub id: VariantId,
    pub product_id: ProductId,
    #[schema(example = "BS-M")]
    pub sku: Option<String>,
    #[schema(example = "M")]
    pub title: String,
    #[schema(example = json!({"Size": "M"}))]
    pub option_values: BTreeMap<String, String>,
    pub price: Money,
    /// What it cost before, to be shown struck through.
    pub compare_at_price: Option<Money>,
    pub barcode: Option<String>,
    pub weight_grams: i32,
    pub requires_shipping: bool,
    pub taxable: bool,
    pub inventory_policy: InventoryPolicy,
    /// On hand minus reserved.
    #[schema(example = 12)]
    pub available: i64,
    pub position: i32,
    pub image_url: Option<String>,
    /// For admins: how many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_hand: Option<i64>,
    /// For admins: how many of them orders hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<i64>,
}

/// An entry of the stock ledger.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StockMovement)]
pub struct MovementView {
    pub id: Uuid,
    /// How many more; below 0, how many fewer.
    #[schema(example = -2)]
    pub delta: i64,
    /// On hand since then.
    #[schema(example = 10)]
    pub on_hand_after: i64,
    pub kind: MovementKind,
    pub reason: Option<String>,
    /// The order that bought or gave back.
    pub order_id: Option<OrderId>,
    /// Who did it: an account's id, `import` or `order`.
    pub actor: String,
    pub created_at: DateTime<Utc>,
}

/// A node of the category tree.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Category)]
pub struct CategoryView {
    pub id: CategoryId,
    #[schema(example = "shirts")]
    pub slug: String,
    #[schema(example = "Shirts")]
    pub name: String,
    /// The slug of the one above; `null` for a root.
    #[schema(example = "clothing")]
    pub parent: Option<String>,
    /// Its place among the others, lowest first.
    #[schema(example = 1)]
    pub position: i32,
}

impl ProductView {
    /// The view for everybody, or with the stock's figures for admins.
    pub fn of(whole: WholeProduct, currency: Currency, admin: bool) -> Self {
        let WholeProduct { product, variants } = whole;
        let variant = |row| VariantView::of(row, &product.options, currency, admin);
        let variants: Vec<VariantView> = variants.into_iter().map(variant).collect();
        let price_range = (!variants.is_empty()).then(|| PriceRange {
            min: Money::new(product.price_min_minor, currency),
            max: Money::new(product.price_max_minor, currency),
        });
        Self {
            id: product.id.into(),
            handle: product.handle,
            title: product.title,
            description: product.description,
            vendor: product.vendor,
            product_type: product.product_type,
            tags: product.tags,
            status: product.status,
            category: product.category,
            options: option_views(product.options),
            variants,
            images: image_views(product.images),
            price_range,
            created_at: product.created_at,
            updated_at: product.updated_at,
        }
    }
}

fn option_views(options: Options) -> Vec<OptionView> {
    options.0.into_iter().map(|option| OptionView { name: option.name, values: option.values }).collect()
}

fn image_views(images: Images) -> Vec<ImageView> {
    let view =
        |(image, position): (crate::domain::Image, usize)| ImageView { url: image.url, alt: image.alt, position };
    images.0.into_iter().zip(1..).map(view).collect()
}

impl VariantView {
    /// The view for everybody, or with the stock's figures for admins.
    pub fn of(row: rows::Variant, options: &Options, currency: Currency, admin: bool) -> Self {
        let level = row.level();
        Self {
            id: row.id.into(),
            product_id: row.product_id.into(),
            sku: row.sku,
            title: row.title,
            option_values: options.name_values(&row.option_values),
            price: Money::new(row.price_minor, currency),
            compare_at_price: row.compare_at_minor.map(|amount| Money::new(amount, currency)),
            barcode: row.barcode,
            weight_grams: row.weight_grams,
            requires_shipping: row.requires_shipping,
            taxable: row.taxable,
            inventory_policy: InventoryPolicy::of(level.backorder),
            available: level.available(),
            position: row.position,
            image_url: row.image_url,
            on_hand: admin.then_some(level.on_hand),
            reserved: admin.then_some(level.reserved),
        }
    }
}

impl From<rows::Movement> for MovementView {
    fn from(row: rows::Movement) -> Self {
        Self {
            id: row.id,
            delta: row.delta,
            on_hand_after: row.on_hand_after,
            kind: row.kind,
            reason: row.reason,
            order_id: row.order_id.map(OrderId::from),
            actor: row.actor,
            created_at: row.created_at,
        }
    }
}

impl From<rows::Category> for CategoryView {
    fn from(row: rows::Category) -> Self {
        Self { id: row.id.into(), slug: row.slug, name: row.name, parent: row.parent, position: row.position }
    }
}
