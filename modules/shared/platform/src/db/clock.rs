//! The database's time without asking for it each time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// How long an answer is reckoned on with. A steady clock strays by less than a millisecond in that time; a failover
/// may lead to a server whose clock differs.
const TRUST: Duration = Duration::from_secs(5);

/// The last time that was asked for, and when. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock(Arc<Mutex<Option<Reading>>>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    told: DateTime<Utc>,
    at: Instant,
}

impl Clock {
    /// The time now, if it can be reckoned from the last reading.
    pub(super) fn now(&self) -> Option<DateTime<Utc>> {
        let reading = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let passed = reading.at.elapsed();
        (passed < TRUST).then(|| reading.told + TimeDelta::from_std(passed).unwrap_or_default())
    }

    /// Sets it by an answer that arrived at `at`. So what is reckoned is never ahead of the database's time.
    pub(super) fn set(&self, told: DateTime<Utc>, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Reading { told, at });
    }

    /// It may be another's from now on.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_goes_on_by_itself_and_not_for_long() {
        let clock = Clock::default();
        assert_eq!(clock.now(), None);
        let told = "2020-01-01T00:00:00Z".parse().unwrap();
        clock.set(told, Instant::now());
        let now = clock.now().unwrap();
        assert!(now >= told && now < told + TimeDelta::seconds(4), "{now}");
        clock.set(told, Instant::now().checked_sub(TRUST).unwrap());
        assert_eq!(clock.now(), None);
        clock.set(told, Instant::now());
        clock.forget();
        assert_eq!(clock.now(), None);
    }
}
