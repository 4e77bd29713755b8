//! The vocabulary that every module shares: ids, money, totals, pages, faults and events.
//!
//! Nothing here does IO, and nothing here knows a web framework or a database driver, so that the
//! `api` crates of the modules can depend on it and stay light.

pub mod country;
pub mod email;
pub mod event;
pub mod fault;
pub mod ids;
pub mod money;
pub mod page;
#[cfg(test)]
mod properties;
pub mod role;
pub mod text;
pub mod totals;

pub use event::{Event, EventEnvelope};
pub use fault::{Fault, FaultKind, FieldError, error_chain};
pub use ids::*;
pub use money::{Currency, Money};
pub use page::{Cursor, Page};
pub use role::Role;
pub use totals::{Pricing, Totals};
