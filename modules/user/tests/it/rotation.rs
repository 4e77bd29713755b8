//! One signing key after the other: nobody is signed out, whatever happens meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use eshopz_platform::auth::{Authenticator, session_copies};
use eshopz_platform::cache::Redis;
use eshopz_testkit::TestApp;
use eshopz_testkit::db::TestDb;
use eshopz_user::{KeyState, UserError, UserModule, UserSettings, parse_signing_keys};
use serde_json::{Value, json};

use crate::shop::{Letters, PASSWORD, authenticator, module_with, settings};

/// Long enough for a look at the keys a second, short enough to wait for.
const REFRESH: Duration = Duration::from_millis(500);

fn quick() -> UserSettings {
    UserSettings { key_refresh: REFRESH, ..settings() }
}

/// A process with the user module.
struct Pod {
    module: UserModule,
    app: TestApp,
    checks: Authenticator,
}

impl Pod {
    async fn start(base: &TestDb, settings: UserSettings) -> Self {
        let sessions = session_copies(Redis::none());
        let module = module_with(base, Arc::new(Letters::default()), settings, sessions.clone());
        module.prepare().await.unwrap();
        let configured = module.clone();
        let app = TestApp::start_as(authenticator(&module, &sessions), move |cfg| configured.configure(cfg)).await;
        let checks = authenticator(&module, &sessions);
        checks.prepare().await.unwrap();
        Self { module, app: app.unwrap(), checks }
    }

