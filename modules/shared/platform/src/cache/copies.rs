//! Copies of what is kept elsewhere: in memory, and in Redis for all processes.
//!
//! A copy is as old as the larger of the two lives at most. Who changes the original calls
//! [`Copies::forget`] after the commit and tells the other processes (see [`crate::broadcast`]); then
//! nobody who reads after that sees the old one, not even if its load was under way.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use eshopz_kernel::Fault;
use metrics::{Counter, counter};
use moka::Expiry;
use moka::future::Cache;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::remote::{self, Look};
use super::stamps::{Stamp, Stamps};
use super::{Codec, Redis};

/// Longer lives are shortened by up to a tenth, so that copies made together do not end together.
const JITTER_FROM: Duration = Duration::from_secs(2);

/// A load that others began before a change is not taken; so often it is looked again.
const TRIES: usize = 3;

/// How much is kept and for how long.
#[derive(Clone, Copy, Debug)]
pub struct CopiesConfig {
    /// Whose they are.
    pub module: &'static str,
    /// In memory: copies, or bytes where each copy is weighed.
    pub capacity: u64,
    /// Zero: none are kept in memory.
    pub memory_life: Duration,
    /// Zero: none are kept in Redis.
    pub redis_life: Duration,
}

/// A cache of two levels. Clones share it.
pub struct Copies<V>(Arc<Inner<V>>);

impl<V> Clone for Copies<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<V> {
    name: &'static str,
    config: CopiesConfig,
    redis: Redis,
    codec: Codec<V>,
    memory: Cache<String, Entry<V>>,
    stamps: Stamps,
    /// Whether this process hears of changes that others make.
    current: AtomicBool,
    meters: OnceLock<Meters>,
}

#[derive(Clone)]
struct Entry<V> {
    value: V,
    stamp: Stamp,
    life: Duration,
}

impl<V> std::fmt::Debug for Copies<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copies").field("name", &self.0.name).field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl<V: Clone + Send + Sync + 'static> Copies<V> {
    /// A cache whose values are JSON in Redis.
    #[must_use]
    pub fn new(name: &'static str, redis: Redis, config: CopiesConfig) -> Self
    where
        V: Serialize + DeserializeOwned,
    {
        Self::weighed(name, redis, config, Codec::json(), |_| 1)
    }

    /// A cache with a format of its own, the capacity of which is the sum of what the values weigh.
    #[must_use]
    pub fn weighed(
        name: &'static str,
        redis: Redis,
        config: CopiesConfig,
        codec: Codec<V>,
        weigh: fn(&V) -> u32,
    ) -> Self {
        let memory = Cache::builder()
            .max_capacity(config.capacity)
            .weigher(move |_, entry: &Entry<V>| weigh(&entry.value))
            .expire_after(Lives)
            .build();
        Self(Arc::new(Inner {
            name,
            config,
            redis,
            codec,
            memory,
            stamps: Stamps::default(),
            current: AtomicBool::new(true),
            meters: OnceLock::new(),
        }))
    }

    /// A copy, or what `load` gives. Of many who ask at once one loads, here and among the processes of
    /// one Redis; if he goes away, the next one does. Failures are not kept.
    ///
    /// # Errors
    /// Those of the load.
    pub async fn get<F>(&self, key: &str, load: F) -> Result<V, Fault>
    where
        F: Future<Output = Result<V, Fault>>,
    {
        let inner = &*self.0;
        let came = inner.stamps.of(key);
        if let Some(value) = inner.remembered(key, came).await {
            return Ok(value);
        }
        let mut load = pin!(load);
        for _ in 0..TRIES {
            let filling = inner.fill(key, load.as_mut());
            let entry = inner.memory.try_get_with_by_ref(key, filling).await.map_err(|fault| Fault::clone(&fault))?;
            if entry.stamp.is_since(came) {
                return Ok(entry.value);
            }
            inner.memory.invalidate(key).await;
        }
        load.await
    }

    /// Forgets copies here and in Redis; whether Redis has forgotten them too. If it is away, it will
    /// before this process asks it again, and the others have to be told to see to it as well.
    pub async fn forget(&self, keys: &[String]) -> bool {
        // Before, for readers of this process, and if nobody waits for the rest; after, for what was
        // taken from Redis meanwhile.
        self.forget_here(keys);
        let inner = &*self.0;
        let clean = inner.config.redis_life.is_zero() || {
            let keys = keys.iter().flat_map(|key| remote::keys_of(&inner.key_in_redis(key))).collect();
            inner.redis.delete(keys, inner.config.redis_life).await
        };
        self.forget_here(keys);
        clean
    }

    /// Forgets copies of this process: somebody else has seen to Redis.
    pub fn forget_here(&self, keys: &[String]) {
        keys.iter().for_each(|key| self.0.stamps.forget(key));
    }

    /// Forgets all copies of this process.
    pub fn forget_all_here(&self) {
        self.0.stamps.forget_all();
        self.0.memory.invalidate_all();
    }

    /// Says whether this process hears of others' changes. While it does not, nothing is kept in memory.
    pub fn set_current(&self, current: bool) {
        self.0.current.store(current, Ordering::SeqCst);
        self.forget_all_here();
    }
}

