//! The module's statements, one per function. Whoever changes a payment or its ledger locks the
//! payment's row first, and other rows after it, so that two of them never wait for each other.

pub mod columns;
pub mod comparison;
pub mod export;
pub mod fresh;
pub mod ledger;
pub mod lists;
pub mod open;
pub mod payments;
pub mod replaced;
pub mod webhooks;

pub use ledger::{Movement, NewMovement};
pub use payments::Payment;
