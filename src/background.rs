//! What a process does without being asked: relays, consumers of queues, periodic jobs, watches. All of it
//! is essential: if one of these tasks ends, the process does.
//!
//! They end in two steps. Consumers and jobs take on work that no request needs, and have the whole time of the
//! stop to finish what they have begun. The others work for the requests and end after them: what the last
//! requests tell is on its way when the process ends, and not only after its next start. What relays leave then
//! is in the outbox, so going on costs no time.

use std::time::Duration;

use eshopz_kernel::Fault;
use eshopz_platform::db::{Db, StoreError};
use eshopz_platform::events::sweep;
use eshopz_platform::jobs::Periodic;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::compose::Shop;
use crate::events::Carriers;
use crate::modules::Module;
use crate::secrets;

/// What the tasks have to note their end, however late it is.
const LAST_NOTES: Duration = Duration::from_secs(1);

/// The running tasks.
#[derive(Debug)]
pub struct Background {
    tasks: JoinSet<()>,
    /// Heard by those that take on work by themselves.
    wind_down: watch::Sender<bool>,
    /// Heard by those that work for the requests.
    stop: watch::Sender<bool>,
}

impl Background {
    /// Starts everything that the modules of this process need.
    #[must_use]
    pub fn start(shop: &Shop, carriers: Carriers, secrets: Option<secrets::Watch>) -> Self {
        let (wind_down, winding_down) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for relay in carriers.relays {
            tasks.spawn(relay.run(stopped.clone()));
        }
        for consumer in carriers.consumers {
            tasks.spawn(consumer.run(winding_down.clone()));
        }
        for (db, job) in jobs(shop) {
            tasks.spawn(job.run(db, winding_down.clone()));
        }
        if let Some(user) = shop.user.clone() {
            tasks.spawn(user.deliver_mail(stopped.clone()));
        }
        if let Some(product) = shop.product.clone() {
            tasks.spawn(product.follow(stopped.clone()));
        }
        if let Some(watch) = secrets {
            tasks.spawn(watch.run(stopped.clone()));
        }
        Self { tasks, wind_down, stop }
    }

    /// Resolves when a task has ended, which none should.
    pub async fn ended(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(ended) => anyhow::anyhow!("a background task ended by itself: {ended:?}"),
            None => std::future::pending().await,
        }
    }

    /// Tells those that no request needs to begin nothing more.
    pub fn wind_down(&self) {
        self.wind_down.send_replace(true);
    }

    /// Tells all to end and waits until then, or for the moment that they need to note it.
    pub async fn stop(mut self, until: Instant) {
        self.wind_down();
        self.stop.send_replace(true);
        let until = until.max(Instant::now() + LAST_NOTES);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout_at(until, all).await.is_err() {
            tracing::warn!("background tasks did not end in time; what they left will be taken up again");
            self.tasks.abort_all();
        }
    }

    /// Of other tasks than those of a shop.
    #[cfg(test)]
    pub fn of(tasks: JoinSet<()>) -> Self {
        Self { tasks, wind_down: watch::Sender::new(false), stop: watch::Sender::new(false) }
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
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_or_panics_is_told_of() {
        for broken in [false, true] {
            let mut tasks = JoinSet::new();
            tasks.spawn(std::future::pending());
            tasks.spawn(async move { assert!(!broken, "the task breaks") });
            let ended = Background::of(tasks).ended().await.to_string();
            assert!(ended.contains("ended by itself"), "{ended}");
        }
    }

    /// A task that ends when it is told to, and tells so.
    fn task(tasks: &mut JoinSet<()>, signal: &watch::Sender<bool>) -> oneshot::Receiver<()> {
        let (told, heard) = oneshot::channel();
        let mut signal = signal.subscribe();
        tasks.spawn(async move {
            eshopz_platform::jobs::stopped(&mut signal).await;
            tokio::task::yield_now().await;
            told.send(()).unwrap();
        });
        heard
    }

    #[tokio::test]
    async fn what_no_request_needs_ends_first_and_stopping_waits_for_all() {
        let mut background = Background::of(JoinSet::new());
        let job = task(&mut background.tasks, &background.wind_down);
        let mut relay = task(&mut background.tasks, &background.stop);
        background.wind_down();
        job.await.unwrap();
        assert!(relay.try_recv().is_err(), "requests are still under way");
        background.stop(Instant::now() + Duration::from_secs(20)).await;
        relay.await.unwrap();
    }

    #[tokio::test]
    async fn what_does_not_end_is_cut_when_the_time_is_over() {
        let mut tasks = JoinSet::new();
        tasks.spawn(std::future::pending());
        let began = Instant::now();
        Background::of(tasks).stop(began).await;
        assert!(began.elapsed() < 4 * LAST_NOTES, "{:?}", began.elapsed());
    }
}
