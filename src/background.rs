//! What a process does without being asked: relays, consumers of queues, periodic jobs, watches. All of it
//! is essential: if one of these tasks ends, the process does.

use std::time::Duration;

use eshopz_kernel::Fault;
use eshopz_platform::db::{Db, StoreError};
use eshopz_platform::events::sweep;
use eshopz_platform::jobs::Periodic;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::compose::Shop;
use crate::events::Carriers;
use crate::modules::Module;
use crate::secrets;

/// How long the tasks may take to end after the listeners have closed.
const GRACE: Duration = Duration::from_secs(12);

/// The running tasks.
#[derive(Debug)]
pub struct Background {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Background {
    /// Starts everything that the modules of this process need.
    #[must_use]
    pub fn start(shop: &Shop, carriers: Carriers, secrets: Option<secrets::Watch>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for relay in carriers.relays {
            tasks.spawn(relay.run(stopped.clone()));
        }
        for consumer in carriers.consumers {
            tasks.spawn(consumer.run(stopped.clone()));
        }
        for (db, job) in jobs(shop) {
            tasks.spawn(job.run(db, stopped.clone()));
        }
        if let Some(product) = shop.product.clone() {
            tasks.spawn(product.follow(stopped.clone()));
        }
        if let Some(watch) = secrets {
            tasks.spawn(watch.run(stopped.clone()));
        }
        Self { tasks, stop }
    }

    /// Resolves when a task has ended, which none should.
    pub async fn ended(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(ended) => anyhow::anyhow!("a background task ended by itself: {ended:?}"),
            None => std::future::pending().await,
        }
    }

    /// Tells all to end and waits, within bounds.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!("background tasks did not end in time; what they left will be taken up again");
            self.tasks.abort_all();
        }
    }
}

/// Every module's periodic jobs, each with the pool that holds its lease.
fn jobs(shop: &Shop) -> Vec<(Db, Periodic)> {
    let of = |module: Module| match module {
        Module::User => shop.user.as_ref().map(|user| user.jobs()),
        Module::Product => shop.product.as_ref().map(|product| product.jobs()),
        Module::Cart => shop.cart.as_ref().map(|cart| cart.jobs()),
        Module::Payment => shop.payment.as_ref().map(|payment| payment.jobs()),
        Module::Order => shop.order.as_ref().map(|order| order.jobs()),
    };
    let mut jobs = Vec::new();
    for (module, db) in shop.pools() {
        jobs.extend(of(*module).into_iter().flatten().map(|job| (db.clone(), job)));
        jobs.push((db.clone(), sweep_job(db.clone())));
    }
    jobs
}

/// Deletes what its retention is over for: delivered events, inbox entries, idempotency keys.
fn sweep_job(db: Db) -> Periodic {
    Periodic::new("platform.sweep", Duration::from_secs(60), move || {
        let db = db.clone();
        async move { sweep(&db).await.map_err(Fault::from) }
    })
}

async fn sweep(db: &Db) -> Result<(), StoreError> {
    let mut conn = db.conn().await?;
    sweep::expired(&mut conn, &sweep::Retention::default()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn background(tasks: JoinSet<()>) -> Background {
        Background { tasks, stop: watch::channel(false).0 }
    }

    #[tokio::test]
    async fn a_task_that_ends_or_panics_is_told_of() {
        for broken in [false, true] {
            let mut tasks = JoinSet::new();
            tasks.spawn(std::future::pending());
            tasks.spawn(async move { assert!(!broken, "the task breaks") });
            let ended = background(tasks).ended().await.to_string();
            assert!(ended.contains("ended by itself"), "{ended}");
        }
    }

    #[tokio::test]
    async fn stopping_waits_for_the_tasks() {
        let (stop, mut stopped) = watch::channel(false);
        let (told, heard) = tokio::sync::oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            eshopz_platform::jobs::stopped(&mut stopped).await;
            tokio::task::yield_now().await;
            told.send(()).unwrap();
        });
        Background { tasks, stop }.stop().await;
        heard.await.unwrap();
    }
}
