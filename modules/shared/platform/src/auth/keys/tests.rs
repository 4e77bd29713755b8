//! The public keys, with a user module that answers, refuses or hangs.

use std::sync::Mutex as Exclusive;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use eshopz_kernel::{FaultKind, Role, SessionId};

use super::*;
use crate::auth::PublicKey;

/// Lists the keys that it is told to, or fails, or hangs.
#[derive(Default)]
struct Issuer {
    listed: Exclusive<Option<Vec<&'static str>>>,
    hangs: AtomicBool,
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
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let listed = self.listed.lock().unwrap().clone();
        // As another process would refuse this one; no person must see it.
        let listed = listed.ok_or_else(|| Fault::unauthenticated("invalid_token", "Who are you?"))?;
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

async fn nobody_comes_for_a_while(keys: &Arc<VerificationKeys>) {
    until("they are old", async || !keys.known().is_some_and(|known| keys.is_usable(&known))).await;
}

#[tokio::test]
async fn a_withdrawn_key_is_not_good_for_the_first_who_comes_after_a_while() {
    let (issuer, keys) = keys(Times { usable: Duration::from_millis(30), pause: Duration::ZERO, ..TIMES });
    keys.prepare().await.unwrap();
    issuer.lists(Some(&["b"]));
    nobody_comes_for_a_while(&keys).await;
    let all = futures::future::join_all((0..50).map(|_| kind(&keys, "a"))).await;
    assert!(all.iter().all(|kind| *kind == Some(FaultKind::Unauthenticated)), "{all:?}");
    assert_eq!(kind(&keys, "b").await, None);
}

#[tokio::test]
async fn who_hangs_holds_up_the_first_who_come_and_signs_nobody_out() {
    let (wait, patience) = (Duration::from_millis(200), Duration::from_secs(1));
    let times = Times { usable: Duration::from_millis(30), pause: Duration::ZERO, wait, patience, ..TIMES };
    let (issuer, keys) = keys(times);
    keys.prepare().await.unwrap();
    issuer.hangs.store(true, Ordering::SeqCst);
    nobody_comes_for_a_while(&keys).await;
    let began = Instant::now();
    let all = futures::future::join_all((0..50).map(|_| kind(&keys, "a"))).await;
    assert!(all.iter().all(Option::is_none), "{all:?}");
    assert!((wait..patience).contains(&began.elapsed()), "{:?}", began.elapsed());
    until("the question has failed", async || keys.has_just_failed()).await;
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(kind(&keys, "a").await, None);
    }
    assert!(began.elapsed() < patience, "{:?}", began.elapsed());
}

#[tokio::test]
async fn without_any_key_there_is_no_judgement() {
    let times = Times { kept: Duration::from_secs(1), pause: Duration::from_secs(600), ..TIMES };
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
