//! The secrets that a webhook may be signed with: the one in use and, after a change, for a day the one
//! before it, since the gateway goes on sending with that one until it has been told.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// As long as Stripe lets an old secret live at the most.
const OVERLAP: Duration = Duration::from_secs(24 * 3_600);

/// The secret in use, and the one before it with the moment at which it was replaced.
pub struct WebhookSecrets(RwLock<(String, Option<(String, Instant)>)>);

impl WebhookSecrets {
    pub fn new(secret: String) -> Self {
        Self(RwLock::new((secret, None)))
    }

    /// Puts another secret in use. The same one again changes nothing.
    pub fn replace(&self, secret: String) {
        let mut secrets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if secrets.0 != secret {
            let before = std::mem::replace(&mut secrets.0, secret);
            secrets.1 = Some((before, Instant::now()));
        }
    }

    /// Those that count, the one in use first. An empty one is none: anybody could sign with it.
    pub fn all(&self) -> Vec<String> {
        let secrets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let before = secrets.1.iter().filter(|(_, replaced)| replaced.elapsed() < OVERLAP);
        let all = std::iter::once(&secrets.0).chain(before.map(|(secret, _)| secret));
        all.filter(|secret| !secret.is_empty()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_before_counts_after_the_one_in_use() {
        let secrets = WebhookSecrets::new("one".to_owned());
        assert_eq!(secrets.all(), ["one"]);
        secrets.replace("two".to_owned());
        secrets.replace("two".to_owned());
        assert_eq!(secrets.all(), ["two", "one"]);
        secrets.replace("three".to_owned());
        assert_eq!(secrets.all(), ["three", "two"]);
        secrets.replace(String::new());
        assert_eq!(secrets.all(), ["three"]);
    }
}
