//! The public keys, as this process knows them.
//!
//! - They are asked for again once they are ten seconds old, in the background: the request that notices
//!   goes on with those that are known.
//! - When they are twice as old, since nobody came in the meantime, a request waits for the answer: among
//!   them may be a key that was stolen and revoked.
//! - A user module that does not answer signs nobody out: what is known stays good for a day. A request waits
//!   two seconds for it, and none does within ten seconds of a failure.
//! - A key that the user module no longer lists goes with the next answer.
//! - A token with a key that is not known has the keys asked for at once, but they are asked for once a
//!   second at most, by one request for all, so made-up names cost the user module nothing.
//!   That is enough: a new key is listed half a minute before it signs (docs/adr/0012-key-rotation.md).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use eshopz_kernel::Fault;
use jsonwebtoken::DecodingKey;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Identity, invalid_token, outage, unreachable_issuer};
use crate::context::carry;

#[derive(Clone, Copy)]
struct Times {
    /// How old an answer may be before the next one is asked for, and before it proves that a key does
    /// not exist.
    fresh: Duration,
    /// How old an answer may be to go on with it while the next one is on its way.
    usable: Duration,
    /// How long who has an older one waits for the next.
    wait: Duration,
    /// How long keys are good when no newer answer can be had.
    kept: Duration,
    /// Between an answer, or the end of the wait for one, and the next question.
    pause: Duration,
    /// How long an answer is waited for.
    patience: Duration,
}

const TIMES: Times = Times {
    fresh: Duration::from_secs(10),
    usable: Duration::from_secs(20),
    wait: Duration::from_secs(2),
    kept: Duration::from_secs(86_400),
    pause: Duration::from_secs(1),
    patience: Duration::from_secs(3),
};

/// An answer of the user module.
struct Known {
    keys: HashMap<String, Arc<DecodingKey>>,
    /// When it was asked for.
    since: Instant,
}

pub(super) struct VerificationKeys {
    identity: Arc<dyn Identity>,
    times: Times,
    known: RwLock<Option<Arc<Known>>>,
    /// When the keys were last asked for. Held by who asks.
    asked: Arc<Mutex<Option<Instant>>>,
    /// When there was last no answer.
    failed: RwLock<Option<Instant>>,
}

impl VerificationKeys {
    pub fn new(identity: Arc<dyn Identity>) -> Self {
        Self::timed(identity, TIMES)
    }

    fn timed(identity: Arc<dyn Identity>, times: Times) -> Self {
        Self { identity, times, known: RwLock::default(), asked: Arc::default(), failed: RwLock::default() }
    }

    pub fn are_known(&self) -> bool {
        self.known().is_some()
    }

    pub async fn prepare(self: &Arc<Self>) -> Result<(), Fault> {
        let asked = Arc::clone(&self.asked).lock_owned().await;
        if self.are_known() { Ok(()) } else { self.ask(asked).await }
    }

    /// A key by its name.
    ///
    /// # Errors
    /// 401 when there is none, 503 when that cannot be known.
    pub async fn key(self: &Arc<Self>, kid: &str) -> Result<Arc<DecodingKey>, Fault> {
        let known = self.known();
        if let Some(known) = &known
            && let Some(key) = known.keys.get(kid)
        {
            if !self.is_usable(known) && self.renewed().await {
                return self.find(kid).ok_or_else(invalid_token);
            }
            if !self.is_fresh(known) {
                self.ask_behind();
            }
            return Ok(Arc::clone(key));
        }
        self.unknown_key(kid).await
    }

    /// Waits for keys that are not too old. False when there are none for the time being: during an outage
    /// one wait has to do, else it would slow down every request.
    async fn renewed(self: &Arc<Self>) -> bool {
        let renewing = async {
            let asked = Arc::clone(&self.asked).lock_owned().await;
            // Whoever was waited for may have brought them.
            let brought = self.known().is_some_and(|known| self.is_usable(&known));
            brought || (!self.pausing(*asked) && self.ask(asked).await.is_ok())
        };
        !self.has_just_failed() && tokio::time::timeout(self.times.wait, renewing).await.unwrap_or(false)
    }

