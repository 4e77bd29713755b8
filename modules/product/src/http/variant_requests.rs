//! Variants as they are asked for, and what the service makes of them.

use std::collections::BTreeMap;

use eshopz_kernel::{Currency, Money};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::fields::{self, minor, some_text};
use super::schemas::{OptionValues, Price};
use super::views::InventoryPolicy;
use crate::error::ProductError;
use crate::service::{VariantDraft, VariantPatch};

/// The most that can be on hand.
pub const MAX_ON_HAND: i64 = 1_000_000_000;

/// A variant to be made.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "sku": "BS-XL", "option_values": {"Size": "XL"}, "price": {"amount": 2599, "currency": "USD"}, "on_hand": 10
}))]
pub struct CreateVariant {
    /// Unique in the shop.
    #[validate(custom(function = fields::code))]
    #[schema(pattern = "<code>", max_length = 255)]
    pub sku: Option<String>,
    /// Made of the option values if it is left out.
    #[validate(custom(function = fields::line))]
    #[schema(pattern = "<line>", max_length = 255)]
    pub title: Option<String>,
    /// One value for each option of the product.
    #[serde(default)]
    #[validate(custom(function = fields::option_values))]
    #[schema(value_type = OptionValues, required = false)]
    pub option_values: BTreeMap<String, String>,
    #[validate(custom(function = fields::price))]
    #[schema(value_type = Price)]
    pub price: Money,
    #[validate(custom(function = fields::price))]
    #[schema(value_type = Option<Price>)]
    pub compare_at_price: Option<Money>,
    #[validate(custom(function = fields::code))]
    #[schema(pattern = "<code>", max_length = 255)]
    pub barcode: Option<String>,
    #[serde(default)]
    #[validate(range(min = 0, max = 100_000_000))]
    #[schema(minimum = 0, maximum = 100_000_000)]
    pub weight_grams: i32,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub requires_shipping: bool,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub taxable: bool,
    #[serde(default)]
    pub inventory_policy: InventoryPolicy,
    /// The stock to begin with.
    #[serde(default)]
    #[validate(range(min = 0, max = MAX_ON_HAND))]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub on_hand: i64,
    /// After the others if it is left out.
    #[validate(range(min = 1, max = 1_000_000))]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub position: Option<i32>,
    #[validate(custom(function = fields::url))]
    #[schema(pattern = "<url>", max_length = 2048)]
    pub image_url: Option<String>,
}

const fn yes() -> bool {
    true
}

/// A change of a variant: what is left out stays as it is. The stock has its own paths.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"price": {"amount": 1999, "currency": "USD"}, "compare_at_price": {"amount": 2499, "currency": "USD"}}))]
pub struct UpdateVariant {
    #[serde(default, deserialize_with = "fields::clearable")]
    #[validate(custom(function = fields::code))]
    #[schema(pattern = "<code>", max_length = 255, value_type = Option<String>)]
    pub sku: Option<Option<String>>,
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(custom(function = fields::name))]
    #[schema(pattern = "<words>", min_length = 1, max_length = 255, nullable = false)]
    pub title: Option<String>,
    /// One value for each option of the product.
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(custom(function = fields::option_values))]
    #[schema(value_type = OptionValues, required = false)]
    pub option_values: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(custom(function = fields::price))]
    #[schema(value_type = Price, required = false)]
    pub price: Option<Money>,
    #[serde(default, deserialize_with = "fields::clearable")]
    #[validate(custom(function = fields::price))]
    #[schema(value_type = Option<Price>)]
    pub compare_at_price: Option<Option<Money>>,
    #[serde(default, deserialize_with = "fields::clearable")]
    #[validate(custom(function = fields::code))]
    #[schema(pattern = "<code>", max_length = 255, value_type = Option<String>)]
    pub barcode: Option<Option<String>>,
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(range(min = 0, max = 100_000_000))]
    #[schema(minimum = 0, maximum = 100_000_000, nullable = false)]
    pub weight_grams: Option<i32>,
    #[serde(default, deserialize_with = "fields::given")]
    #[schema(nullable = false)]
    pub requires_shipping: Option<bool>,
    #[serde(default, deserialize_with = "fields::given")]
    #[schema(nullable = false)]
    pub taxable: Option<bool>,
    #[serde(default, deserialize_with = "fields::given")]
    #[schema(nullable = false)]
    pub inventory_policy: Option<InventoryPolicy>,
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(range(min = 1, max = 1_000_000))]
    #[schema(minimum = 1, maximum = 1_000_000, nullable = false)]
    pub position: Option<i32>,
    #[serde(default, deserialize_with = "fields::clearable")]
    #[validate(custom(function = fields::url))]
    #[schema(pattern = "<url>", max_length = 2048, value_type = Option<String>)]
    pub image_url: Option<Option<String>>,
}

fn option_values(values: BTreeMap<String, String>) -> BTreeMap<String, String> {
    values.into_iter().map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

impl CreateVariant {
    /// What the service makes; `field` is where the variant is in the request.
    pub fn into_draft(self, shop: Currency, field: &str) -> Result<VariantDraft, ProductError> {
        let compare_at = |price| minor(price, shop, &format!("{field}/compare_at_price"));
        Ok(VariantDraft {
            sku: some_text(self.sku),
            title: some_text(self.title),
            option_values: option_values(self.option_values),
            price_minor: minor(self.price, shop, &format!("{field}/price"))?,
            compare_at_minor: self.compare_at_price.map(compare_at).transpose()?,
            barcode: some_text(self.barcode),
            weight_grams: self.weight_grams,
            requires_shipping: self.requires_shipping,
            taxable: self.taxable,
            backorder: self.inventory_policy.is_backorder(),
            on_hand: self.on_hand,
            position: self.position,
            image_url: self.image_url,
        })
    }
}

impl UpdateVariant {
    /// What the service changes.
    pub fn into_patch(self, shop: Currency) -> Result<VariantPatch, ProductError> {
        let compare_at = |price: Option<Money>| price.map(|price| minor(price, shop, "/compare_at_price")).transpose();
        Ok(VariantPatch {
            sku: self.sku.map(some_text),
            title: self.title.map(|title| title.trim().to_owned()),
            option_values: self.option_values.map(option_values),
            price_minor: self.price.map(|price| minor(price, shop, "/price")).transpose()?,
            compare_at_minor: self.compare_at_price.map(compare_at).transpose()?,
            barcode: self.barcode.map(some_text),
            weight_grams: self.weight_grams,
            requires_shipping: self.requires_shipping,
            taxable: self.taxable,
            backorder: self.inventory_policy.map(InventoryPolicy::is_backorder),
            position: self.position,
            image_url: self.image_url,
        })
    }
}
