//! The rules of an order, without a database or a network: its states, how a cart becomes lines and a
//! sum, ids that two attempts at one checkout agree on, what a part of an order is worth, and what an address
//! looks like.

mod address;
mod identity;
mod people;
mod quote;
mod reversal;
mod status;
mod text;
mod worth;

pub use address::{PostalAddress, Tracking};
pub use identity::{guest_token, order_id, payment_id, token_hash};
pub use people::{Actor, Buyer, Viewer, customer_scope};
pub use quote::{Quote, QuotedLine, quote};
pub use reversal::{RefundState, ReversalKind, ReversalStatus, Verdict};
pub use status::OrderStatus;
pub use text::{email as an_email, storable, visible_words};
pub use worth::{BoughtLine, Excess, Quantities, excesses, takes_all, worth};

use chrono::{DateTime, SubsecRound as _, Utc};

/// The present, to the microsecond that PostgreSQL keeps, so that an event and its row agree.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
