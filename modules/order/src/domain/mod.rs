//! The rules of an order, without a database or a network: its states, how a cart becomes lines and a
//! sum, ids that two attempts at one checkout agree on, and what an address looks like.

mod address;
mod identity;
mod people;
mod quote;
mod status;
mod text;

pub use address::{PostalAddress, Tracking};
pub use identity::{guest_token, order_id, payment_id, token_hash};
pub use people::{Actor, Buyer, Viewer, customer_scope};
pub use quote::{Quote, QuotedLine, quote};
pub use status::OrderStatus;
pub use text::{storable, visible_words};

use chrono::{DateTime, SubsecRound as _, Utc};

/// The present, to the microsecond that PostgreSQL keeps, so that an event and its row agree.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
