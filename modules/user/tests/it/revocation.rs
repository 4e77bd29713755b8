//! What ends a session shuts it out of every process within a second: with Redis, without it, and when
//! Redis dies or hangs meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use eshopz_kernel::{Fault, FaultKind, Role, SessionId};
use eshopz_platform::auth::{Authenticator, Identity, PublicKey, session_copies};
use eshopz_platform::cache::Redis;
use eshopz_testkit::TestApp;
use eshopz_testkit::redis::TestRedis;
use serde_json::{Value, json};

use crate::shop::{Issuer, Letters, PASSWORD, Shop, access, authenticator, module_with, settings, until};

const NEW_PASSWORD: &str = "battery staple correct";

/// The ways in which a session ends.
const ENDINGS: [&str; 8] =
    ["logout", "device", "reset", "password", "disabled", "role", "deleted", "refresh token reused"];

/// How Redis fares between the last look at the sessions and their end.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Absent,
    Alive,
    Killed,
    Hung,
}

/// Somebody with a session that will end, and how it was begun.
struct Person {
    ending: &'static str,
    email: String,
    user: Value,
    token: String,
    refresh_token: Value,
    /// Of another session.
    elsewhere: String,
    /// From a letter, for a new password.
    letter: String,
}

async fn person(shop: &Shop, ending: &'static str) -> Person {
    let email = format!("{}@example.com", ending.replace(' ', "-"));
    let user = shop.register(&email).await;
    let elsewhere = access(&shop.sign_in(&email).await);
    let tokens = shop.sign_in(&email).await;
    let (mut token, spent) = (access(&tokens), tokens["refresh_token"].clone());
    let mut letter = String::new();
    match ending {
        "refresh token reused" => token = access(&shop.refresh(&spent).await.json()),
        "reset" => {
            shop.call("POST", "/auth/password-reset", "", json!({"email": email})).await;
            letter = shop.letters.token(&email, "new password").await;
        }
        _ => {}
    }
    Person { ending, email, user, token, refresh_token: spent, elsewhere, letter }
}

/// Ends the session by the way that is the person's.
async fn end(shop: &Shop, admin: &str, person: &Person) {
    let account = format!("/users/{}", person.user["id"].as_str().unwrap());
    let (token, elsewhere) = (person.token.as_str(), person.elsewhere.as_str());
    let answer = match person.ending {
        "logout" => shop.call("POST", "/auth/logout", token, Value::Null).await,
        "device" => {
            let list = shop.call("GET", "/users/me/sessions", token, Value::Null).await.json();
            let items = list["items"].as_array().unwrap().clone();
            let id =
                items.iter().find(|item| item["current"] == json!(true)).unwrap()["id"].as_str().unwrap().to_owned();
            shop.call("DELETE", &format!("/users/me/sessions/{id}"), elsewhere, Value::Null).await
        }
        "reset" => {
            let body = json!({"token": person.letter, "new_password": NEW_PASSWORD});
            shop.call("POST", "/auth/password-reset/confirm", "", body).await
        }
        "password" => {
            let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
            shop.call("PUT", "/users/me/password", elsewhere, body).await
        }
        "disabled" => shop.call("PATCH", &account, admin, json!({"disabled": true})).await,
        "role" => shop.call("PATCH", &account, admin, json!({"role": "admin"})).await,
        "deleted" => shop.call("DELETE", "/users/me", elsewhere, Value::Null).await,
        _ => shop.refresh(&person.refresh_token).await,
    };
    let expected = if person.ending == "refresh token reused" { 401 } else { 200 };
    assert!(answer.status == expected || answer.status == 204, "{}: {} {}", person.ending, answer.status, answer.text);
}

/// A process that does not end the sessions, with its own way to Redis, and the user module that it asks.
fn pod(shop: &Shop, redis: Option<&TestRedis>) -> Arc<Authenticator> {
    let sessions = session_copies(way_to(redis));
    let module = module_with(&shop.base, Arc::new(Letters::default()), settings(), sessions.clone());
    Arc::new(authenticator(&module, &sessions))
}

fn way_to(redis: Option<&TestRedis>) -> Redis {
    Redis::new(redis.map(TestRedis::url).as_deref()).unwrap()
}

