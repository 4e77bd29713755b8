//! Redis behind a gate: while it does not answer, it is not asked.
//!
//! A question that fails or takes too long closes the gate. From then on every question is answered
//! "away" at once, and one task looks twice a second whether Redis is back. So a dead or hung Redis
//! costs a few requests a tenth of a second, and the others nothing. One that answers, and refuses just this
//! question, is there: the gate stays open.

use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use deadpool_redis::redis::{FromRedisValue, Pipeline, pipe};
use eshopz_kernel::Fault;

use super::gate::{Gate, Return};
use super::link::{Failure, Link};

/// How often an absent Redis is looked for.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// The first look is soon: it may have been one connection that a restart of Redis left behind.
const FIRST_PROBE: Duration = Duration::from_millis(20);
/// A Redis that comes and goes is not looked for soon.
const STEADY: Duration = Duration::from_secs(5);
/// A Redis that refuses something refuses it often; it is told of only so often.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Keys that are deleted at once.
const DELETED_AT_ONCE: usize = 500;

/// No answer: there is no Redis, or it is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Away;

/// The way to Redis, if there is one. Clones share it.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

#[derive(Default)]
struct Shared {
    link: RwLock<Option<Arc<Link>>>,
    gate: Gate,
    opened_at: RwLock<Option<Instant>>,
    /// When it was last told of a refusal.
    told_at: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("configured", &self.is_configured())
            .field("answers", &self.0.gate.is_open())
            .finish()
    }
}

impl Redis {
    /// None: everything stays in the process.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// The Redis of a URL (`redis://` or `rediss://`), to be called within a Tokio runtime. Whether it
    /// answers is not tried here.
    ///
    /// # Errors
    /// Internal, when the URL cannot be read.
    pub fn new(url: Option<&str>) -> Result<Self, Fault> {
        let redis = Self::none();
        redis.reconfigure(url)?;
        Ok(redis)
    }

    /// From now on the Redis of another URL, as after a change of the password. To be called within a
    /// Tokio runtime that lives as long as the process.
    ///
    /// # Errors
    /// Internal, when the URL cannot be read; then nothing changes.
    pub fn reconfigure(&self, url: Option<&str>) -> Result<(), Fault> {
        let link = url.map(Link::new).transpose()?.map(Arc::new);
        if link.is_some() {
            up().set(if self.0.gate.is_open() { 1.0 } else { 0.0 });
        }
        *self.0.link.write().unwrap_or_else(PoisonError::into_inner) = link;
        Ok(())
    }

    /// Whether there is one to ask, away or not.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.0.link.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Sends commands, unless Redis is away.
    pub(super) async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Away> {
        if !self.0.gate.is_open() {
            return Err(Away);
        }
        let link = self.0.link().ok_or(Away)?;
        match link.ask(commands).await {
            Ok(answer) => Ok(answer),
            Err(Failure { error, is_refusal: true }) => {
                self.0.tell_refusal(&error);
                Err(Away)
            }
            Err(Failure { error, is_refusal: false }) => {
                self.0.lose(&link, &error);
                Err(Away)
            }
        }
    }

    /// Deletes keys now, or before Redis is asked again; whether it was now. None of them lives longer
    /// than `life`.
    pub(super) async fn delete(&self, keys: Vec<String>, life: Duration) -> bool {
        let Some(link) = self.0.link() else { return true };
        let mut all = true;
        for some in keys.chunks(DELETED_AT_ONCE) {
            if self.ask::<()>(&deletion(some)).await.is_err() {
                self.0.gate.owe(some.iter().cloned(), Instant::now() + life);
                // It may have come back between the failure and the debt. A refusal counts too: what was not
                // deleted is old.
                self.0.lose(&link, "deletions are owed");
                all = false;
            }
        }
        all
    }
}

/// A command for each key: in a cluster those of one command have to be in one slot.
fn deletion(keys: &[String]) -> Pipeline {
    let mut commands = pipe();
    for key in keys {
        commands.cmd("UNLINK").arg(key).ignore();
    }
    commands
}

fn up() -> metrics::Gauge {
    metrics::gauge!("eshopz_redis_up")
}

impl Shared {
    fn link(&self) -> Option<Arc<Link>> {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lose(self: &Arc<Self>, link: &Link, error: &str) {
        if !self.gate.close() {
            return;
        }
        link.hang_up();
        up().set(0.0);
        tracing::warn!(error, "Redis is away; going on without it");
        let opened_at = *self.opened_at.read().unwrap_or_else(PoisonError::into_inner);
        let steady = opened_at.is_none_or(|at| at.elapsed() > STEADY);
        let first = if steady { FIRST_PROBE } else { PROBE_EVERY };
        link.runtime.spawn(look_out(Arc::downgrade(self), first));
    }

    fn tell_refusal(&self, error: &str) {
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        if told_at.is_none_or(|at| at.elapsed() > TELL_EVERY) {
            *told_at = Some(Instant::now());
            tracing::warn!(error, "Redis refuses something; it is done without");
        }
    }

    /// Whether Redis is back, or there is none to come back.
    async fn try_return(&self) -> bool {
        let Some(link) = self.link() else { return self.gate.try_open() == Return::Done };
        // One that takes no writes is of no use.
        let mut probe = pipe();
        probe.cmd("SET").arg("eshopz:probe").arg(1).arg("PX").arg(1_000).ignore();
        if link.ask::<()>(&probe).await.is_err() {
            link.hang_up();
            return false;
        }
        loop {
            match self.gate.try_open() {
                Return::Done => break,
                Return::Wait => return false,
                Return::Forget(keys, until) => {
                    if !forget(&link, &keys).await {
                        self.gate.owe(keys, until);
                        link.hang_up();
                        return false;
                    }
                }
            }
        }
        *self.opened_at.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        up().set(1.0);
        tracing::info!("Redis is back");
        true
    }
}

async fn forget(link: &Link, keys: &[String]) -> bool {
    for some in keys.chunks(DELETED_AT_ONCE) {
        if link.ask::<()>(&deletion(some)).await.is_err() {
            return false;
        }
    }
    true
}

/// Looks until Redis is back, or nobody wants it any more.
async fn look_out(shared: Weak<Shared>, first: Duration) {
    let mut pause = first;
    loop {
        tokio::time::sleep(pause).await;
        pause = PROBE_EVERY;
        let Some(shared) = shared.upgrade() else { return };
        if shared.try_return().await {
            return;
        }
    }
}
