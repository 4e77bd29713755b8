//! How long a delivery is ours: a short time, so that what a killed process held comes free soon, which is
//! moved on while the listener works, so that a slow one is not taken for dead.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The lease of one claim. Its clones are the same lease.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    /// When the claim was asked for, before the database counted its own time from then.
    taken: Instant,
    length: Duration,
    sure_until: Arc<Mutex<Instant>>,
}

#[eshopz_crash::crash_points]
impl Lease {
    /// Of a claim that was asked for at `taken`.
    pub(super) fn new(taken: Instant, length: Duration) -> Self {
        Self { taken, length, sure_until: Arc::new(Mutex::new(sure_until(taken, length))) }
    }

    /// The claim has waited so long that another relay may be about to take it.
    pub(super) fn is_stale(&self) -> bool {
        self.taken.elapsed() > self.length / 2
    }

    /// It is time to move the lease on.
    pub(super) fn wants_renewal(&self) -> bool {
        Instant::now() + self.length * 3 / 4 > self.sure_until()
    }

    /// The database has moved it on, asked to at `asked`.
    pub(super) fn renewed(&self, asked: Instant) {
        *self.sure_until.lock().unwrap_or_else(PoisonError::into_inner) = sure_until(asked, self.length);
    }

    /// Resolves shortly before the lease is over, if nobody moves it on.
    pub(super) async fn lost(&self) {
        loop {
            let end = self.sure_until();
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }

    fn sure_until(&self) -> Instant {
        *self.sure_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tenth is left for the two clocks and for the way to the database.
fn sure_until(from: Instant, length: Duration) -> Instant {
    from + length * 9 / 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_lost_unless_it_is_renewed() {
        let began = Instant::now();
        let lease = Lease::new(began, Duration::from_millis(200));
        let renewal = async {
            while !lease.wants_renewal() {
                tokio::task::yield_now().await;
            }
            assert!(began.elapsed() >= Duration::from_millis(30));
            let asked = Instant::now();
            lease.renewed(asked);
            asked
        };
        let ((), asked) = tokio::join!(lease.lost(), renewal);
        assert!(asked.elapsed() >= Duration::from_millis(180));
        assert!(lease.is_stale());
    }
}
