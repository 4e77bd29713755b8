//! Signing in, refreshing, signing out.

use std::time::{Duration, Instant};

use eshopz_user::{Limit, UserSettings};
use serde_json::{Value, json};

use crate::shop::{Letters, PASSWORD, Shop, access, module, settings};

#[tokio::test]
async fn signing_in_gives_tokens() {
    let shop = Shop::open().await;
    let user = shop.register("ann@example.com").await;
    let answer = shop.try_sign_in("ann@example.com", PASSWORD).await;
    let tokens = answer.json();
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(tokens["user"], user);
    assert_eq!(tokens.as_object().unwrap().len(), 5);
    let me = shop.call("GET", "/users/me", &access(&tokens), Value::Null).await;
    assert_eq!((me.status, me.json()), (200, user));
    let stored = "SELECT count(*) FROM users.refresh_tokens WHERE octet_length(hash) = 32";
    assert_eq!(shop.number(stored).await, 1);
}

#[tokio::test]
async fn what_is_wrong_with_credentials_is_not_told() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    let disabled = shop.register("bob@example.com").await;
    shop.sql(&format!("UPDATE users.users SET disabled_at = now() WHERE id = {}", quoted(&disabled["id"]))).await;
    let mut answers = Vec::new();
    for (email, password) in [
        ("ann@example.com", "not the password"),
        ("nobody@example.com", PASSWORD),
        ("bob@example.com", PASSWORD),
        ("no address", PASSWORD),
    ] {
        let answer = shop.try_sign_in(email, password).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_credentials"), "{email}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        let mut problem = answer.json();
        problem.as_object_mut().unwrap().remove("request_id");
        answers.push(problem);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

fn quoted(value: &Value) -> String {
    format!("'{}'", value.as_str().unwrap())
}

#[tokio::test]
async fn failures_are_counted_per_account() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    shop.register("bob@example.com").await;
    for email in ["ann@example.com", "nobody@example.com"] {
        // Whoever signs in well may do so as often as he likes.
        if email == "ann@example.com" {
            for _ in 0..12 {
                shop.sign_in(email).await;
            }
        }
        for attempt in 0..10 {
            let email = if attempt % 2 == 0 { email.to_owned() } else { email.to_uppercase() };
            assert_eq!(shop.try_sign_in(&email, "not the password").await.status, 401);
        }
        let answer = shop.try_sign_in(email, PASSWORD).await;
        assert_eq!((answer.status, answer.code().as_str()), (429, "rate_limited"));
        let seconds: u32 = answer.header("retry-after").parse().unwrap();
        assert!((1..=900).contains(&seconds));
    }
    shop.sign_in("bob@example.com").await;
}

#[tokio::test]
async fn failures_are_counted_per_address_too() {
    let limit = Limit::new(3, Duration::from_secs(900));
    let shop = Shop::open_with(UserSettings { sign_in_failures_per_address: limit, ..settings() }).await;
    shop.register("ann@example.com").await;
    for number in 0..3 {
        assert_eq!(shop.try_sign_in(&format!("guess{number}@example.com"), PASSWORD).await.status, 401);
    }
    assert_eq!(shop.try_sign_in("ann@example.com", PASSWORD).await.status, 429);
}

#[tokio::test]
async fn attempts_sent_at_once_do_not_get_past_the_throttle() {
    let settings = UserSettings { hash_concurrency: 1, ..settings() };
    let shop = Shop::open_with(settings).await;
    shop.register("ann@example.com").await;
    let attempts = (0..40).map(|_| shop.try_sign_in("ann@example.com", "not the password"));
    let answers = futures::future::join_all(attempts).await;
    let tried = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(tried, 10, "guesses in one burst");
}

#[tokio::test]
async fn too_many_who_wait_are_told_to_come_again() {
    let settings = UserSettings { hash_concurrency: 1, hash_queue: 0, argon2_memory_kib: 65_536, ..settings() };
    let shop = Shop::open_with(settings).await;
    let attempts = (0..6).map(|number| {
        let email = format!("guess{number}@example.com");
        let shop = &shop;
        async move { shop.try_sign_in(&email, PASSWORD).await }
    });
    let answers = futures::future::join_all(attempts).await;
    let busy: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(!busy.is_empty() && busy.len() < 6, "{} busy", busy.len());
    assert_eq!((busy[0].code().as_str(), busy[0].header("retry-after").as_str()), ("unavailable", "2"));
}

