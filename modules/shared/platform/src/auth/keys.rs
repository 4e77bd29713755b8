//! The public keys, as this process knows them.
//!
//! - They are asked for again once they are ten seconds old, in the background: the request that notices
//!   goes on with those that are known.
//! - A user module that does not answer signs nobody out: what is known stays good for a day.
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
    /// How long keys are good when no newer answer can be had.
    kept: Duration,
    /// Between an answer, or the end of the wait for one, and the next question.
    pause: Duration,
    /// How long an answer is waited for.
    patience: Duration,
}

const TIMES: Times = Times {
    fresh: Duration::from_secs(10),
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
}

impl VerificationKeys {
    pub fn new(identity: Arc<dyn Identity>) -> Self {
        Self::timed(identity, TIMES)
    }

    fn timed(identity: Arc<dyn Identity>, times: Times) -> Self {
        Self { identity, times, known: RwLock::default(), asked: Arc::default() }
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
            if !self.is_fresh(known) {
                self.ask_behind();
            }
            return Ok(Arc::clone(key));
        }
        self.unknown_key(kid).await
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

    fn pausing(&self, asked: Option<Instant>) -> bool {
        asked.is_some_and(|at| at.elapsed() < self.times.pause)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as Exclusive;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use eshopz_kernel::{FaultKind, Role, SessionId};

    use super::*;
    use crate::auth::PublicKey;

    /// Lists the keys that it is told to, or fails.
    #[derive(Default)]
    struct Issuer {
        listed: Exclusive<Option<Vec<&'static str>>>,
        asked: AtomicUsize,
    }

    impl Issuer {
        fn lists(&self, kids: Option<&[&'static str]>) {
            *self.listed.lock().unwrap() = kids.map(<[_]>::to_vec);
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[async_trait]
    impl Identity for Issuer {
        async fn public_keys(&self) -> Result<Vec<PublicKey>, Fault> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            let listed = self.listed.lock().unwrap().clone();
            // As another process would refuse this one; no person must see it.
            let listed = listed.ok_or_else(|| Fault::unauthenticated("service_token", "Who are you?"))?;
            Ok(listed.into_iter().map(|kid| PublicKey { kid: kid.to_owned(), x: "A".repeat(43) }).collect())
        }

        async fn session_role(&self, _: SessionId) -> Result<Option<Role>, Fault> {
            Ok(None)
        }
    }

    fn keys(times: Times) -> (Arc<Issuer>, Arc<VerificationKeys>) {
        let issuer = Arc::<Issuer>::default();
        issuer.lists(Some(&["a"]));
        (issuer.clone(), Arc::new(VerificationKeys::timed(issuer, times)))
    }

    async fn kind(keys: &Arc<VerificationKeys>, kid: &str) -> Option<FaultKind> {
        keys.key(kid).await.err().map(|fault| fault.kind)
    }

    async fn until(what: &str, so: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !so().await {
            assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn made_up_names_cost_one_question_a_second() {
        let (issuer, keys) = keys(TIMES);
        let began = Instant::now();
        let all = (0..500).map(|number| {
            let keys = Arc::clone(&keys);
            tokio::spawn(async move { kind(&keys, &format!("made up {number}")).await })
        });
        for answer in futures::future::join_all(all.collect::<Vec<_>>()).await {
            assert_eq!(answer.unwrap(), Some(FaultKind::Unauthenticated));
        }
        assert_eq!(kind(&keys, "a").await, None);
        let allowed = 1 + usize::try_from(began.elapsed().as_secs()).unwrap();
        assert!((1..=allowed).contains(&issuer.asked()), "{} questions", issuer.asked());
    }

    struct Hung;

    #[async_trait]
    impl Identity for Hung {
        async fn public_keys(&self) -> Result<Vec<PublicKey>, Fault> {
            std::future::pending().await
        }

        async fn session_role(&self, _: SessionId) -> Result<Option<Role>, Fault> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn who_hangs_is_waited_for_once_and_not_by_each_in_turn() {
        let times = Times { patience: Duration::from_millis(100), ..TIMES };
        let keys = Arc::new(VerificationKeys::timed(Arc::new(Hung), times));
        let began = Instant::now();
        let all = (0..50).map(|_| kind(&keys, "a"));
        for answer in futures::future::join_all(all).await {
            assert_eq!(answer, Some(FaultKind::Unavailable));
        }
        assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn who_does_not_answer_signs_nobody_out() {
        let times = Times { fresh: Duration::from_millis(30), pause: Duration::from_millis(10), ..TIMES };
        let (issuer, keys) = keys(times);
        keys.prepare().await.unwrap();
        issuer.lists(None);
        let asked = issuer.asked();
        until("it is asked again behind", async || {
            assert_eq!(kind(&keys, "a").await, None);
            issuer.asked() > asked + 1
        })
        .await;
        // What is not known may be good: nobody can tell.
        let fault = keys.key("b").await.err().unwrap();
        assert_eq!((fault.kind, fault.retry_after), (FaultKind::Unavailable, Some(1)));
        issuer.lists(Some(&["b"]));
        until("it answers again", async || kind(&keys, "b").await.is_none()).await;
    }

    #[tokio::test]
    async fn a_key_that_is_withdrawn_goes_with_the_next_answer() {
        let times = Times { fresh: Duration::from_millis(20), pause: Duration::from_millis(5), ..TIMES };
        let (issuer, keys) = keys(times);
        assert!(!keys.are_known());
        assert_eq!(kind(&keys, "a").await, None);
        issuer.lists(Some(&["b"]));
        until("it is gone", async || kind(&keys, "a").await == Some(FaultKind::Unauthenticated)).await;
        assert_eq!(kind(&keys, "b").await, None);
    }

    #[tokio::test]
    async fn without_any_key_there_is_no_judgement() {
        let times = Times { kept: Duration::from_millis(50), pause: Duration::from_secs(600), ..TIMES };
        let (issuer, keys) = keys(times);
        issuer.lists(None);
        for _ in 0..3 {
            assert_eq!(kind(&keys, "a").await, Some(FaultKind::Unavailable));
        }
        assert_eq!(issuer.asked(), 1);
        issuer.lists(Some(&["a"]));
        keys.prepare().await.unwrap();
        issuer.lists(None);
        assert!(keys.are_known());
        until("they are too old", async || kind(&keys, "a").await.is_some()).await;
    }

    #[tokio::test]
    async fn a_client_that_goes_away_takes_no_answer_along() {
        let (issuer, keys) = keys(TIMES);
        let hasty = tokio::time::timeout(Duration::from_millis(1), keys.key("a")).await;
        assert!(hasty.is_err());
        assert_eq!(kind(&keys, "a").await, None);
        assert_eq!(issuer.asked(), 1);
    }
}
