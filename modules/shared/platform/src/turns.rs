//! So many at a time, and a queue with an end before them: one that takes everybody only makes all of them late.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Turns, given in the order in which they are asked for.
#[derive(Debug)]
pub struct Turns {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
}

/// A turn, which ends when it is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "it is held, and gives its place back")] OwnedSemaphorePermit);

/// So many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full(pub usize);

/// Leaves the queue, also when the request is dropped while it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    /// `places` at a time, at least one, and at most `queue` who wait.
    #[must_use]
    pub fn new(places: usize, queue: usize) -> Self {
        let places = places.clamp(1, Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0), queue }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Full`], at once.
    pub async fn take(&self) -> Result<Turn, Full> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Turn(place));
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= self.queue {
            return Err(Full(before));
        }
        // It is never closed.
        Arc::clone(&self.places).acquire_owned().await.map(Turn).map_err(|_| Full(before))
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}
