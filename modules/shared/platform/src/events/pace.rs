//! When a relay looks for work: at once when woken, often while there is some, seldom when there is none.

use std::time::Duration;

use tokio::time::Instant;

/// The time between two looks while there is work: long enough for a batch to gather.
pub(super) const SHORTEST: Duration = Duration::from_millis(10);
/// By how much the pause grows with each look that finds nothing.
const GROWTH: u32 = 4;

/// The time of the next look.
#[derive(Debug)]
pub(super) struct Pace {
    next: Instant,
    last: Option<Instant>,
    pause: Duration,
    longest: Duration,
}

impl Pace {
    /// Begins with a look at once; `longest` is the pause when nothing happens.
    pub(super) fn new(longest: Duration, now: Instant) -> Self {
        let longest = longest.max(Duration::from_millis(1));
        Self { next: now, last: None, pause: SHORTEST.min(longest), longest }
    }

    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// Something was committed. The looks after the next are close together as well, because of
    /// transactions that commit at the same time only one gives notice.
    pub(super) fn woken(&mut self, now: Instant) {
        self.pause = SHORTEST.min(self.longest);
        let soonest = self.last.map_or(now, |last| last + SHORTEST);
        self.next = self.next.min(soonest);
    }

    /// There is something for certain.
    pub(super) fn at_once(&mut self, now: Instant) {
        self.next = now;
    }

    /// A look has been taken, and found something or not.
    pub(super) fn looked(&mut self, found: bool, now: Instant) {
        self.last = Some(now);
        if found {
            self.pause = SHORTEST.min(self.longest);
        }
        self.next = now + self.pause;
        self.pause = (self.pause * GROWTH).min(self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_grow_apart_until_something_is_found_or_told() {
        let now = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(1), now);
        assert!(pace.is_due(now));
        let mut pauses = Vec::new();
        for _ in 0..6 {
            pace.looked(false, now);
            pauses.push((pace.next() - now).as_millis());
        }
        assert_eq!(pauses, [10, 40, 160, 640, 1_000, 1_000]);
        pace.looked(true, now);
        assert_eq!(pace.next(), now + SHORTEST);
        pace.looked(false, now);
        assert!(pace.next() > now + SHORTEST);
        pace.woken(now);
        assert_eq!(pace.next(), now + SHORTEST);
        pace.at_once(now);
        assert!(pace.is_due(now));
    }
}
