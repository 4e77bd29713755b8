//! How the module's calls fail, and what each failure is to the caller.

use eshopz_kernel::{Fault, FaultKind};
use eshopz_platform::db::StoreError;
use eshopz_platform::http::ProblemCode;
use eshopz_product_api::Shortage;

use crate::domain::Status;

/// A failed call of this module.
#[derive(Debug, thiserror::Error)]
pub enum CartError {
    /// Absent or somebody else's.
    #[error("no such cart")]
    NoSuchCart,
    #[error("no such line in the cart")]
    NoSuchItem,
    #[error("the cart is {}", .0.as_str())]
    NotOpen(Status),
    #[error("the variant does not exist or is not on sale")]
    UnknownVariant,
    #[error("a cart has at most {max} lines")]
    TooManyLines { max: usize },
    #[error("a line has at most {max}")]
    QuantityTooLarge { max: i64 },
    #[error("{} of the variant wanted, {} available", .0.requested, .0.available)]
    InsufficientStock(Shortage),
    #[error("the shop sells in {shop}")]
    OtherCurrency { shop: String },
    /// Of another module, or of a precondition; it goes on as it is.
    #[error(transparent)]
    Passed(#[from] Fault),
    #[error(transparent)]
    Store(StoreError),
}

eshopz_platform::module_error!(CartError);

impl From<CartError> for Fault {
    fn from(error: CartError) -> Self {
        match error {
            CartError::NoSuchCart => Self::not_found("cart"),
            CartError::NoSuchItem => Self::not_found("line in this cart"),
            CartError::NotOpen(status) => Self::conflict("cart_not_open", not_open(status)),
            CartError::UnknownVariant => {
                Self::field("/variant_id", "unknown_variant", "There is no such variant, or it is not on sale.")
            }
            CartError::TooManyLines { max } => {
                Self::invalid("too_many_lines", format!("A cart has at most {max} lines.")).with("max_lines", max)
            }
            CartError::QuantityTooLarge { max } => {
                Self::field("/quantity", "range", format!("A line has at most {max}, with what is in it already."))
            }
            CartError::InsufficientStock(shortage) => insufficient_stock(shortage),
            CartError::OtherCurrency { shop } => {
                Self::field("/currency", "unsupported_currency", format!("The shop sells in {shop}."))
            }
            CartError::Passed(fault) => fault,
            CartError::Store(error) => error.into(),
        }
    }
}

const fn not_open(status: Status) -> &'static str {
    match status {
        Status::Ordered => "An order was made of this cart; take a new one.",
        Status::Open | Status::Abandoned => "This cart is closed; take a new one.",
    }
}

fn insufficient_stock(shortage: Shortage) -> Fault {
    let Shortage { variant_id, requested, available } = shortage;
    Fault::conflict("insufficient_stock", format!("{requested} are wanted in all, {available} are available."))
        .with("variant_id", variant_id)
        .with("available", available)
        .with("lines", [shortage])
}

/// The codes that only this module's endpoints answer with.
pub const PROBLEMS: &[ProblemCode] = &[
    ProblemCode::new("cart_not_open", FaultKind::Conflict, "The cart was ordered or abandoned and does not change."),
    ProblemCode::new(
        "insufficient_stock",
        FaultKind::Conflict,
        "Fewer are available than wanted; `lines` names each shortage, `available` how many there are.",
    ),
    ProblemCode::new("too_many_lines", FaultKind::Invalid, "The cart has as many lines as one may have."),
];
