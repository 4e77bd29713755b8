//! Why a row is refused: each reason with a stable code and a sentence for the merchant.

use eshopz_kernel::money::PriceError;
use serde::Serialize;
use utoipa::ToSchema;

/// A reason for which a row does not go in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the row has no handle")]
    NoHandle,
    #[error("the handle cannot be one: it has no letter or digit, is too long, is an id, or is `import` or `export`")]
    BadHandle,
    #[error("the row holds a NUL character, which is not text")]
    NulCharacter,
    #[error("the title of a new product is missing on its first row")]
    TitleMissing,
    #[error("`{column}` is longer than {limit} characters")]
    TooLong { column: &'static str, limit: usize },
    #[error("`{column}` has too many tags that are not closed; close each, or leave formatting out")]
    TangledHtml { column: &'static str },
    #[error("`Tags` holds more than {limit} tags")]
    TooManyTags { limit: usize },
    #[error("`Status` is `{value}`; it is active, draft or archived")]
    BadStatus { value: String },
    #[error("`{column}` is `{value}`; it is true or false")]
    NotABoolean { column: &'static str, value: String },
    #[error("price is missing")]
    PriceMissing,
    #[error("`{column}` is `{value}`, which {why}")]
    BadPrice { column: &'static str, value: String, why: PriceError },
    #[error("`{column}` is `{value}`, which is not a whole number that the shop can hold")]
    BadNumber { column: &'static str, value: String },
    #[error("the quantity is negative, and the variant is not sold beyond its stock")]
    NegativeQuantity,
    #[error("`Variant Inventory Policy` is `{value}`; it is deny or continue")]
    BadPolicy { value: String },
    #[error("`{column}` is no address of the web; it begins with http:// or https:// and has no spaces, quotes or `<`")]
    BadImage { column: &'static str },
    #[error("the product has the option `{name}`, and the row has no value for it")]
    OptionValueMissing { name: String },
    #[error("the row has a value for option {number}, and the product has no such option")]
    OptionUnknown { number: usize },
    #[error("the row calls option {number} `{given}`, and the product calls it `{known}`")]
    OptionMismatch { number: usize, given: String, known: String },
    #[error("two options of the product have the same name")]
    OptionNamesRepeat,
    #[error("the options differ from those of the product in the shop, which has variants that the file does not name")]
    OptionsDiffer,
    #[error("the option values `{values}` are taken by row {row}")]
    VariantRepeats { values: String, row: u64 },
    #[error("the option values `{values}` are taken by another variant of the product")]
    VariantTaken { values: String },
    #[error("the product would have more than {limit} variants")]
    TooManyVariants { limit: usize },
    #[error("the product would have more than {limit} images")]
    TooManyImages { limit: usize },
    #[error("the SKU is used by row {row}")]
    SkuRepeats { row: u64 },
    #[error("the SKU belongs to another variant in the shop")]
    SkuTaken,
    #[error("the quantity is below the {reserved} that orders have reserved")]
    BelowReserved { reserved: i64 },
    #[error("the product is not made, since none of its variants could go in")]
    ProductRefused,
    #[error("the row has neither a variant nor an image")]
    NothingToImport,
}

impl Reason {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoHandle => "handle_missing",
            Self::BadHandle => "handle_invalid",
            Self::NulCharacter => "nul_character",
            Self::TitleMissing => "title_missing",
            Self::TooLong { .. } => "too_long",
            Self::TangledHtml { .. } => "html_tangled",
            Self::TooManyTags { .. } => "too_many_tags",
            Self::BadStatus { .. } => "status_invalid",
            Self::NotABoolean { .. } => "boolean_invalid",
            Self::PriceMissing => "price_missing",
            Self::BadPrice { .. } => "price_invalid",
            Self::BadNumber { .. } => "number_invalid",
            Self::NegativeQuantity => "quantity_negative",
            Self::BadPolicy { .. } => "policy_invalid",
            Self::BadImage { .. } => "image_invalid",
            Self::OptionValueMissing { .. } => "option_value_missing",
            Self::OptionUnknown { .. } => "option_unknown",
            Self::OptionMismatch { .. } => "option_mismatch",
            Self::OptionNamesRepeat => "option_names_repeat",
            Self::OptionsDiffer => "options_differ",
            Self::VariantRepeats { .. } | Self::VariantTaken { .. } => "variant_taken",
            Self::TooManyVariants { .. } => "too_many_variants",
            Self::TooManyImages { .. } => "too_many_images",
            Self::SkuRepeats { .. } | Self::SkuTaken => "duplicate_sku",
            Self::BelowReserved { .. } => "below_reserved",
            Self::ProductRefused => "product_refused",
            Self::NothingToImport => "nothing_to_import",
        }
    }
}

/// A row that did not go in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RefusedRow)]
pub struct Refusal {
    /// As a spreadsheet numbers it: the header is row 1.
    #[schema(example = 17)]
    pub row: u64,
    /// As the file has it; empty when that is what is wrong.
    #[schema(example = "classic-cotton-t-shirt")]
    pub handle: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "CCT-M")]
    pub sku: Option<String>,
    /// Stable; one meaning each.
    #[schema(example = "price_invalid")]
    pub reason_code: &'static str,
    /// The reason in a sentence.
    #[schema(example = "`Variant Price` is `abc`, which is not a number such as 19.99")]
    pub reason: String,
}

impl Refusal {
    /// A row with its reason.
    #[must_use]
    pub fn new(row: u64, handle: &str, sku: Option<&str>, reason: &Reason) -> Self {
        Self {
            row,
            handle: shortened(handle),
            sku: sku.filter(|sku| !sku.is_empty()).map(shortened),
            reason_code: reason.code(),
            reason: reason.to_string(),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "row {}", self.row)?;
        if !self.handle.is_empty() {
            write!(f, ", {}", self.handle)?;
        }
        if let Some(sku) = &self.sku {
            write!(f, " ({sku})")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// What is wrong may be a cell as long as a book; a report quotes the beginning.
pub(super) fn shortened(text: &str) -> String {
    const QUOTED: usize = 100;
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
