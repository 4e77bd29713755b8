//! How a relay works: how often it looks, how much it does at once, when it tries again.

use std::time::Duration;

/// How a relay works.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The time between two looks when no notification comes.
    pub poll_interval: Duration,
    /// Rows per statement.
    pub batch: u32,
    /// How long a delivery is ours without a sign of life: what a killed process held comes free after this.
    pub lease: Duration,
    /// How long a listener may take. Its lease is moved on meanwhile.
    pub handler_limit: Duration,
    /// After so many attempts a delivery is a dead letter.
    pub max_attempts: i32,
    /// Deliveries to one listener at once.
    pub concurrency: usize,
    /// The pause after the first failure, give or take; it triples with each one after.
    pub retry_base: Duration,
    /// The longest pause.
    pub retry_cap: Duration,
    /// The longest pause while a listener is away; then no event is at fault, so all go on soon after it is back.
    pub away_cap: Duration,
    /// How long running deliveries may take when the relay is told to stop.
    pub drain: Duration,
}

impl Default for RelayConfig {
    /// Twelve attempts within about four hours.
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(1),
            batch: 64,
            lease: Duration::from_secs(6),
            handler_limit: Duration::from_secs(30),
            max_attempts: 12,
            concurrency: 8,
            retry_base: Duration::from_secs(1),
            retry_cap: Duration::from_secs(3_600),
            away_cap: Duration::from_secs(15),
            drain: Duration::from_secs(10),
        }
    }
}