#[tokio::test]
async fn a_hash_of_weaker_settings_is_made_anew_and_nobody_notices() {
    let shop = Shop::open_with(UserSettings { argon2_memory_kib: 128, argon2_iterations: 2, ..settings() }).await;
    let token = shop.customer("ann@example.com").await;
    let weak = module(&shop.base, std::sync::Arc::new(Letters::default()), settings());
    weak.create_admin("root@example.com", PASSWORD).await.unwrap();
    let made_with =
        |with: &str| format!("SELECT count(*) FROM users.users WHERE password_hash LIKE '$argon2id$v=19${with}$%'");
    assert_eq!(shop.number(&made_with("m=64,t=1,p=1")).await, 1);
    assert_eq!(shop.try_sign_in("root@example.com", "not the password").await.status, 401);
    assert_eq!(shop.number(&made_with("m=64,t=1,p=1")).await, 1, "who does not know it changes nothing");
    let began = Instant::now();
    while shop.number(&made_with("m=128,t=2,p=1")).await < 2 {
        assert!(began.elapsed() < Duration::from_secs(10), "it keeps its hash");
        // At once, so that some compare with the hash that another replaces.
        let attempts = (0..4).map(|_| shop.try_sign_in("root@example.com", PASSWORD));
        for answer in futures::future::join_all(attempts).await {
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
    }
    assert_eq!(shop.try_sign_in("root@example.com", PASSWORD).await.status, 200);
    assert!(shop.is_signed_in(&token).await);
}

#[tokio::test]
async fn a_refresh_token_is_good_once() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    let first = shop.sign_in("ann@example.com").await;
    let answer = shop.refresh(&first["refresh_token"]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let second = answer.json();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert!(shop.is_signed_in(&access(&first)).await && shop.is_signed_in(&access(&second)).await);
    let sessions = shop.call("GET", "/users/me/sessions", &access(&second), Value::Null).await.json();
    assert_eq!(sessions["items"].as_array().unwrap().len(), 1);

    // The thief's turn, or the person's after the thief: nobody knows, so the session ends.
    let other_session = access(&shop.sign_in("ann@example.com").await);
    let reused = shop.refresh(&first["refresh_token"]).await;
    assert_eq!((reused.status, reused.code().as_str()), (401, "refresh_token_reused"));
    assert!(!shop.is_signed_in(&access(&second)).await);
    let newest = shop.refresh(&second["refresh_token"]).await;
    assert_eq!((newest.status, newest.code().as_str()), (401, "invalid_refresh_token"));
    assert!(shop.is_signed_in(&other_session).await);
}

#[tokio::test]
async fn of_twins_one_gets_tokens_and_the_session_ends() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    let tokens = shop.sign_in("ann@example.com").await;
    let twins = (0..8).map(|_| shop.refresh(&tokens["refresh_token"]));
    let mut outcomes: Vec<(u16, String)> =
        futures::future::join_all(twins).await.iter().map(|answer| (answer.status, answer.code())).collect();
    outcomes.sort();
    assert_eq!(outcomes[0], (200, String::new()));
    assert!(outcomes[1..].iter().all(|outcome| *outcome == (401, "refresh_token_reused".to_owned())), "{outcomes:?}");
    assert!(!shop.is_signed_in(&access(&tokens)).await);
    assert!(shop.module.verify().await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn a_refresh_token_has_to_be_one() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    let tokens = shop.sign_in("ann@example.com").await;
    let unknown = shop.refresh(&json!("nobody-gave-this-out")).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (401, "invalid_refresh_token"));
    shop.sql("UPDATE users.refresh_tokens SET expires_at = now()").await;
    let expired = shop.refresh(&tokens["refresh_token"]).await;
    assert_eq!((expired.status, expired.code().as_str()), (401, "invalid_refresh_token"));
    assert_eq!(shop.refresh(&json!(7)).await.status, 422);
}

#[tokio::test]
async fn signing_out_shows_at_once_here_and_soon_everywhere() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    let tokens = shop.sign_in("ann@example.com").await;
    let token = access(&tokens);
    let sessions = shop.call("GET", "/users/me/sessions", &token, Value::Null).await.json();
    let session = sessions["items"][0]["id"].as_str().unwrap().parse().unwrap();
    let elsewhere = module(&shop.base, std::sync::Arc::new(Letters::default()), settings()).api();
    assert!(elsewhere.session_role(session).await.unwrap().is_some());

    assert_eq!(shop.call("POST", "/auth/logout", &token, Value::Null).await.status, 204);
    let after = shop.call("GET", "/users/me", &token, Value::Null).await;
    assert_eq!((after.status, after.code().as_str()), (401, "invalid_token"));
    let refreshed = shop.refresh(&tokens["refresh_token"]).await;
    assert_eq!((refreshed.status, refreshed.code().as_str()), (401, "invalid_refresh_token"));
    let ended = Instant::now();
    while elsewhere.session_role(session).await.unwrap().is_some() {
        assert!(ended.elapsed() < Duration::from_secs(1), "still signed in elsewhere");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(shop.call("POST", "/auth/logout", "", Value::Null).await.code(), "unauthenticated");
}

#[tokio::test]
async fn bad_bodies_are_explained() {
    let shop = Shop::open().await;
    for path in ["/auth/login", "/auth/refresh", "/auth/password-reset", "/auth/verify-email", "/users"] {
        let path = format!("/api/v1{path}");
        let raw = |headers: &'static [(&str, &str)], body: &str| {
            shop.app.send_raw("POST", &path, headers, body.as_bytes().to_vec())
        };
        assert_eq!(raw(&[("content-type", "application/json")], "{").await.unwrap().code(), "malformed_json");
        assert_eq!(raw(&[("content-type", "text/plain")], "{}").await.unwrap().status, 415);
        assert_eq!(raw(&[("content-type", "application/json")], "{}").await.unwrap().status, 422);
        let unknown = raw(&[("content-type", "application/json")], r#"{"nope": 1}"#).await.unwrap();
        assert_eq!(unknown.status, 422, "{}", unknown.text);
    }
}
