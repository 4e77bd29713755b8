//! Limits: at most so many in a window of time. Each question leaves a note of how the caller stands, which the
//! answer then tells (`http::standing`).

use eshopz_kernel::Fault;

use super::counters::{Ask, Count, Counters, Moment};
use crate::context;
use crate::http::Standing;

/// At most so many in a window of time.
#[derive(Clone, Debug)]
pub struct Throttle {
    counters: Counters,
    name: &'static str,
    limit: u64,
    window_seconds: u64,
}

impl Throttle {
    /// The name is also that of the policy that answers tell of: letters and `_`.
    #[must_use]
    pub const fn new(counters: Counters, name: &'static str, limit: u64, window_seconds: u64) -> Self {
        Self { counters, name, limit, window_seconds }
    }

    /// Counts one and refuses when it is one too many.
    ///
    /// # Errors
    /// 429 `rate_limited` with the seconds until one more fits.
    pub async fn hit(&self, key: &str) -> Result<(), Fault> {
        self.ask(key, Ask::Count).await
    }

    /// Refuses when the limit was reached before, without counting.
    ///
    /// # Errors
    /// 429 `rate_limited` with the seconds until one more fits.
    pub async fn check(&self, key: &str) -> Result<(), Fault> {
        self.ask(key, Ask::Look).await
    }

    /// Forgets what was counted, here and in Redis. Without it another process keeps its own count.
    pub async fn forget(&self, key: &str) {
        self.counters.forget(&self.counter(key)).await;
    }

    fn counter(&self, key: &str) -> String {
        format!("throttle:{}:{key}", self.name)
    }

    async fn ask(&self, key: &str, ask: Ask) -> Result<(), Fault> {
        let moment = Moment::now(self.window_seconds);
        let count = self.counters.take(&self.counter(key), moment, self.limit, ask).await;
        let standing = self.standing(count, moment);
        context::note_standing(standing);
        if count.fits {
            return Ok(());
        }
        let left = standing.seconds;
        Err(Fault::too_many(format!("Too many attempts. Try again in {left} seconds."), left))
    }

    fn standing(&self, count: Count, moment: Moment) -> Standing {
        let remaining = count.remaining(moment, self.limit);
        let until = if remaining == 0 { count.wait(moment, self.limit) } else { moment.left() };
        let seconds = u32::try_from(until.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
        Standing { policy: self.name, limit: self.limit, window_seconds: self.window_seconds, remaining, seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Redis;
    use crate::context::RequestContext;

    #[tokio::test]
    async fn a_throttle_refuses_past_its_limit() {
        let throttle = Throttle::new(Counters::new(Redis::none()), "test", 2, 3_600);
        assert!(throttle.check("a").await.is_ok());
        assert!(throttle.hit("a").await.is_ok());
        assert!(throttle.hit("a").await.is_ok());
        assert!(throttle.check("a").await.is_err());
        assert!(throttle.hit("a").await.unwrap_err().retry_after.is_some());
        assert!(throttle.hit("b").await.is_ok());
        throttle.forget("a").await;
        assert!(throttle.hit("a").await.is_ok());
    }

    #[tokio::test]
    async fn each_limit_that_was_asked_is_noted_once_as_it_stands_last() {
        let counters = Counters::new(Redis::none());
        let one = Throttle::new(counters.clone(), "one", 3, 3_600);
        let two = Throttle::new(counters, "two", 1, 3_600);
        let asking = async {
            one.check("a").await.unwrap();
            two.hit("a").await.unwrap();
            one.hit("a").await.unwrap();
        };
        let ((), noted) = RequestContext::default().counted(asking).await;
        let told: Vec<_> = noted.standings.iter().map(|noted| (noted.policy, noted.remaining)).collect();
        assert_eq!(told, [("one", 2), ("two", 0)]);
    }
}
