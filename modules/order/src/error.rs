//! How the module's calls fail, and what that is called outside.

use eshopz_kernel::{Fault, FaultKind, Money, OrderId};
use eshopz_platform::db::StoreError;
use eshopz_platform::events::postponed;
use eshopz_platform::http::ProblemCode;
use eshopz_product_api::Shortage;
use serde_json::json;
use uuid::Uuid;

use crate::domain::{Excess, OrderStatus, ReversalStatus};
use crate::service::TENDED;

/// A call to this module failed.
#[derive(Debug)]
pub enum OrderError {
    Store(StoreError),
    /// Another module refused, or could not be reached; it says so itself.
    Neighbour(Fault),
    /// The cart, or the order, is absent or not the caller's.
    NotFound(&'static str),
    /// A guest has no account to take the address from.
    EmailRequired,
    CartEmpty,
    /// The sum is not what the buyer expected to pay.
    CartChanged {
        total: Money,
    },
    /// The cart has made an order that goes elsewhere.
    CartOrdered {
        id: OrderId,
        number: String,
    },
    InsufficientStock(Vec<Shortage>),
    /// An unpaid order is cancelled whole or not at all.
    NotPaid,
    /// Only what has arrived can be returned.
    NotDelivered {
        status: OrderStatus,
    },
    /// More would come back than there is.
    ExceedsOrdered(Vec<Excess>),
    /// The return was decided, and not like this.
    ReturnDecided {
        status: ReversalStatus,
    },
    /// More would be refunded than the things were worth.
    RefundExceedsWorth {
        worth: Money,
    },
    /// In another currency, or less than nothing.
    BadRefund {
        currency: String,
    },
    InvalidTransition {
        from: OrderStatus,
    },
    /// Only admins look for other people's orders.
    AdminFilter,
    /// Another process had the effect of this idempotency key a moment ago.
    KeyInUse,
    /// A request is at work on it; the news of it come again later.
    Tended,
    /// The order is placed; what is left to do needs somebody who is away.
    Unfinished(Box<OrderError>),
    /// An event names an order that was never placed.
    UnknownOrder(Uuid),
    /// An event names a part of an order that was never taken back.
    UnknownReversal(Uuid),
}

impl OrderError {
    /// Whether the same call may succeed in a moment, since somebody is away.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_passing(),
            Self::Neighbour(fault) => fault.kind == FaultKind::Unavailable,
            Self::Unfinished(_) => true,
            _ => false,
        }
    }
}

impl From<OrderError> for Fault {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Store(error) => error.into(),
            OrderError::Neighbour(fault) => fault,
            OrderError::NotFound(what) => Self::not_found(what),
            OrderError::EmailRequired => Self::field("/email", "required", "is required when nobody is signed in"),
            OrderError::CartEmpty => {
                Self::conflict("cart_empty", "There is nothing in the cart. Put something in first.")
            }
            OrderError::CartChanged { total } => {
                Self::conflict("cart_changed", "The total is another than `expected_total`; see `total`.")
                    .with("total", total)
            }
            OrderError::CartOrdered { id, number } => {
                Self::conflict("cart_ordered", "The cart was ordered with another email or address; see `order`.")
                    .with("order", json!({"id": id, "number": number}))
            }
            OrderError::NotPaid => Self::conflict(
                "order_not_paid",
                "Lines can be cancelled once the order is paid. Until then it can only be cancelled as a whole.",
            ),
            OrderError::NotDelivered { status } => {
                Self::conflict("order_not_delivered", "Only what has arrived can be returned.")
                    .with("order_status", status)
            }
            OrderError::ExceedsOrdered(lines) => {
                Self::conflict("exceeds_ordered", "The order has less of it left; `lines` says how much.")
                    .with("lines", lines)
            }
            OrderError::ReturnDecided { status } => {
                Self::conflict("return_decided", "The return was decided before, and otherwise.")
                    .with("return_status", status.as_str())
            }
            OrderError::RefundExceedsWorth { worth } => {
                Self::conflict("refund_exceeds_worth", "No more is refunded than was paid for it; see `worth`.")
                    .with("worth", worth)
            }
            OrderError::BadRefund { currency } => {
                Self::field("/refund_amount", "range", format!("must be 0 or more, in {currency}"))
            }
            OrderError::InsufficientStock(lines) => {
                Self::conflict("insufficient_stock", "Not all of it can be supplied; `lines` says what is left.")
                    .with("lines", lines)
            }
            OrderError::InvalidTransition { from } => Self::conflict(
                "invalid_transition",
                format!("The order is {}; `allowed` lists the states that it can be taken to.", from.as_str()),
            )
            .with("order_status", from)
            .with("allowed", from.reachable()),
            OrderError::AdminFilter => Self::forbidden("forbidden", "Only admins filter by `email` or `customer_id`."),
            OrderError::KeyInUse => {
                let mut fault = Self::conflict(
                    "idempotency_in_progress",
                    "The first request with this Idempotency-Key still runs. Repeat this one in a moment.",
                );
                fault.retry_after = Some(1);
                fault
            }
            OrderError::Tended => postponed(TENDED),
            OrderError::Unfinished(error) => Self::unavailable(
                "The order is placed, but not all of it can be done now. Repeat the request with the same \
                 Idempotency-Key in a moment for its answer.",
                1,
            )
            .caused_by(error.to_string()),
            OrderError::UnknownOrder(id) => Self::internal(format!("there is no order {id}")),
            OrderError::UnknownReversal(id) => Self::internal(format!("no part {id} of an order was taken back")),
        }
    }
}

impl From<Fault> for OrderError {
    fn from(fault: Fault) -> Self {
        Self::Neighbour(fault)
    }
}

impl std::fmt::Display for OrderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Neighbour(fault) => fault.fmt(f),
            other => write!(f, "{other:?}"),
        }
    }
}

eshopz_platform::module_error!(OrderError);

/// The module's own codes, for the catalogue in its OpenAPI document. A declined payment comes with the
/// payment module's codes.
pub const PROBLEMS: &[ProblemCode] = &[
    ProblemCode::new("cart_empty", FaultKind::Conflict, "The cart that is to be ordered has no lines."),
    ProblemCode::new("cart_changed", FaultKind::Conflict, "The total is not `expected_total`; `total` has it."),
    ProblemCode::new(
        "cart_ordered",
        FaultKind::Conflict,
        "The cart was ordered with another email or address; `order` has the `id` and `number`.",
    ),
    ProblemCode::new("order_not_paid", FaultKind::Conflict, "An unpaid order can only be cancelled as a whole."),
    ProblemCode::new("order_not_delivered", FaultKind::Conflict, "Only what has arrived can be returned."),
    ProblemCode::new(
        "exceeds_ordered",
        FaultKind::Conflict,
        "More would come back than is left; `lines` has `variant_id`, `requested` and `left` of each.",
    ),
    ProblemCode::new("return_decided", FaultKind::Conflict, "The return was decided before, and otherwise."),
    ProblemCode::new(
        "refund_exceeds_worth",
        FaultKind::Conflict,
        "More would be refunded than was paid for the things; `worth` has that.",
    ),
    ProblemCode::new(
        "insufficient_stock",
        FaultKind::Conflict,
        "Lines cannot be supplied; `lines` has `variant_id`, `requested` and `available` of each.",
    ),
    ProblemCode::new(
        "invalid_transition",
        FaultKind::Conflict,
        "The order cannot be taken to that state; `allowed` lists those it can be taken to.",
    ),
];
