//! How the module's calls fail, and what each failure is to the caller.

use eshopz_kernel::{Currency, Fault, FaultKind, OrderId};
use eshopz_platform::db::StoreError;
use eshopz_platform::http::ProblemCode;
use eshopz_product_api::Shortage;

/// A failed call of this module.
#[derive(Debug, thiserror::Error)]
pub enum ProductError {
    /// Absent, or not for everybody's eyes.
    #[error("no such {0}")]
    NotFound(&'static str),
    #[error("the handle is taken")]
    HandleTaken,
    #[error("the SKU is taken")]
    SkuTaken,
    #[error("another variant has these option values")]
    OptionValuesTaken,
    #[error("the category's slug is taken")]
    SlugTaken,
    #[error("a product keeps one variant at least")]
    LastVariant,
    #[error("the product has as many variants as one may have")]
    TooManyVariants { max: usize },
    /// How many are reserved, if that is known.
    #[error("more is reserved than would be left")]
    StockReserved(Option<i64>),
    #[error("too few of {} variants", .0.len())]
    InsufficientStock(Vec<Shortage>),
    #[error("order {0} holds other lines")]
    ReservationMismatch(OrderId),
    #[error("order {0} holds less than is given back")]
    ExceedsHolding(OrderId),
    #[error("order {0} never reserved anything")]
    NoReservation(OrderId),
    #[error("a category cannot be below itself")]
    CategoryCycle,
    #[error("the category has products or children")]
    CategoryInUse,
    #[error("no category of this slug, for {field}")]
    UnknownCategory { field: &'static str },
    #[error("the shop's currency is {shop}")]
    OtherCurrency { field: String, shop: Currency },
    #[error("{field} {message}")]
    Field { field: String, code: &'static str, message: String },
    /// Of a precondition or a cursor; it goes on as it is.
    #[error(transparent)]
    Passed(#[from] Fault),
    #[error(transparent)]
    Store(StoreError),
}

eshopz_platform::module_error!(ProductError);

impl ProductError {
    /// A field that is not valid.
    pub fn field(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self::Field { field: field.into(), code, message: message.into() }
    }

    /// What a broken constraint means, where it means something to the caller.
    #[must_use]
    pub fn by_constraint(self) -> Self {
        let Self::Store(error) = &self else { return self };
        match error.constraint() {
            Some("products_handle_key") => Self::HandleTaken,
            Some("variants_sku_key") => Self::SkuTaken,
            Some("variants_option_values_key") => Self::OptionValuesTaken,
            Some("categories_slug_key") => Self::SlugTaken,
            Some("stock_not_oversold") => Self::StockReserved(None),
            Some("products_category_fkey" | "categories_parent_fkey") => Self::CategoryInUse,
            Some(_) | None => self,
        }
    }
}

impl From<ProductError> for Fault {
    fn from(error: ProductError) -> Self {
        match error {
            ProductError::NotFound(what) => Self::not_found(what),
            ProductError::HandleTaken => Self::conflict("handle_taken", "Another product has this handle."),
            ProductError::SkuTaken => Self::conflict("sku_taken", "Another variant has this SKU."),
            ProductError::OptionValuesTaken => {
                Self::conflict("option_values_taken", "Another variant of the product has these option values.")
            }
            ProductError::SlugTaken => Self::conflict("slug_taken", "Another category has this slug."),
            ProductError::LastVariant => {
                Self::conflict("last_variant", "A product keeps one variant at least; archive the product instead.")
            }
            ProductError::TooManyVariants { max } => {
                Self::conflict("too_many_variants", format!("A product has at most {max} variants."))
            }
            ProductError::StockReserved(reserved) => stock_reserved(reserved),
            ProductError::InsufficientStock(lines) => {
                Self::conflict("insufficient_stock", "Fewer are available than wanted; `lines` names each shortage.")
                    .with("lines", lines)
            }
            ProductError::ReservationMismatch(order) => {
                Self::conflict("reservation_mismatch", format!("Order {order} holds other lines already."))
            }
            ProductError::ExceedsHolding(order) => {
                Self::conflict("exceeds_holding", format!("Order {order} holds less than is given back."))
            }
            ProductError::NoReservation(_) => Self::not_found("reservation"),
            ProductError::CategoryCycle => {
                Self::conflict("category_cycle", "A category cannot be below itself or one of its own children.")
            }
            ProductError::CategoryInUse => {
                Self::conflict("category_in_use", "The category has products or children; move them first.")
            }
            ProductError::UnknownCategory { field } => {
                Self::field(field, "unknown_category", "There is no category of this slug.")
            }
            ProductError::OtherCurrency { field, shop } => {
                Self::field(field, "currency", format!("The shop's prices are in {shop}."))
            }
            ProductError::Field { field, code, message } => Self::field(field, code, message),
            ProductError::Passed(fault) => fault,
            ProductError::Store(error) => error.into(),
        }
    }
}

fn stock_reserved(reserved: Option<i64>) -> Fault {
    let fault = Fault::conflict("stock_reserved", "Orders hold more of it than would be left.");
    match reserved {
        Some(reserved) => fault.with("reserved", reserved),
        None => fault,
    }
}

/// The codes that this module's endpoints answer with beside the common ones.
pub const PROBLEMS: &[ProblemCode] = &[
    ProblemCode::new("handle_taken", FaultKind::Conflict, "Another product has this handle."),
    ProblemCode::new("sku_taken", FaultKind::Conflict, "Another variant has this SKU."),
    ProblemCode::new("option_values_taken", FaultKind::Conflict, "A variant of the product has these option values."),
    ProblemCode::new("slug_taken", FaultKind::Conflict, "Another category has this slug."),
    ProblemCode::new("last_variant", FaultKind::Conflict, "A product keeps one variant at least."),
    ProblemCode::new("too_many_variants", FaultKind::Conflict, "The product has as many variants as one may have."),
    ProblemCode::new("stock_reserved", FaultKind::Conflict, "Orders hold more of the stock than would be left."),
    ProblemCode::new(
        "insufficient_stock",
        FaultKind::Conflict,
        "Fewer are available than wanted; `lines` names each shortage.",
    ),
    ProblemCode::new("reservation_mismatch", FaultKind::Conflict, "The order holds other lines already."),
    ProblemCode::new("exceeds_holding", FaultKind::Conflict, "The order holds less than is given back."),
    ProblemCode::new("category_cycle", FaultKind::Conflict, "A category cannot be below itself."),
    ProblemCode::new("category_in_use", FaultKind::Conflict, "The category has products or children."),
    ProblemCode::new(
        "not_a_product_csv",
        FaultKind::Invalid,
        "The file has no header, no column `Handle`, or a quote that never closes.",
    ),
];
