//! What a caller wants a product or a variant to be. Prices are in the shop's currency by now.

use crate::domain::options::OptionValues;
use crate::domain::{Images, ProductOption, Status};

/// A product to be made.
#[derive(Clone, Debug)]
pub struct ProductDraft {
    /// Made of the title when it is not given.
    pub handle: Option<String>,
    pub title: String,
    pub description: String,
    pub vendor: String,
    pub product_type: String,
    pub tags: Vec<String>,
    pub status: Status,
    /// A slug.
    pub category: Option<String>,
    /// Taken from the variants when they are not given.
    pub options: Option<Vec<ProductOption>>,
    pub variants: Vec<VariantDraft>,
    pub images: Images,
}

/// A change of a product; `None` leaves things as they are.
#[derive(Clone, Debug, Default)]
pub struct ProductPatch {
    pub handle: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub vendor: Option<String>,
    pub product_type: Option<String>,
    pub tags: Option<Vec<String>>,
    pub status: Option<Status>,
    /// A slug; `Some(None)` takes it out of its category.
    pub category: Option<Option<String>>,
    pub options: Option<Vec<ProductOption>>,
    pub images: Option<Images>,
}

/// A variant to be made.
#[derive(Clone, Debug)]
pub struct VariantDraft {
    pub sku: Option<String>,
    /// Made of the option values when it is not given.
    pub title: Option<String>,
    pub option_values: OptionValues,
    pub price_minor: i64,
    pub compare_at_minor: Option<i64>,
    pub barcode: Option<String>,
    pub weight_grams: i32,
    pub requires_shipping: bool,
    pub taxable: bool,
    pub backorder: bool,
    pub on_hand: i64,
    /// After the others when it is not given.
    pub position: Option<i32>,
    pub image_url: Option<String>,
}

/// A change of a variant; `None` leaves things as they are.
#[derive(Clone, Debug, Default)]
pub struct VariantPatch {
    pub sku: Option<Option<String>>,
    pub title: Option<String>,
    pub option_values: Option<OptionValues>,
    pub price_minor: Option<i64>,
    pub compare_at_minor: Option<Option<i64>>,
    pub barcode: Option<Option<String>>,
    pub weight_grams: Option<i32>,
    pub requires_shipping: Option<bool>,
    pub taxable: Option<bool>,
    pub backorder: Option<bool>,
    pub position: Option<i32>,
    pub image_url: Option<Option<String>>,
}
