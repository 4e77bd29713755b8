//! Payments as pure types: their state and what moves it, the ledger's vocabulary, reasons of refusal.

pub mod declines;
pub mod ledger;
pub mod state;

pub use ledger::{Failure, Method, TransactionKind, TransactionStatus};
pub use state::{Effect, Fact, PaymentState, Refusal};

use eshopz_payment_api::PaymentStatus;

/// The name of a status on the wire and in the database.
#[must_use]
pub const fn status_name(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::RequiresPaymentMethod => "requires_payment_method",
        PaymentStatus::RequiresAction => "requires_action",
        PaymentStatus::Processing => "processing",
        PaymentStatus::Authorized => "authorized",
        PaymentStatus::Succeeded => "succeeded",
        PaymentStatus::Failed => "failed",
        PaymentStatus::Cancelled => "cancelled",
    }
}

/// Reads a name as [`status_name`] writes it.
#[must_use]
pub fn status_named(name: &str) -> Option<PaymentStatus> {
    [
        PaymentStatus::RequiresPaymentMethod,
        PaymentStatus::RequiresAction,
        PaymentStatus::Processing,
        PaymentStatus::Authorized,
        PaymentStatus::Succeeded,
        PaymentStatus::Failed,
        PaymentStatus::Cancelled,
    ]
    .into_iter()
    .find(|status| status_name(*status) == name)
}
