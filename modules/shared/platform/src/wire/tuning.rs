//! What a client of a neighbour is told when it is made.

use std::time::Duration;

use super::keys::ServiceKeys;

/// Whom to call, and as whom.
#[derive(Clone, Debug)]
pub struct NeighbourConfig {
    /// The called module.
    pub module: &'static str,
    /// The module or process that calls; the called one logs it.
    pub caller: String,
    /// Of its internal listener, `http://host:port`.
    pub url: String,
    pub keys: ServiceKeys,
    pub tuning: Tuning,
}

/// How patient to be.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The longest that a read may take, its repetition included.
    pub read: Duration,
    /// The longest that a write may take.
    pub write: Duration,
    /// The longest that opening a connection may take.
    pub connect: Duration,
    /// Connections to it. Each is served by one of its workers.
    pub connections: usize,
    /// A connection is made anew after this, give or take a fifth, so that calls come to reach every
    /// process behind a name.
    pub connection_life: Duration,
    /// So many failures of the way there, one after the other, open the breaker …
    pub breaker_failures: u32,
    /// … and one call is let through in each such span, to see.
    pub breaker_pause: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            read: Duration::from_secs(5),
            write: Duration::from_secs(10),
            connect: Duration::from_secs(1),
            connections: 2,
            connection_life: Duration::from_secs(60),
            breaker_failures: 5,
            breaker_pause: Duration::from_millis(500),
        }
    }
}
