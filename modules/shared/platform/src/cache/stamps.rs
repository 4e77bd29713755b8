//! When keys were last forgotten, so that what was read before is told from what was read after.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys share counters; that a neighbour was forgotten costs one more load.
const COUNTERS: usize = 1_024;

/// A point in the history of a key. A later one is not less in either part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    all: u64,
    key: u64,
}

impl Stamp {
    /// Whether what was read at this point may answer somebody who came at `other`.
    pub(super) const fn is_since(self, other: Self) -> bool {
        self.all >= other.all && self.key >= other.key
    }
}

pub(super) struct Stamps {
    all: AtomicU64,
    keys: Box<[AtomicU64]>,
}

impl Default for Stamps {
    fn default() -> Self {
        Self { all: AtomicU64::default(), keys: (0..COUNTERS).map(|_| AtomicU64::default()).collect() }
    }
}

/// All counters as they were once.
pub(super) struct Moment {
    all: u64,
    keys: Box<[u64]>,
}

/// The counters of some keys as they were once.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    all: u64,
    keys: Box<[(usize, u64)]>,
}

impl Moment {
    /// What of it belongs to these keys.
    pub(super) fn watch(&self, keys: &[String]) -> Watch {
        let at = |key: &String| {
            let index = index(key);
            (index, self.keys.get(index).copied().unwrap_or(0))
        };
        Watch { all: self.all, keys: keys.iter().map(at).collect() }
    }
}

impl Watch {
    /// In bytes.
    pub(super) fn weight(&self) -> u32 {
        u32::try_from(size_of_val(&*self.keys)).unwrap_or(u32::MAX)
    }
}

impl Stamps {
    /// Now, of all keys.
    pub(super) fn moment(&self) -> Moment {
        let keys = self.keys.iter().map(|counter| counter.load(Ordering::SeqCst)).collect();
        Moment { all: self.all.load(Ordering::SeqCst), keys }
    }

    /// Whether none of its keys was forgotten since then.
    pub(super) fn is_unchanged(&self, watch: &Watch) -> bool {
        let is_same = |(index, then): &(usize, u64)| {
            self.keys.get(*index).is_some_and(|counter| counter.load(Ordering::SeqCst) == *then)
        };
        self.all.load(Ordering::SeqCst) == watch.all && watch.keys.iter().all(is_same)
    }

    /// Now.
    pub(super) fn of(&self, key: &str) -> Stamp {
        let key = self.counter(key).map_or(0, |counter| counter.load(Ordering::SeqCst));
        Stamp { all: self.all.load(Ordering::SeqCst), key }
    }

    pub(super) fn forget(&self, key: &str) {
        if let Some(counter) = self.counter(key) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(super) fn forget_all(&self) {
        self.all.fetch_add(1, Ordering::SeqCst);
    }

    fn counter(&self, key: &str) -> Option<&AtomicU64> {
        self.keys.get(index(key))
    }
}

/// Of a key's counter.
fn index(key: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let index = hasher.finish() % u64::try_from(COUNTERS).unwrap_or(1);
    usize::try_from(index).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_is_not_since() {
        let stamps = Stamps::default();
        let before = stamps.of("a");
        assert!(stamps.of("a").is_since(before));
        stamps.forget("a");
        assert!(!before.is_since(stamps.of("a")));
        let between = stamps.of("a");
        stamps.forget_all();
        assert!(!between.is_since(stamps.of("a")) && stamps.of("a").is_since(between));
    }
}
