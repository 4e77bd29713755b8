//! Counters that forget, for limits on top of them ([`super::Throttle`]).
//!
//! What is counted is what happened in a window of time that slides: all of the present window, and of the one before
//! as much as still overlaps, taken as evenly spread. So a burst at the edge of a window is not let through twice, and
//! two numbers are kept for each key, not a time for each event. What does not fit is not counted: who asks too often
//! gets as much as the limit, not nothing.
//!
//! Without Redis, or while it is away, the process counts for itself: a limit then holds per process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use deadpool_redis::redis::{Pipeline, pipe};
use moka::future::Cache as Memory;

use super::Redis;

/// Counts one if it fits: `[present, before, whether it fits]`. The arguments are the window's number, 1 to count
/// and 0 to look only, the limit, what is left of the window and its length in milliseconds.
const TAKE: &str = "\
local seen = redis.call('HMGET', KEYS[1], 'window', 'present', 'before')
local now, left, length = tonumber(ARGV[1]), tonumber(ARGV[4]), tonumber(ARGV[5])
local window, present, before = tonumber(seen[1] or 0), tonumber(seen[2] or 0), tonumber(seen[3] or 0)
if now > window then
  before = now == window + 1 and present or 0
  window, present = now, 0
end
local fits = present + math.floor(before * left / length) < tonumber(ARGV[3])
if fits and ARGV[2] == '1' then
  present = present + 1
  redis.call('HSET', KEYS[1], 'window', window, 'present', present, 'before', before)
  redis.call('PEXPIRE', KEYS[1], 2 * length)
end
return {present, before, fits and 1 or 0}";

/// Counters that forget. Clones share them.
#[derive(Clone)]
pub struct Counters {
    redis: Redis,
    memory: Memory<String, Arc<Mutex<Windows>>>,
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counters").field("redis", &self.redis).finish_non_exhaustive()
    }
}

/// Whether to count, or only to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Count,
    Look,
}

/// Where the present is in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The number of the window, by the clock.
    number: u64,
    /// Whole milliseconds until its end, less than its length.
    left: u64,
    /// Milliseconds.
    length: u64,
}

impl Moment {
    pub(super) fn now(window_seconds: u64) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::at(u64::try_from(since.as_millis()).unwrap_or(u64::MAX), window_seconds)
    }

    fn at(millis: u64, window_seconds: u64) -> Self {
        let length = window_seconds.max(1).saturating_mul(1_000);
        Self { number: millis / length, left: length - 1 - millis % length, length }
    }
}

/// What was counted, and whether one more did fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    windows: Windows,
    pub(super) fits: bool,
}

/// What was counted in two windows that follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Windows {
    number: u64,
    present: u64,
    before: u64,
}

impl Windows {
    /// Moves on to the present window. That a clock was set back moves nothing.
    fn slide(&mut self, now: u64) {
        if now > self.number {
            self.before = if now == self.number + 1 { self.present } else { 0 };
            (self.number, self.present) = (now, 0);
        }
    }

    fn used(&self, moment: Moment) -> u64 {
        self.present + share(self.before, moment.left, moment.length)
    }

    fn take(&mut self, moment: Moment, limit: u64, ask: Ask) -> Count {
        self.slide(moment.number);
        let fits = self.used(moment) < limit;
        if fits && ask == Ask::Count {
            self.present += 1;
        }
        Count { windows: *self, fits }
    }
}

