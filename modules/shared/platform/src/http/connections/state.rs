//! What is known of a connection, changed by its requests without a lock.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What times are told from.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// In place of a time, in nanoseconds.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct State {
    /// Since when there is no request; never while one is served.
    pub(super) silent_since: Moment,
    /// Since when a body has not come on; never while none is to come.
    pub(super) receiving_since: Moment,
    /// Until when something of what was given to it of its answers has to be read; never while there is room for
    /// more.
    pub(super) read_by: Moment,
    /// Requests that are served. Over HTTP/2 there may be many at once.
    running: AtomicUsize,
    /// Answers of which a part is given and not known to be read.
    unread: AtomicUsize,
}

/// A time, or never.
#[derive(Debug)]
pub(super) struct Moment(AtomicU64);

impl State {
    pub(super) fn new() -> Self {
        Self {
            silent_since: Moment::at(Some(Instant::now())),
            receiving_since: Moment::at(None),
            read_by: Moment::at(None),
            running: AtomicUsize::new(0),
            unread: AtomicUsize::new(0),
        }
    }

    /// Since when nothing has come that has to come next; never while the shop is at work for it.
    pub(super) fn waited_since(&self) -> Option<Instant> {
        self.silent_since.get().or_else(|| self.receiving_since.get())
    }

    /// Requests that are served.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// A request has come; how many there were before it.
    pub(super) fn begin(&self) -> usize {
        self.silent_since.set(None);
        self.running.fetch_add(1, Ordering::Relaxed)
    }

    /// A request is done with.
    pub(super) fn end(&self) {
        if self.running.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.silent_since.set(Some(Instant::now()));
        }
    }

    /// A part of an answer is given, the first one after all before it was read.
    pub(super) fn give(&self, until: Instant) {
        // One that comes later makes nobody read sooner.
        if self.unread.fetch_add(1, Ordering::Relaxed) == 0 {
            self.read_by.set(Some(until));
        }
    }

    /// What was given of an answer is read, and the next part is given.
    pub(super) fn go_on(&self, until: Instant) {
        self.read_by.set(Some(until));
    }

    /// What was given of an answer is read, or nobody wants it any more.
    pub(super) fn take(&self, until: Instant) {
        let last = self.unread.fetch_sub(1, Ordering::Relaxed) == 1;
        self.read_by.set((!last).then_some(until));
    }
}

impl Moment {
    fn at(time: Option<Instant>) -> Self {
        let moment = Self(AtomicU64::new(NEVER));
        moment.set(time);
        moment
    }

    pub(super) fn set(&self, time: Option<Instant>) {
        let nanos = time.map(|time| time.saturating_duration_since(*BEGAN).as_nanos());
        self.0.store(nanos.and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or(NEVER), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<Instant> {
        let nanos = self.0.load(Ordering::Relaxed);
        (nanos != NEVER).then(|| *BEGAN + Duration::from_nanos(nanos))
    }
}