/// Looks again and again, so that copies are as young as they can be when the session ends; gives the
/// moment at which it came when it was last let in.
async fn look(pod: Arc<Authenticator>, token: String, seen: Arc<AtomicBool>) -> Instant {
    let mut let_in = Instant::now();
    loop {
        let came = Instant::now();
        match pod.authenticate(&token).await {
            Ok(_) => {
                let_in = came;
                seen.store(true, Ordering::SeqCst);
            }
            Err(fault) => {
                assert_eq!((fault.kind, fault.code.as_ref()), (FaultKind::Unauthenticated, "invalid_token"), "{fault}");
                return let_in;
            }
        }
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
}

async fn sessions_end_everywhere(fate: Fate) {
    let mut redis = (fate != Fate::Absent).then(TestRedis::start);
    let letters = Arc::<Letters>::default();
    let shop = Shop::open_sharing(way_to(redis.as_ref()), letters.clone(), letters, settings()).await;
    let admin = shop.admin().await;
    let pods = [pod(&shop, redis.as_ref()), pod(&shop, redis.as_ref())];
    let people = futures::future::join_all(ENDINGS.map(|ending| person(&shop, ending))).await;
    let (mut looking, mut all_seen) = (Vec::new(), Vec::new());
    for person in &people {
        for (number, pod) in pods.iter().enumerate() {
            let seen = Arc::<AtomicBool>::default();
            all_seen.push(Arc::clone(&seen));
            let looks = tokio::spawn(look(Arc::clone(pod), person.token.clone(), seen));
            looking.push((person, number, looks));
        }
    }
    until("everybody was let in", || all_seen.iter().all(|seen| seen.load(Ordering::SeqCst))).await;
    match (fate, &mut redis) {
        (Fate::Killed, Some(redis)) => redis.kill(),
        (Fate::Hung, Some(redis)) => redis.stop(),
        _ => {}
    }
    let ended = futures::future::join_all(people.iter().map(async |person| {
        end(&shop, &admin, person).await;
        let ended = Instant::now();
        assert!(!shop.is_signed_in(&person.token).await, "{} is let in where it was ended", person.email);
        (person.ending, ended)
    }))
    .await;
    for (person, number, looks) in looking {
        let let_in = looks.await.unwrap();
        let (_, ended) = ended.iter().find(|(ending, _)| *ending == person.ending).unwrap();
        let took = let_in.saturating_duration_since(*ended);
        assert!(took < Duration::from_secs(1), "{}: let in by pod {number} for {took:?}", person.ending);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_everywhere_without_redis() {
    sessions_end_everywhere(Fate::Absent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_everywhere_with_redis() {
    sessions_end_everywhere(Fate::Alive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_everywhere_when_redis_dies() {
    sessions_end_everywhere(Fate::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_everywhere_when_redis_hangs() {
    sessions_end_everywhere(Fate::Hung).await;
}

/// A copy made before Redis stood still must not come back with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_come_back_with_redis() {
    let redis = TestRedis::start();
    let letters = Arc::<Letters>::default();
    let shop = Shop::open_sharing(way_to(Some(&redis)), letters.clone(), letters, settings()).await;
    let token = shop.customer("ann@example.com").await;
    let pod = pod(&shop, Some(&redis));
    pod.authenticate(&token).await.unwrap();
    redis.stop();
    assert_eq!(shop.call("POST", "/auth/logout", &token, Value::Null).await.status, 204);
    let ended = Instant::now();
    while pod.authenticate(&token).await.is_ok() {
        assert!(ended.elapsed() < Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    redis.cont();
    let back = Instant::now();
    while back.elapsed() < Duration::from_millis(1_500) {
        assert!(pod.authenticate(&token).await.is_err(), "let in again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The user module behind a network that can fail.
struct Far {
    issuer: Issuer,
    gone: AtomicBool,
}

impl Far {
    fn reach(&self) -> Result<(), Fault> {
        if self.gone.load(Ordering::SeqCst) { Err(Fault::unavailable("The user module is away.", 1)) } else { Ok(()) }
    }
}

#[async_trait]
impl Identity for Far {
    async fn public_keys(&self) -> Result<Vec<PublicKey>, Fault> {
        self.reach()?;
        self.issuer.public_keys().await
    }

    async fn session_role(&self, session: SessionId) -> Result<Option<Role>, Fault> {
        self.reach()?;
        self.issuer.session_role(session).await
    }
}

#[tokio::test]
async fn who_cannot_be_checked_is_asked_to_come_again_and_not_signed_out() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let far = Arc::new(Far { issuer: Issuer(shop.module.api()), gone: AtomicBool::new(true) });
    let neighbour = Authenticator::new(far.clone(), session_copies(Redis::none()));
    let configured = shop.module.clone();
    let app = TestApp::start_as(neighbour, move |cfg| configured.configure(cfg)).await.unwrap();
    let bearer = format!("Bearer {token}");
    let me = || async {
        let headers = [("authorization", bearer.as_str())];
        app.send("GET", "/api/v1/users/me", &headers, None).await.unwrap()
    };
    // Before there are any keys.
    let answer = me().await;
    assert_eq!((answer.status, answer.header("retry-after").as_str()), (503, "1"), "{}", answer.text);
    far.gone.store(false, Ordering::SeqCst);
    let began = Instant::now();
    while me().await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(5), "{}", me().await.text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    far.gone.store(true, Ordering::SeqCst);
    // With keys, and without sessions; a forged token is told from a good one all the same.
    let began = Instant::now();
    while me().await.status == 200 {
        assert!(began.elapsed() < Duration::from_secs(1), "let in without a look at the session");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answer = me().await;
    assert_eq!((answer.status, answer.header("retry-after").as_str()), (503, "1"), "{}", answer.text);
    let forged = format!("{bearer}x");
    let answer = app.send("GET", "/api/v1/users/me", &[("authorization", forged.as_str())], None).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_token"));
    far.gone.store(false, Ordering::SeqCst);
    assert_eq!(me().await.status, 200, "nobody was signed out");
}
