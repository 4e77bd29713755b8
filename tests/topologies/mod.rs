//! One binary, any split: every flow on every deployment, and what happens when a part of one is away.

mod events;
mod matrix;
mod outages;
mod rolling;
mod traces;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Deployments that run at the same time: each is up to five processes, and what is measured by time
/// should not depend on how many tests a machine runs at once.
static SLOTS: Semaphore = Semaphore::const_new(2);

pub async fn slot() -> SemaphorePermit<'static> {
    SLOTS.acquire().await.unwrap()
}

/// All of them, for what is disturbed by whatever else runs.
pub async fn every_slot() -> SemaphorePermit<'static> {
    SLOTS.acquire_many(2).await.unwrap()
}
