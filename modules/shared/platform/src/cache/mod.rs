//! What may vanish: counters and copies, in Redis when there is one, and in the process.
//!
//! Losing all of it costs speed and nothing else. [`Redis`] is the way there, behind a gate that closes
//! when Redis does not answer; [`Counters`] and [`Throttle`] count attempts; [`Copies`] keeps what was
//! read elsewhere, in memory and in Redis, and [`Lists`] pages of it.

mod codec;
mod copies;
mod counters;
mod gate;
mod link;
mod lists;
mod redis;
mod remote;
mod stamps;
mod throttle;

pub use codec::Codec;
pub use copies::{Copies, CopiesConfig};
pub use counters::Counters;
pub use lists::{Listed, Lists};
pub use redis::Redis;
pub use throttle::Throttle;