/// Of a count, as much as a part of the window has.
fn share(count: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(count) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

impl Count {
    /// How many more fit now.
    pub(super) fn remaining(&self, moment: Moment, limit: u64) -> u64 {
        limit.saturating_sub(self.windows.used(moment))
    }

    /// The time until one more fits, when none does: in this window once the one before has faded enough, or else in
    /// the next.
    pub(super) fn wait(&self, moment: Moment, limit: u64) -> Duration {
        let Windows { present, before, .. } = self.windows;
        // The longest rest of a window with which so many of the fading fit.
        let rest = |room: u64, fading: u64| {
            let room = u128::from(room) * u128::from(moment.length);
            u64::try_from(room.saturating_sub(1) / u128::from(fading.max(1))).unwrap_or(u64::MAX)
        };
        let millis = match limit.saturating_sub(present) {
            0 => moment.left + moment.length.saturating_sub(rest(limit, present)),
            room => moment.left.saturating_sub(rest(room, before)),
        };
        Duration::from_millis(millis)
    }
}

impl Moment {
    /// The time until the window's end.
    pub(super) const fn left(self) -> Duration {
        Duration::from_millis(self.left + 1)
    }
}

impl Counters {
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        // No window is longer than an hour, and two of them count.
        let memory = Memory::builder().max_capacity(100_000).time_to_idle(Duration::from_secs(7_200)).build();
        Self { redis, memory }
    }

    /// Counts one under this key, if it fits in the limit.
    pub(super) async fn take(&self, key: &str, moment: Moment, limit: u64, ask: Ask) -> Count {
        let key = named(key);
        if let Ok(((present, before, fits),)) = self.redis.ask::<(Told,)>(&script(&key, moment, limit, ask)).await {
            return Count { windows: Windows { number: moment.number, present, before }, fits: fits == 1 };
        }
        let windows = self.memory.get_with(key, async { Arc::default() }).await;
        windows.lock().unwrap_or_else(PoisonError::into_inner).take(moment, limit, ask)
    }

    /// Nothing was counted under this key.
    pub(super) async fn forget(&self, key: &str) {
        let key = named(key);
        self.memory.invalidate(&key).await;
        let mut commands = pipe();
        commands.cmd("UNLINK").arg(&key).ignore();
        // Redis may be away: then what it has counted ends with its window.
        let _ = self.redis.ask::<()>(&commands).await;
    }
}

/// Where a counter is kept, in Redis and in the process.
fn named(key: &str) -> String {
    format!("eshopz:{key}")
}

/// What [`TAKE`] gives.
type Told = (u64, u64, u8);

/// One question: it is one round trip.
fn script(key: &str, moment: Moment, limit: u64, ask: Ask) -> Pipeline {
    let mut commands = pipe();
    let command = commands.cmd("EVAL").arg(TAKE).arg(1).arg(key).arg(moment.number);
    command.arg(u8::from(ask == Ask::Count)).arg(limit).arg(moment.left).arg(moment.length);
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows of ten seconds, and `limit` in each.
    struct Clock {
        windows: Windows,
        limit: u64,
    }

    impl Clock {
        const fn new(limit: u64) -> Self {
            Self { windows: Windows { number: 0, present: 0, before: 0 }, limit }
        }

        fn take(&mut self, millis: u64) -> bool {
            self.windows.take(Moment::at(millis, 10), self.limit, Ask::Count).fits
        }

        /// How many of so many that come at once fit.
        fn burst(&mut self, millis: u64, many: usize) -> usize {
            (0..many).filter(|_| self.take(millis)).count()
        }

        fn wait(&mut self, millis: u64) -> u64 {
            let moment = Moment::at(millis, 10);
            let count = self.windows.take(moment, self.limit, Ask::Look);
            assert!(!count.fits && count.remaining(moment, self.limit) == 0);
            u64::try_from(count.wait(moment, self.limit).as_millis()).unwrap()
        }
    }

    #[test]
    fn a_burst_at_the_edge_of_a_window_gets_no_more_than_the_limit() {
        let mut clock = Clock::new(100);
        assert_eq!(clock.burst(19_990, 200), 100);
        assert_eq!(clock.burst(20_000, 200), 1, "the window before is nearly the present");
        assert_eq!(clock.burst(20_100, 200), 1);
        assert_eq!(clock.burst(25_000, 200), 49);
        assert_eq!(clock.burst(40_000, 200), 100, "after a pause there is all of it");
    }

    #[test]
    fn who_asks_too_often_gets_as_much_as_the_limit() {
        let mut clock = Clock::new(100);
        // Ten times as often as may be, for ten windows.
        let fitted = (10_000..110_000).step_by(10).filter(|millis| clock.take(*millis)).count();
        assert!((950..=1_100).contains(&fitted), "{fitted}");
    }

    #[test]
    fn the_wait_that_is_told_is_enough_and_no_longer_than_it_must_be() {
        for limit in [1, 2, 3, 10, 100, 1_200] {
            for begin in [10_000, 13_337, 19_999] {
                let mut clock = Clock::new(limit);
                let mut now = begin;
                for _ in 0..40 {
                    clock.burst(now, 5_000);
                    let wait = clock.wait(now);
                    assert!(!clock.take(now + wait - 1), "{limit} {begin} {now}: too long");
                    now += wait;
                    assert!(clock.take(now), "{limit} {begin} {now}: too short");
                }
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_back_frees_nothing() {
        let mut clock = Clock::new(2);
        assert_eq!(clock.burst(30_000, 5), 2);
        assert!(!clock.take(29_000) && !clock.take(5_000));
    }
}