impl<V: Clone + Send + Sync + 'static> Inner<V> {
    async fn remembered(&self, key: &str, came: Stamp) -> Option<V> {
        if self.config.memory_life.is_zero() {
            return None;
        }
        let found = match self.memory.get(key).await {
            Some(entry) if entry.stamp == came => Some(entry.value),
            Some(_) => {
                self.memory.invalidate(key).await;
                None
            }
            None => None,
        };
        let meters = self.meters();
        if found.is_some() { &meters.memory_hit } else { &meters.memory_miss }.increment(1);
        found
    }

    /// From Redis, or loaded and stored there.
    async fn fill<F>(&self, key: &str, load: Pin<&mut F>) -> Result<Entry<V>, Fault>
    where
        F: Future<Output = Result<V, Fault>>,
    {
        let (stamp, began) = (self.stamps.of(key), Instant::now());
        let entry = |value, life: Duration| {
            let life = if self.current.load(Ordering::SeqCst) { life } else { Duration::ZERO };
            Entry { value, stamp, life }
        };
        let look = match self.config.redis_life.is_zero() || !self.redis.is_configured() {
            true => Look::Busy,
            false => self.look(key).await,
        };
        let lease = match look {
            Look::Found { bytes, left } => match (self.codec.decode)(&bytes) {
                // What was left when Redis was asked: the way back is part of its life too.
                Some(value) => {
                    let left = left.saturating_sub(began.elapsed());
                    return Ok(entry(value, left.min(jittered(self.config.memory_life))));
                }
                None => None,
            },
            Look::Leased(lease) => Some(lease),
            Look::Busy | Look::Away => None,
        };
        let loaded = load.await;
        let left = |life: Duration| jittered(life).saturating_sub(began.elapsed());
        match (lease, loaded.as_ref().ok().and_then(|value| (self.codec.encode)(value))) {
            (Some(lease), Some(bytes)) => lease.store(&self.redis, bytes, left(self.config.redis_life)).await,
            (Some(lease), None) => lease.release(&self.redis).await,
            (None, _) => {}
        }
        loaded.map(|value| entry(value, left(self.config.memory_life)))
    }

    async fn look(&self, key: &str) -> Look {
        let look = remote::look(&self.redis, &self.key_in_redis(key)).await;
        let meters = self.meters();
        match &look {
            Look::Found { .. } => &meters.redis_hit,
            Look::Leased(_) | Look::Busy => &meters.redis_miss,
            Look::Away => &meters.redis_away,
        }
        .increment(1);
        look
    }

    fn key_in_redis(&self, key: &str) -> String {
        format!("eshopz:copy:{}:{key}", self.name)
    }

    /// Made at the first use: the recorder is there by then.
    fn meters(&self) -> &Meters {
        self.meters.get_or_init(|| Meters::of(self.config.module, self.name))
    }
}

/// Each entry brings its own life along.
struct Lives;

impl<V> Expiry<String, Entry<V>> for Lives {
    fn expire_after_create(&self, _: &String, entry: &Entry<V>, _: Instant) -> Option<Duration> {
        Some(entry.life)
    }

    fn expire_after_update(&self, _: &String, entry: &Entry<V>, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(entry.life)
    }
}

fn jittered(life: Duration) -> Duration {
    if life < JITTER_FROM { life } else { life.mul_f64(rand::random_range(0.9..=1.0)) }
}

struct Meters {
    memory_hit: Counter,
    memory_miss: Counter,
    redis_hit: Counter,
    redis_miss: Counter,
    redis_away: Counter,
}

impl Meters {
    fn of(module: &'static str, cache: &'static str) -> Self {
        let meter = |level: &'static str, outcome: &'static str| counter!("eshopz_cache_requests_total", "module" => module, "cache" => cache, "level" => level, "outcome" => outcome);
        Self {
            memory_hit: meter("memory", "hit"),
            memory_miss: meter("memory", "miss"),
            redis_hit: meter("redis", "hit"),
            redis_miss: meter("redis", "miss"),
            redis_away: meter("redis", "away"),
        }
    }
}
