//! What one row says about the product, the variant and the image, or why it is refused.
//!
//! A cell is `None` when the file has no such column: what is in the shop then stays. An empty cell of
//! a column that is there means empty.

use super::refusal::Reason;

/// The longest handle, title and other short text, in characters.
pub const SHORT: usize = 255;
/// A category's names or slugs from the root down, each of which is short.
pub const PATH: usize = 2_000;
/// The longest alternative text of an image, in characters.
pub const ALT: usize = 1_000;
/// The longest address of an image, in characters.
pub const ADDRESS: usize = 2_048;
/// The most tags of a product.
pub const TAGS: usize = 250;
/// The longest cell of tags, in bytes: each of [`SHORT`], of the widest letters, with its quotes doubled.
pub const TAGS_BYTES: usize = TAGS * (SHORT * 4 + 4) * 2;
/// The largest quantity.
pub const LARGEST_QUANTITY: i64 = 1_000_000_000;
/// The heaviest weight, in grams.
pub const LARGEST_WEIGHT: i64 = 100_000_000;
/// The largest price, in minor units.
pub const LARGEST_PRICE: i64 = 10_000_000_000;

/// A row as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    Line(Box<Line>),
    /// Without a handle that could be used.
    Refused {
        handle: String,
        reason: Reason,
    },
    /// Nothing in any cell.
    Blank,
}

/// A row with a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// As a spreadsheet numbers it: the header is row 1.
    pub row: u64,
    pub handle: String,
    /// For the report, also of a refused row.
    pub sku: Option<String>,
    /// What it says about the product; it counts on the first row of a handle only.
    pub product: Result<ProductCells, Reason>,
    pub content: Result<LineContent, Reason>,
}

/// What a row adds to its product.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineContent {
    pub variant: Option<VariantCells>,
    pub image: Option<ImageCells>,
}

/// A product as a row describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductCells {
    pub title: String,
    pub body: Option<String>,
    pub vendor: Option<String>,
    pub product_type: Option<String>,
    pub tags: Option<Vec<String>>,
    pub status: Option<Visibility>,
    /// Names from the root down.
    pub category: Vec<String>,
    /// Slugs to the names, if the file has them.
    pub category_slugs: Vec<String>,
    /// Names of the options; empty where the row gives none.
    pub option_names: [String; 3],
}

/// Whether a product is for sale, as far as a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    Active,
    Draft,
    Archived,
    /// `Published` without a `Status`: for sale, unless it has been archived in the shop since.
    Published,
    /// The opposite.
    Unpublished,
}

/// A variant as a row describes it. Amounts are minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VariantCells {
    /// Empty where the row has none.
    pub option_values: [String; 3],
    pub sku: Option<String>,
    pub price: Option<i64>,
    pub compare_at: Option<Option<i64>>,
    pub barcode: Option<String>,
    pub grams: Option<i64>,
    pub requires_shipping: Option<bool>,
    pub taxable: Option<bool>,
    /// Sold beyond its stock.
    pub backorder: Option<bool>,
    pub quantity: Option<i64>,
    pub image: Option<String>,
}

/// An image as a row describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageCells {
    pub url: String,
    /// From 1; without one it comes last.
    pub position: Option<i32>,
    pub alt: Option<String>,
}
