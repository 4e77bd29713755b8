//! Whether Redis is asked at all, and what it has to forget before it is asked again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The most keys that are remembered while Redis is away.
const OWED_AT_MOST: usize = 50_000;

/// Open while Redis answers.
#[derive(Debug, Default)]
pub(super) struct Gate {
    closed: AtomicBool,
    owed: Mutex<Owed>,
}

/// Copies that have to go before Redis may be trusted again.
#[derive(Debug, Default)]
struct Owed {
    keys: HashSet<String>,
    /// By then each has ended by itself.
    until: Option<Instant>,
    /// There were too many to remember: they have to end by themselves.
    too_many: bool,
}

/// What is left to do before the gate opens.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Return {
    /// It is open now.
    Done,
    /// These have to be deleted first, if it is not this time yet.
    Forget(Vec<String>, Instant),
    /// Copies have to end by themselves first.
    Wait,
}

impl Gate {
    pub(super) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// Closes it; whether it was open.
    pub(super) fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }

    /// Remembers copies that could not be deleted, none of which lives longer than `until`. The gate
    /// has to be closed afterwards, so that somebody pays.
    pub(super) fn owe(&self, keys: impl IntoIterator<Item = String>, until: Instant) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        owed.keys.extend(keys);
        owed.until = owed.until.max(Some(until));
        if owed.keys.len() > OWED_AT_MOST {
            owed.keys.clear();
            owed.too_many = true;
        }
    }

    /// Opens it if nothing is owed. Under the lock, so that what is owed meanwhile is not passed over.
    pub(super) fn try_open(&self) -> Return {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = owed.until.filter(|until| *until > Instant::now()) {
            if owed.too_many {
                return Return::Wait;
            }
            if !owed.keys.is_empty() {
                let mut keys: Vec<String> = owed.keys.drain().collect();
                // Leases before what is stored under them; they begin with a brace, which is above all letters.
                keys.sort_unstable_by(|one, next| next.cmp(one));
                return Return::Forget(keys, until);
            }
        }
        *owed = Owed::default();
        self.closed.store(false, Ordering::Release);
        Return::Done
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn it_opens_when_nothing_is_owed_any_more() {
        let gate = Gate::default();
        assert!(gate.is_open() && gate.close() && !gate.close() && !gate.is_open());
        let until = later();
        gate.owe(["a".to_owned()], until);
        assert_eq!(gate.try_open(), Return::Forget(vec!["a".to_owned()], until));
        assert!(!gate.is_open());
        assert_eq!(gate.try_open(), Return::Done);
        assert!(gate.is_open());
    }

    #[test]
    fn what_has_ended_is_not_owed() {
        let gate = Gate::default();
        gate.close();
        gate.owe(["a".to_owned()], Instant::now());
        assert_eq!(gate.try_open(), Return::Done);
    }

    #[test]
    fn more_than_can_be_remembered_is_waited_out() {
        let gate = Gate::default();
        gate.close();
        gate.owe((0..=OWED_AT_MOST).map(|key| key.to_string()), later());
        assert_eq!(gate.try_open(), Return::Wait);
        assert!(!gate.is_open());
    }
}
