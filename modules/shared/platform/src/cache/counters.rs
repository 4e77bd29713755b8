//! Counters that forget, and limits on top of them.
//!
//! Without Redis, or while it is away, the process counts for itself: a limit then holds per process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use deadpool_redis::redis::pipe;
use eshopz_kernel::Fault;
use moka::future::Cache as Memory;

use super::Redis;

/// Counters that forget. Clones share them.
#[derive(Clone)]
pub struct Counters {
    redis: Redis,
    memory: Memory<String, Arc<AtomicU64>>,
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counters").field("redis", &self.redis).finish_non_exhaustive()
    }
}

impl Counters {
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        // No window is longer than an hour.
        let memory = Memory::builder().max_capacity(100_000).time_to_live(Duration::from_secs(3_600)).build();
        Self { redis, memory }
    }

    /// Adds to a counter that begins anew after `window_seconds`, and gives its new value.
    pub async fn add(&self, key: &str, by: u64, window_seconds: u64) -> u64 {
        let key = format!("eshopz:{key}:{}", window(window_seconds));
        let mut commands = pipe();
        commands.cmd("INCRBY").arg(&key).arg(by).cmd("EXPIRE").arg(&key).arg(window_seconds.max(1)).ignore();
        if let Ok((count,)) = self.redis.ask::<(u64,)>(&commands).await {
            return count;
        }
        let counter = self.memory.get_with(key, async { Arc::default() }).await;
        counter.fetch_add(by, Ordering::Relaxed) + by
    }
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn window(seconds: u64) -> u64 {
    now_seconds() / seconds.max(1)
}

/// At most so many in a window of time.
#[derive(Clone, Debug)]
pub struct Throttle {
    counters: Counters,
    name: &'static str,
    limit: u64,
    window_seconds: u64,
}

impl Throttle {
    #[must_use]
    pub const fn new(counters: Counters, name: &'static str, limit: u64, window_seconds: u64) -> Self {
        Self { counters, name, limit, window_seconds }
    }

    /// Counts one and refuses when it is one too many.
    ///
    /// # Errors
    /// 429 `rate_limited` with the seconds until the window ends.
    pub async fn hit(&self, key: &str) -> Result<(), Fault> {
        self.add(key, 1).await
    }

    /// Refuses when the limit was reached before, without counting.
    ///
    /// # Errors
    /// 429 `rate_limited` with the seconds until the window ends.
    pub async fn check(&self, key: &str) -> Result<(), Fault> {
        let count = self.counters.add(&self.key(key), 0, self.window_seconds).await;
        if count >= self.limit { Err(self.refusal()) } else { Ok(()) }
    }

    async fn add(&self, key: &str, by: u64) -> Result<(), Fault> {
        let count = self.counters.add(&self.key(key), by, self.window_seconds).await;
        if count > self.limit { Err(self.refusal()) } else { Ok(()) }
    }

    fn key(&self, key: &str) -> String {
        format!("throttle:{}:{key}", self.name)
    }

    fn refusal(&self) -> Fault {
        let left = self.window_seconds - now_seconds() % self.window_seconds.max(1);
        let left = u32::try_from(left).unwrap_or(60);
        Fault::too_many(format!("Too many attempts. Try again in {left} seconds."), left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_throttle_refuses_past_its_limit() {
        let throttle = Throttle::new(Counters::new(Redis::none()), "test", 2, 3_600);
        assert!(throttle.check("a").await.is_ok());
        assert!(throttle.hit("a").await.is_ok());
        assert!(throttle.hit("a").await.is_ok());
        assert!(throttle.check("a").await.is_err());
        assert!(throttle.hit("a").await.unwrap_err().retry_after.is_some());
        assert!(throttle.hit("b").await.is_ok());
    }
}
