//! Rows as the other files read them.

use chrono::{DateTime, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::pg::{Pg, PgValue};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Json, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde::Deserialize;
use uuid::Uuid;

use crate::domain::stock::Level;
use crate::domain::{Images, MovementKind, Options, Status};

/// A product, with its category's slug.
#[derive(Clone, Debug, QueryableByName)]
pub struct Product {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub handle: String,
    #[diesel(sql_type = Text)]
    pub title: String,
    #[diesel(sql_type = Text)]
    pub description: String,
    #[diesel(sql_type = Text)]
    pub vendor: String,
    #[diesel(sql_type = Text)]
    pub product_type: String,
    #[diesel(sql_type = Array<Text>)]
    pub tags: Vec<String>,
    #[diesel(sql_type = Text)]
    pub status: Status,
    #[diesel(sql_type = Nullable<Text>)]
    pub category: Option<String>,
    #[diesel(sql_type = Jsonb)]
    pub options: Options,
    #[diesel(sql_type = Jsonb)]
    pub images: Images,
    #[diesel(sql_type = BigInt)]
    pub price_min_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub price_max_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub version: i64,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub updated_at: DateTime<Utc>,
}

/// The columns of [`Product`], of `products p` and `categories c`.
pub const PRODUCT_COLUMNS: &str = "p.id, p.handle, p.title, p.description, p.vendor, p.product_type, p.tags, \
    p.status, c.slug AS category, p.options, p.images, p.price_min_minor, p.price_max_minor, p.version, \
    p.created_at, p.updated_at";

/// A product and its variants in the order in which they are shown.
#[derive(Clone, Debug, QueryableByName)]
pub struct WithVariants {
    #[diesel(embed)]
    pub product: Product,
    #[diesel(sql_type = Json)]
    pub variants: Variants,
}

/// Variants that came with their product, so that one statement tells all of it.
#[derive(Clone, Debug, FromSqlRow)]
pub struct Variants(pub Vec<Variant>);

impl FromSql<Json, Pg> for Variants {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(serde_json::from_slice(value.as_bytes())?))
    }
}

/// The columns of [`WithVariants`], of `products p` and `categories c`.
pub fn columns_with_variants() -> String {
    format!(
        "{PRODUCT_COLUMNS}, (SELECT coalesce(json_agg(json_build_array({VARIANT_COLUMNS}) \
            ORDER BY v.position, v.id), '[]') FROM variants v JOIN stock_levels s ON s.variant_id = v.id \
         WHERE v.product_id = p.id) AS variants"
    )
}

/// A variant with its stock. In JSON it is an array of its fields, in their order.
#[derive(Clone, Debug, QueryableByName, Deserialize)]
pub struct Variant {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub product_id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    pub sku: Option<String>,
    #[diesel(sql_type = Text)]
    pub title: String,
    #[diesel(sql_type = Array<Text>)]
    pub option_values: Vec<String>,
    #[diesel(sql_type = BigInt)]
    pub price_minor: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub compare_at_minor: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    pub barcode: Option<String>,
    #[diesel(sql_type = Integer)]
    pub weight_grams: i32,
    #[diesel(sql_type = Bool)]
    pub requires_shipping: bool,
    #[diesel(sql_type = Bool)]
    pub taxable: bool,
    #[diesel(sql_type = Integer)]
    pub position: i32,
    #[diesel(sql_type = Nullable<Text>)]
    pub image_url: Option<String>,
    #[diesel(sql_type = BigInt)]
    pub version: i64,
    #[diesel(sql_type = BigInt)]
    pub on_hand: i64,
    #[diesel(sql_type = BigInt)]
    pub reserved: i64,
    #[diesel(sql_type = Bool)]
    pub backorder: bool,
}

impl Variant {
    /// Its stock.
    #[must_use]
    pub const fn level(&self) -> Level {
        Level { on_hand: self.on_hand, reserved: self.reserved, backorder: self.backorder }
    }
}

/// The columns of [`Variant`], in the order of its fields, of `variants v` and `stock_levels s`.
pub const VARIANT_COLUMNS: &str = "v.id, v.product_id, v.sku, v.title, v.option_values, v.price_minor, \
    v.compare_at_minor, v.barcode, v.weight_grams, v.requires_shipping, v.taxable, v.position, v.image_url, \
    v.version, s.on_hand, s.reserved, s.backorder";

/// A variant with what of its product is needed to show it alone.
#[derive(Clone, Debug, QueryableByName)]
pub struct VariantOfProduct {
    #[diesel(embed)]
    pub variant: Variant,
    #[diesel(sql_type = Jsonb)]
    pub options: Options,
    #[diesel(sql_type = Text)]
    pub status: Status,
}

/// An entry of the ledger.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::stock_movements)]
pub struct Movement {
    pub id: Uuid,
    pub delta: i64,
    pub on_hand_after: i64,
    pub kind: MovementKind,
    pub reason: Option<String>,
    pub order_id: Option<Uuid>,
    pub actor: String,
    pub created_at: DateTime<Utc>,
}

/// A category, with its parent's slug.
#[derive(Clone, Debug, QueryableByName)]
pub struct Category {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub slug: String,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub parent: Option<String>,
    #[diesel(sql_type = Integer)]
    pub position: i32,
    #[diesel(sql_type = BigInt)]
    pub version: i64,
}
