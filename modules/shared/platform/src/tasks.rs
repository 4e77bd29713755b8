//! Work that outlives its request.
//!
//! What a handler spawns lives on its worker's runtime, which ends at a stop as soon as no connection
//! is left, even if a task still runs whose client has hung up. [`Tasks`] runs it on the runtime that
//! belongs to the process, and knows when all of it is done.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Tasks on the runtime in which this was made. Clones share them.
#[derive(Clone, Debug)]
pub struct Tasks {
    runtime: Handle,
    running: watch::Sender<usize>,
}

/// Counts a task as long as it is there: until its end, its panic, or its runtime's end.
struct Running(watch::Sender<usize>);

impl Running {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|running| *running = running.saturating_add(1));
        Self(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running = running.saturating_sub(1));
    }
}

impl Tasks {
    /// To be called in the runtime that the tasks are to live on.
    ///
    /// # Panics
    /// Outside of any.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it must not be made just anywhere")]
    pub fn new() -> Self {
        Self { runtime: Handle::current(), running: watch::Sender::new(0) }
    }

    /// Runs a future to its end, whether or not anybody waits for it.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let running = Running::new(&self.running);
        self.runtime.spawn(async move {
            let _running = running;
            future.await
        })
    }

    /// Waits until none is left, but no longer than `at_most`; the number of those that are left.
    pub async fn drained(&self, at_most: Duration) -> usize {
        let mut running = self.running.subscribe();
        let none = running.wait_for(|running| *running == 0);
        let _ = tokio::time::timeout(at_most, none).await;
        *self.running.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_task_outlives_the_runtime_that_asked_for_it() {
        let tasks = Tasks::new();
        let (go, gone) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel::<()>();
        let ours = tasks.clone();
        std::thread::spawn(move || {
            let worker = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            worker.block_on(async {
                drop(ours.spawn(async move {
                    gone.await.unwrap();
                    done.send(()).unwrap();
                }));
            });
        })
        .join()
        .unwrap();
        assert_eq!(tasks.drained(Duration::ZERO).await, 1);
        go.send(()).unwrap();
        finished.await.unwrap();
        assert_eq!(tasks.drained(SOON).await, 0);
    }

    #[tokio::test]
    async fn panics_and_aborts_end_a_task_too() {
        let tasks = Tasks::new();
        assert!(tasks.spawn(async { panic!("planted") }).await.is_err());
        let endless = tasks.spawn(std::future::pending::<()>());
        assert_eq!(tasks.drained(Duration::ZERO).await, 1);
        endless.abort();
        assert_eq!(tasks.drained(SOON).await, 0);
        assert_eq!(tasks.spawn(async { 7 }).await.unwrap(), 7);
    }
}
