//! Looks whether a secret has another version, and hands the new values out.
//!
//! Nothing depends on this task: when AWS does not answer, or a value is no good, the shop goes on with
//! what it has and the next look tries again.

use std::sync::Arc;
use std::time::Duration;

use eshopz_aws::secrets::Secret;
use eshopz_platform::jobs;
use tokio::sync::watch;
use uuid::Uuid;

use super::rotation::Rotation;
use super::{Source, fetch, merge, slots};
use crate::cli::Settings;

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
    pub fn new(settings: &Settings, interval: Duration, rotations: Vec<Box<dyn Rotation>>) -> Option<Self> {
        let source = settings.fetched.source.clone()?;
        let target = |rotation| Target { rotation, has: settings.clone() };
        Some(Self {
            secrets: source.secrets.clone(),
            source,
            interval,
            wanted: settings.clone(),
            targets: rotations.into_iter().map(target).collect(),
        })
    }

    /// Looks again and again until told to stop.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(spread(self.interval)) => self.look().await,
                () = jobs::stopped(&mut stopped) => return,
            }
        }
    }

    async fn look(&mut self) {
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
        self.hand_out().await;
        metrics::counter!("eshopz_secrets_looks_total", "outcome" => outcome).increment(1);
    }

    /// To everybody who has not got them yet, also those whom an earlier look failed with.
    async fn hand_out(&mut self) {
        for target in &mut self.targets {
            if slots::same(&target.has, &self.wanted) {
                target.rotation.settle();
                continue;
            }
            match target.rotation.apply(&target.has, &self.wanted).await {
                Ok(()) => target.has = self.wanted.clone(),
                Err(error) => {
                    let part = target.rotation.part();
                    tracing::warn!(part, error = format!("{error:#}"), "new secrets are refused; trying again later");
                }
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
