//! Looks whether a secret has another version, and hands the new values out.
//!
//! Nothing depends on this task: when AWS does not answer, or a value is no good, the shop goes on with
//! what it has and the next look tries again. Who is refused with what he has need not wait for that look.

use std::sync::Arc;
use std::time::Duration;

use eshopz_aws::secrets::Secret;
use eshopz_platform::jobs;
use futures::future::{join_all, select_all};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::rotation::Rotation;
use super::{Source, fetch, merge, slots};
use crate::cli::Settings;

/// The pause before a look that somebody asked for who was refused. It may be asked for again and again: the
/// server has the new password, the secret not yet.
const PAUSE: Duration = Duration::from_secs(2);

/// The task that watches secrets.
#[derive(Debug)]
pub struct Watch {
    source: Arc<Source>,
    interval: Duration,
    /// What the last look saw.
    secrets: Vec<Secret>,
    wanted: Settings,
    targets: Vec<Target>,
}

/// Who works with secrets, and those that he has.
#[derive(Debug)]
struct Target {
    rotation: Box<dyn Rotation>,
    has: Settings,
}

impl Watch {
    /// Watches the secrets that these settings were filled from, on behalf of those who work with them;
    /// nothing when they came from none.
    #[must_use]
    pub fn new(settings: &Settings, rotations: Vec<Box<dyn Rotation>>) -> Option<Self> {
        let source = settings.fetched.source.clone()?;
        let target = |rotation| Target { rotation, has: settings.clone() };
        Some(Self {
            secrets: source.secrets.clone(),
            source,
            interval: settings.runtime.secrets_refresh(),
            wanted: settings.clone(),
            targets: rotations.into_iter().map(target).collect(),
        })
    }

    /// Looks again and again until told to stop.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut due = Instant::now() + spread(self.interval);
        loop {
            let is_due = tokio::select! {
                () = sleep_until(due) => true,
                () = self.refused() => false,
                () = jobs::stopped(&mut stopped) => return,
            };
            self.look(is_due).await;
            if is_due {
                due = Instant::now() + spread(self.interval);
            }
        }
    }

    /// Ends when somebody is refused with the secrets that he has.
    async fn refused(&self) {
        sleep(PAUSE).await;
        if self.targets.is_empty() {
            return std::future::pending().await;
        }
        select_all(self.targets.iter().map(|target| target.rotation.refused())).await;
    }

    async fn look(&mut self, is_due: bool) {
        let outcome = match fetch(&self.source.store, &self.source.names).await {
            Ok(secrets) if secrets == self.secrets => "unchanged",
            Ok(secrets) => {
                tracing::info!(secrets = ?self.source.names, "the secrets have changed");
                let mut wanted = merge::merged(&self.source.given, &secrets).settings;
                merge::keep_vanished(&self.wanted, &mut wanted);
                (self.secrets, self.wanted) = (secrets, wanted);
                "changed"
            }
            Err(error) => {
                tracing::warn!(%error, "cannot look at the secrets; their last values stay in use");
                "failed"
            }
        };
        // To everybody at once: each may have to wait for what he tries out.
        join_all(self.targets.iter_mut().map(|target| target.take(&self.wanted, is_due))).await;
        metrics::counter!("eshopz_secrets_looks_total", "outcome" => outcome).increment(1);
    }
}

impl Target {
    /// Goes over to the secrets that are wanted, also when an earlier look failed with them.
    async fn take(&mut self, wanted: &Settings, is_due: bool) {
        if slots::same(&self.has, wanted) {
            // A look that somebody asked for says nothing of the time that went by.
            if is_due {
                self.rotation.settle();
            }
            return;
        }
        match self.rotation.apply(&self.has, wanted).await {
            Ok(()) => self.has = wanted.clone(),
            Err(error) => {
                let part = self.rotation.part();
                tracing::warn!(part, error = format!("{error:#}"), "new secrets are refused; trying again later");
            }
        }
    }
}

/// Within a tenth of the interval, so that the processes of a shop do not ask all at once.
fn spread(interval: Duration) -> Duration {
    let permille = u32::try_from(Uuid::new_v4().as_u128() % 201).unwrap_or(100);
    interval.saturating_mul(900 + permille) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_spread_around_the_interval() {
        let minute = Duration::from_secs(60);
        let (early, late) = (Duration::from_secs(54), Duration::from_secs(66));
        assert!((0..1_000).map(|_| spread(minute)).all(|wait| (early..=late).contains(&wait)));
    }
}