    async fn token(&self) -> String {
        let body = json!({"email": "root@example.com", "password": PASSWORD});
        let answer = self.app.send("POST", "/api/v1/auth/login", &[], Some(body)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn kids(&self) -> Vec<String> {
        self.module.api().verifying_keys().await.unwrap().into_iter().map(|key| key.kid).collect()
    }

    /// A token with the name of a key that does not exist, which has the keys asked for again.
    async fn look_anew(&self, token: &str) {
        let (_, rest) = token.split_once('.').unwrap();
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"made up"}"#);
        self.checks.authenticate(&format!("{header}.{rest}")).await.unwrap_err();
    }
}

fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

async fn pods(settings: [UserSettings; 2]) -> (TestDb, [Pod; 2]) {
    let base = TestDb::new(&["user"]).await;
    let [one, other] = settings;
    let one = Pod::start(&base, one).await;
    one.module.create_admin("root@example.com", PASSWORD).await.unwrap();
    let other = Pod::start(&base, other).await;
    (base, [one, other])
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Every token opens every door, at every moment of a rotation, and in its course another key signs.
async fn nobody_is_signed_out(pods: &[Pod; 2], signs_from: chrono::DateTime<chrono::Utc>, new: &str) {
    let mut tokens: Vec<String> = Vec::new();
    let began = Instant::now();
    let mut done = false;
    while !done {
        assert!(began.elapsed() < Duration::from_secs(20), "the new key does not sign");
        done = true;
        for pod in pods {
            let token = pod.token().await;
            done &= kid(&token) == new;
            // The database runs on this machine, so its clock is ours.
            let early = (signs_from - chrono::Utc::now()).num_milliseconds();
            assert!(kid(&token) != new || early < 50, "it signs {early} ms too early");
            tokens.push(token);
        }
        for token in tokens.iter().rev().take(20).chain(tokens.iter().take(2)) {
            for pod in pods {
                pod.checks.authenticate(token).await.unwrap();
            }
        }
        pause().await;
    }
    for pod in pods {
        for token in &tokens {
            pod.checks.authenticate(token).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_signs_nobody_out() {
    let (_base, pods) = pods([quick(), quick()]).await;
    let before = pods[0].token().await;
    let rotation = pods[0].module.rotate_keys().await.unwrap();
    assert_eq!((rotation.old.as_deref(), rotation.begun), (Some(kid(&before).as_str()), true));
    assert_ne!(rotation.new, kid(&before));
    let states: Vec<_> = pods[1].module.keys().await.unwrap().iter().map(|key| (key.kid.clone(), key.state)).collect();
    assert_eq!(states, [(kid(&before), KeyState::Signing), (rotation.new.clone(), KeyState::Announced)]);
    let again = pods[1].module.rotate_keys().await.unwrap();
    assert_eq!((again.new == rotation.new, again.old == rotation.old, again.begun), (true, true, false));
    nobody_is_signed_out(&pods, rotation.signs_from, &rotation.new).await;
    for pod in &pods {
        pod.checks.authenticate(&before).await.unwrap();
    }
    let states: Vec<_> = pods[1].module.keys().await.unwrap().iter().map(|key| key.state).collect();
    assert_eq!(states, [KeyState::Retired, KeyState::Signing]);
    // And the next one.
    let next = pods[1].module.rotate_keys().await.unwrap();
    assert_eq!((next.old.as_deref(), next.begun), (Some(rotation.new.as_str()), true));
    nobody_is_signed_out(&pods, next.signs_from, &next.new).await;
}

/// Its picture of the keys is from before the rotation, so it goes on with the old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_lags_behind_signs_with_a_key_that_is_still_good() {
    let (_base, pods) = pods([quick(), settings()]).await;
    let rotation = pods[0].module.rotate_keys().await.unwrap();
    let began = Instant::now();
    while kid(&pods[0].token().await) != rotation.new {
        assert!(began.elapsed() < Duration::from_secs(20));
        pause().await;
    }
    let late = pods[1].token().await;
    assert_eq!(Some(kid(&late)), rotation.old);
    pods[0].look_anew(&late).await;
    pods[0].checks.authenticate(&late).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_goes_when_its_last_token_has_expired() {
    let short = UserSettings {
        access_token_ttl: Duration::from_secs(1),
        key_refresh: Duration::from_millis(100),
        ..settings()
    };
    let (base, pods) = pods([short.clone(), short]).await;
    let old = kid(&pods[0].token().await);
    let rotation = pods[0].module.rotate_keys().await.unwrap();
    let began = Instant::now();
    loop {
        let asked_at = chrono::Utc::now();
        let kids = pods[1].kids().await;
        if !kids.contains(&old) {
            assert!(asked_at >= rotation.old_shown_until - chrono::TimeDelta::milliseconds(50), "it went too early");
            assert_eq!(kids, std::slice::from_ref(&rotation.new));
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it does not go");
        pause().await;
    }
    // The job deletes it, private half and all.
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let jobs: Vec<_> =
        pods[0].module.jobs().into_iter().map(|job| tokio::spawn(job.run(base.db("users"), stopped.clone()))).collect();
    let owner = base.owner().await;
    loop {
        let left: i64 = owner.query_one("SELECT count(*) FROM users.signing_keys", &[]).await.unwrap().get(0);
        if left == 1 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{left} keys are left");
        pause().await;
    }
    stop.send(true).unwrap();
    futures::future::join_all(jobs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotations_at_the_same_moment_are_one() {
    let (base, pods) = pods([quick(), quick()]).await;
    let rotations = (0..8).map(|number| {
        let module = pods[number % 2].module.clone();
        tokio::spawn(async move { module.rotate_keys().await.unwrap() })
    });
    let rotations: Vec<_> =
        futures::future::join_all(rotations.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(rotations.iter().filter(|rotation| rotation.begun).count(), 1);
    assert!(rotations.iter().all(|rotation| rotation.new == rotations[0].new && rotation.old == rotations[0].old));
    let keys: i64 = base.owner().await.query_one("SELECT count(*) FROM users.signing_keys", &[]).await.unwrap().get(0);
    assert_eq!(keys, 2);
    nobody_is_signed_out(&pods, rotations[0].signs_from, &rotations[0].new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_cut_off_happened_or_did_not() {
    let (base, pods) = pods([quick(), quick()]).await;
    let owner = base.owner().await;
    for micros in (0..20_000).step_by(1_000) {
        // Whoever is cut off takes the connection along, as a process that dies would.
        let module = module_with(&base, Arc::new(Letters::default()), quick(), session_copies(Redis::none()));
        let _ = tokio::time::timeout(Duration::from_micros(micros), module.rotate_keys()).await;
        let row = owner
            .query_one(
                "SELECT count(*) FILTER (WHERE retired_at IS NULL), count(*) FILTER (WHERE retired_at IS NOT NULL), \
                        count(*) FROM users.signing_keys",
                &[],
            )
            .await
            .unwrap();
        let (active, leaving, all): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        assert!(active == 1 && leaving == all - 1, "{active} {leaving} {all}");
    }
    let rotation = pods[0].module.rotate_keys().await.unwrap();
    nobody_is_signed_out(&pods, rotation.signs_from, &rotation.new).await;
}

#[tokio::test]
async fn nobody_rotates_with_another_secret() {
    let (base, pods) = pods([quick(), quick()]).await;
    let stranger = UserSettings { key_secret: "another secret, just as long".to_owned(), ..quick() };
    let module = module_with(&base, Arc::new(Letters::default()), stranger, session_copies(Redis::none()));
    let error = module.rotate_keys().await.unwrap_err().to_string();
    assert!(error.contains("secret"), "{error}");
    let known = pods[0].kids().await;
    assert!(module.revoke_key(&known[0]).await.is_err());
    assert_eq!(pods[1].module.keys().await.unwrap().len(), 1);
    assert_eq!(pods[1].kids().await, known);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_key_is_refused_and_who_had_its_tokens_stays_signed_in() {
    let (_base, pods) = pods([quick(), quick()]).await;
    let body = json!({"email": "root@example.com", "password": PASSWORD});
    let signed_in = pods[0].app.send("POST", "/api/v1/auth/login", &[], Some(body)).await.unwrap().json();
    let token = signed_in["access_token"].as_str().unwrap();
    for pod in &pods {
        pod.checks.authenticate(token).await.unwrap();
    }
    let revoked = pods[0].module.revoke_key(&kid(token)).await.unwrap();
    let successor = revoked.successor.unwrap();
    assert!(matches!(pods[0].module.revoke_key(&kid(token)).await, Err(UserError::NoSuchKey)));
    // Nothing has to expire: the next answer of the user module takes the key away, and with it what
    // was found good before.
    let began = Instant::now();
    for pod in &pods {
        while pod.checks.authenticate(token).await.is_ok() {
            assert!(began.elapsed() < Duration::from_secs(10), "the stolen key is still good");
            pod.look_anew(token).await;
            pause().await;
        }
    }
    let body = json!({"refresh_token": signed_in["refresh_token"]});
    let fresh = pods[0].app.send("POST", "/api/v1/auth/refresh", &[], Some(body)).await.unwrap().json();
    let fresh = fresh["access_token"].as_str().unwrap();
    assert_eq!(kid(fresh), successor);
    for pod in &pods {
        while let Err(fault) = pod.checks.authenticate(fresh).await {
            assert!(began.elapsed() < Duration::from_secs(10), "{fault}");
            pause().await;
        }
    }
    // One that was only announced: the present one goes on.
    let rotation = pods[1].module.rotate_keys().await.unwrap();
    assert_eq!(pods[0].module.revoke_key(&rotation.new).await.unwrap().successor, None);
    let left = pods[0].module.keys().await.unwrap();
    assert_eq!((left.len(), &left[0].kid, left[0].state, left[0].retired_at), (1, &successor, KeyState::Signing, None));
    // One that signs while another is announced: that one begins at once.
    let rotation = pods[1].module.rotate_keys().await.unwrap();
    let revoked = pods[0].module.revoke_key(&successor).await.unwrap();
    assert_eq!(revoked.successor.as_ref(), Some(&rotation.new));
    assert_eq!(kid(&pods[0].token().await), rotation.new);
}

fn pem(seed: u8) -> String {
    let der = SigningKey::from_bytes(&[seed; 32]).to_pkcs8_der().unwrap();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_operator_gives_are_rotated_where_they_come_from() {
    let given =
        UserSettings { signing_keys: parse_signing_keys(&pem(1)).unwrap(), key_secret: String::new(), ..quick() };
    let (base, pods) = pods([given.clone(), given]).await;
    let before = pods[0].token().await;
    assert_eq!(pods[1].kids().await, [kid(&before)]);
    for error in [
        pods[0].module.rotate_keys().await.unwrap_err().to_string(),
        pods[0].module.revoke_key("x").await.unwrap_err().to_string(),
        pods[0].module.keys().await.unwrap_err().to_string(),
    ] {
        assert!(error.contains("ESHOPZ_SIGNING_KEYS; rotate them there"), "{error}");
    }
    let error = pods[0].module.replace_signing_keys("nonsense").unwrap_err().to_string();
    assert!(!error.contains("nonsense"), "{error}");
    assert_eq!(pods[0].kids().await, [kid(&before)]);
    // The secret store tells one process after the other.
    let both = format!("{}{}", pem(2), pem(1));
    pods[0].module.replace_signing_keys(&both).unwrap();
    assert_eq!(kid(&pods[0].token().await), kid(&before), "nobody has seen the new one yet");
    pods[1].module.replace_signing_keys(&both).unwrap();
    let new = pods[0].kids().await.into_iter().find(|other| *other != kid(&before)).unwrap();
    nobody_is_signed_out(&pods, chrono::Utc::now(), &new).await;
    let stored: i64 =
        base.owner().await.query_one("SELECT count(*) FROM users.signing_keys", &[]).await.unwrap().get(0);
    assert_eq!(stored, 0, "they are in no database");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_given_the_new_key_last_takes_the_tokens_of_the_first() {
    let apart = Duration::from_secs(3);
    let given = UserSettings {
        signing_keys: parse_signing_keys(&pem(1)).unwrap(),
        signing_keys_known_within: apart,
        ..quick()
    };
    let (_base, [first, last]) = pods([given.clone(), given]).await;
    let before = first.token().await;
    first.module.replace_signing_keys(&pem(2)).unwrap();
    let new = first.kids().await.into_iter().find(|other| *other != kid(&before)).unwrap();
    // The last one looks at the secret as late as it may.
    let told = Instant::now();
    while told.elapsed() < apart {
        let token = first.token().await;
        last.checks.authenticate(&token).await.unwrap();
        pause().await;
    }
    last.module.replace_signing_keys(&pem(2)).unwrap();
    nobody_is_signed_out(&[first, last], chrono::Utc::now(), &new).await;
}
