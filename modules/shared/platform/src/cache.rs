//! What may vanish: counters and copies, in Redis when there is one, else in the process.
//!
//! Losing all of it costs speed and nothing else, so a Redis that does not answer is treated like a
//! miss, and counters go on in the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use deadpool_redis::redis::AsyncCommands as _;
use deadpool_redis::{Config, Pool, Runtime};
use eshopz_kernel::Fault;
use moka::future::Cache as Memory;

/// How long a Redis command may take before it counts as failed.
const REDIS_PATIENCE: Duration = Duration::from_millis(250);

/// Counters that forget.
#[derive(Clone)]
pub struct Counters {
    redis: Option<Pool>,
    memory: Memory<String, Arc<AtomicU64>>,
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counters").field("redis", &self.redis.is_some()).finish_non_exhaustive()
    }
}

impl Counters {
    /// Counters in the process, or in Redis when a URL is given.
    ///
    /// # Errors
    /// Internal, when the URL cannot be read. Whether Redis answers is not tried here.
    pub fn new(redis_url: Option<&str>) -> Result<Self, Fault> {
        let redis = redis_url
            .map(|url| {
                let mut config = Config::from_url(url);
                config.pool = Some(deadpool_redis::PoolConfig::new(8));
                config.create_pool(Some(Runtime::Tokio1))
            })
            .transpose()
            .map_err(|error| Fault::internal("Redis URL").caused_by(error))?;
        // No window is longer than an hour.
        let memory = Memory::builder().max_capacity(100_000).time_to_live(Duration::from_secs(3_600)).build();
        Ok(Self { redis, memory })
    }

    /// Adds to a counter that begins anew after `window_seconds`, and gives its new value.
    pub async fn add(&self, key: &str, by: u64, window_seconds: u64) -> u64 {
        let key = format!("eshopz:{key}:{}", window(window_seconds));
        if let Some(pool) = &self.redis {
            match tokio::time::timeout(REDIS_PATIENCE, add_in_redis(pool, &key, by, window_seconds)).await {
                Ok(Ok(count)) => return count,
                Ok(Err(error)) => tracing::warn!(error, "Redis does not count; counting in the process"),
                Err(_) => tracing::warn!("Redis is too slow to count; counting in the process"),
            }
        }
        let counter = self.memory.get_with(key, async { Arc::default() }).await;
        counter.fetch_add(by, Ordering::Relaxed) + by
    }
}

async fn add_in_redis(pool: &Pool, key: &str, by: u64, seconds: u64) -> Result<u64, String> {
    let mut connection = pool.get().await.map_err(|error| error.to_string())?;
    let count: u64 = connection.incr(key, by).await.map_err(|error| error.to_string())?;
    if count == by {
        let seconds = i64::try_from(seconds).unwrap_or(3_600);
        let () = connection.expire(key, seconds).await.map_err(|error| error.to_string())?;
    }
    Ok(count)
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
        let throttle = Throttle::new(Counters::new(None).unwrap(), "test", 2, 3_600);
        assert!(throttle.check("a").await.is_ok());
        assert!(throttle.hit("a").await.is_ok());
        assert!(throttle.hit("a").await.is_ok());
        assert!(throttle.check("a").await.is_err());
        assert!(throttle.hit("a").await.unwrap_err().retry_after.is_some());
        assert!(throttle.hit("b").await.is_ok());
    }
}
