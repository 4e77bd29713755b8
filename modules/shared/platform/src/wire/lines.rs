//! The connections to a neighbour: few, HTTP/2, kept, and made anew now and then.
//!
//! A connection leads to one process for as long as it lives, also when a name stands for many. So it is
//! given up after a while, when its peer says that it leaves, and when a call over it failed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use eshopz_kernel::Fault;
use reqwest::Client;
use reqwest::redirect::Policy;

/// A peer that leaves says so on every answer; connections to it are made anew only so often.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// A connection over which nothing comes is asked this often whether its peer still lives …
const PING_EVERY: Duration = Duration::from_secs(2);
/// … which has so long to answer. A peer that is frozen or has vanished is noticed after both: well within the
/// time of a read, so that a second attempt has some left.
const PING_PATIENCE: Duration = Duration::from_secs(2);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(90);

/// Several connections, used in turn.
pub(super) struct Lines {
    slots: Vec<RwLock<Arc<Line>>>,
    next: AtomicUsize,
    connect_patience: Duration,
    life: Duration,
}

/// A client with one connection in its pool.
pub(super) struct Line {
    pub(super) client: Client,
    slot: usize,
    born: Instant,
    /// Jittered, so that not all connections end together.
    life: Duration,
}

impl Lines {
    pub(super) fn new(count: usize, connect_patience: Duration, life: Duration) -> Result<Self, Fault> {
        let slot = |slot| Ok(RwLock::new(Arc::new(Line::new(slot, connect_patience, life)?)));
        let slots = (0..count.max(1)).map(slot).collect::<Result<_, Fault>>()?;
        Ok(Self { slots, next: AtomicUsize::new(0), connect_patience, life })
    }

    /// The next line, made anew when it is old.
    pub(super) fn take(&self) -> Result<Arc<Line>, Fault> {
        let line = self.current(self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len().max(1))?;
        if line.born.elapsed() < line.life { Ok(line) } else { self.renew(&line) }
    }

    /// What is in the place of a line now: another one, if it was given up.
    pub(super) fn again(&self, line: &Line) -> Result<Arc<Line>, Fault> {
        self.current(line.slot)
    }

    /// The next call goes over a new connection. What still runs over this one goes on.
    pub(super) fn give_up(&self, line: &Arc<Line>) {
        if let Err(fault) = self.renew(line) {
            tracing::warn!(%fault, "the old connection stays in use");
        }
    }

    /// The same for a line whose peer leaves, but not too often.
    pub(super) fn leave(&self, line: &Arc<Line>) {
        if line.born.elapsed() >= AT_MOST_EVERY {
            self.give_up(line);
        }
    }

    fn slot(&self, slot: usize) -> Result<&RwLock<Arc<Line>>, Fault> {
        self.slots.get(slot).ok_or_else(|| Fault::internal("no such line"))
    }

    fn current(&self, slot: usize) -> Result<Arc<Line>, Fault> {
        Ok(Arc::clone(&self.slot(slot)?.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Of many who find the same line old, the first makes the new one.
    fn renew(&self, old: &Arc<Line>) -> Result<Arc<Line>, Fault> {
        let mut current = self.slot(old.slot)?.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, old) {
            *current = Arc::new(Line::new(old.slot, self.connect_patience, self.life)?);
        }
        Ok(Arc::clone(&current))
    }
}

impl Line {
    fn new(slot: usize, connect_patience: Duration, life: Duration) -> Result<Self, Fault> {
        let client = Client::builder()
            .http2_prior_knowledge()
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_PATIENCE)
            .http2_keep_alive_while_idle(true)
            .connect_timeout(connect_patience)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            // Neighbours are near: a proxy of the environment is for the world outside.
            .no_proxy()
            .redirect(Policy::none())
            .build()
            .map_err(|error| Fault::internal("HTTP client").caused_by(error))?;
        let life = life.mul_f64(rand::random_range(0.8..1.2));
        Ok(Self { client, slot, born: Instant::now(), life })
    }
}
