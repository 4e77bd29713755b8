//! Calls between processes of the shop: a module's contract over HTTP, so that nobody can tell.
//!
//! - [`Neighbour`] calls the methods of one module in another process: within the caller's deadline, over
//!   few kept HTTP/2 connections, reads a second time, and not at all while the other side is down.
//! - [`Methods`] turns a contract's methods into routes, [`guard`] lets nobody near them without a token
//!   of a [`ServiceKeys`], and [`Gate`] knows what is still at work when the process wants to stop.
//!
//! `POST /internal/v1/<module>/<method>` takes the arguments as JSON and answers 200 with the result, or
//! the [`eshopz_kernel::Fault`] whole, under its status and the header `x-eshopz-fault`. Whatever else
//! comes back did not come from the module.

mod attempt;
mod away;
mod breaker;
mod exchange;
mod gate;
mod keys;
mod lines;
mod neighbour;
mod protocol;
mod serve;
mod tuning;

pub use away::is_away;
pub use gate::{Gate, guard};
pub use keys::{SERVICE_ISSUER, ServiceClaims, ServiceKeys};
pub use neighbour::Neighbour;
pub use protocol::{DEADLINE, FAULT, LEAVING, NOT_TAKEN, PREFIX, TOKEN_INVALID};
pub use serve::{BODY_LIMIT, Methods, answer, unknown};
pub use tuning::{NeighbourConfig, Tuning};