    async fn unknown_key(self: &Arc<Self>, kid: &str) -> Result<Arc<DecodingKey>, Fault> {
        let asked = Arc::clone(&self.asked).lock_owned().await;
        // Whoever was waited for may have brought it.
        if let Some(key) = self.find(kid) {
            return Ok(key);
        }
        let outcome = if self.pausing(*asked) { Err(unreachable_issuer()) } else { self.ask(asked).await };
        match (outcome, self.known()) {
            (Err(fault), None) => Err(fault),
            (Err(fault), Some(known)) if !self.is_fresh(&known) => Err(fault),
            _ => self.find(kid).ok_or_else(invalid_token),
        }
    }

    /// Asks while the request goes on, unless somebody does already.
    fn ask_behind(self: &Arc<Self>) {
        if let Ok(asked) = Arc::clone(&self.asked).try_lock_owned()
            && !self.pausing(*asked)
        {
            tokio::spawn(carry(Arc::clone(self).refresh(asked)));
        }
    }

    /// Asks in a task of its own: a client that goes away must not take the answer from the others.
    async fn ask(self: &Arc<Self>, asked: OwnedMutexGuard<Option<Instant>>) -> Result<(), Fault> {
        let asking = tokio::spawn(carry(Arc::clone(self).refresh(asked)));
        asking.await.unwrap_or_else(|error| Err(Fault::internal("asking for keys").caused_by(error)))
    }

    async fn refresh(self: Arc<Self>, mut asked: OwnedMutexGuard<Option<Instant>>) -> Result<(), Fault> {
        let outcome = self.learn(&mut asked).await;
        *self.failed.write().unwrap_or_else(PoisonError::into_inner) = outcome.is_err().then(Instant::now);
        outcome
    }

    async fn learn(&self, asked: &mut Option<Instant>) -> Result<(), Fault> {
        let since = Instant::now();
        *asked = Some(since);
        let answer = tokio::time::timeout(self.times.patience, self.identity.public_keys()).await;
        // From the end: else each of those who waited for an answer that took too long would ask again.
        *asked = Some(Instant::now());
        let answer = answer.unwrap_or_else(|_| Err(unreachable_issuer())).map_err(outage);
        let listed = answer.inspect_err(|error| tracing::warn!(%error, "the keys of access tokens cannot be had"))?;
        let keys: HashMap<_, _> = listed
            .into_iter()
            .filter_map(|public| match DecodingKey::from_ed_components(&public.x) {
                Ok(key) => Some((public.kid, Arc::new(key))),
                Err(error) => {
                    tracing::warn!(kid = public.kid, %error, "a key of access tokens cannot be read");
                    None
                }
            })
            .collect();
        if keys.is_empty() {
            return Err(Fault::internal("the user module lists no key"));
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Known { keys, since }));
        Ok(())
    }

    fn find(&self, kid: &str) -> Option<Arc<DecodingKey>> {
        self.known()?.keys.get(kid).cloned()
    }

    fn known(&self) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        known.filter(|known| known.since.elapsed() < self.times.kept)
    }

    fn is_fresh(&self, known: &Known) -> bool {
        known.since.elapsed() < self.times.fresh
    }

    fn is_usable(&self, known: &Known) -> bool {
        known.since.elapsed() < self.times.usable
    }

    fn has_just_failed(&self) -> bool {
        let failed = *self.failed.read().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|at| at.elapsed() < self.times.fresh)
    }

    fn pausing(&self, asked: Option<Instant>) -> bool {
        asked.is_some_and(|at| at.elapsed() < self.times.pause)
    }
}

#[cfg(test)]
mod tests;
