//! Codes beside the password.

use std::time::{Duration, Instant};

use data_encoding::BASE32_NOPAD;
use eshopz_platform::auth::session_copies;
use eshopz_platform::cache::Redis;
use eshopz_testkit::{TestAnswer, TestApp};
use eshopz_user::{Limit, UserSettings};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::sync::watch;

use crate::shop::{Letters, PASSWORD, Shop, access, assert_field, authenticator, module, module_with, settings};

/// What an authenticator app shows `ahead` steps from now.
fn code_at(secret: &str, ahead: i64) -> String {
    let key = BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
    mac.update(&(chrono::Utc::now().timestamp() / 30 + ahead).to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest[19] & 15);
    let word = u32::from_be_bytes(digest[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

fn code(secret: &str) -> String {
    code_at(secret, 0)
}

/// A code that is none of those that are good about now.
fn wrong(secret: &str) -> String {
    let near: Vec<String> = (-3..=3).map(|ahead| code_at(secret, ahead)).collect();
    (0..10).map(|number| format!("{number:06}")).find(|code| !near.contains(code)).unwrap()
}

async fn begin(shop: &Shop, token: &str) -> String {
    let begun = shop.call("POST", "/users/me/second-factor", token, json!({"current_password": PASSWORD})).await;
    assert_eq!(begun.status, 200, "{}", begun.text);
    begun.json()["secret"].as_str().unwrap().to_owned()
}

async fn confirm(shop: &Shop, token: &str, code: &str) -> TestAnswer {
    shop.call("POST", "/users/me/second-factor/confirm", token, json!({"code": code})).await
}

/// Sets a factor up; gives its secret and the recovery codes. Its codes of now are good again afterwards.
async fn set_up(shop: &Shop, token: &str) -> (String, Vec<String>) {
    let secret = begin(shop, token).await;
    let confirmed = confirm(shop, token, &code(&secret)).await;
    assert_eq!(confirmed.status, 200, "{}", confirmed.text);
    assert_eq!(confirmed.header("cache-control"), "no-store");
    forget_steps(shop).await;
    let codes = confirmed.json()["recovery_codes"].as_array().unwrap().clone();
    (secret, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

async fn forget_steps(shop: &Shop) {
    shop.sql("UPDATE users.second_factors SET last_step = 0").await;
}

async fn sign_in_with(shop: &Shop, email: &str, more: Value) -> TestAnswer {
    let mut body = json!({"email": email, "password": PASSWORD});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    shop.call("POST", "/auth/login", "", body).await
}

async fn state(shop: &Shop, token: &str) -> (bool, i64) {
    let state = shop.call("GET", "/users/me/second-factor", token, Value::Null).await.json();
    (state["enabled"].as_bool().unwrap(), state["recovery_codes_left"].as_i64().unwrap())
}

#[tokio::test]
async fn a_second_factor_is_begun_and_holds_once_it_is_confirmed() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let elsewhere = access(&shop.sign_in("ann@example.com").await);
    assert_eq!(state(&shop, &token).await, (false, 0));
    let none = confirm(&shop, &token, "123456").await;
    assert_eq!((none.status, none.code().as_str()), (409, "second_factor_not_begun"));
    let refused = shop.call("POST", "/users/me/second-factor", &token, json!({"current_password": "wrong"})).await;
    assert_field(&refused, "/current_password", "incorrect");

    let begun = shop.call("POST", "/users/me/second-factor", &token, json!({"current_password": PASSWORD})).await;
    assert_eq!((begun.status, begun.header("cache-control").as_str()), (200, "no-store"));
    let begun = begun.json();
    let (first, uri) = (begun["secret"].as_str().unwrap(), begun["otpauth_uri"].as_str().unwrap());
    assert!(uri.starts_with("otpauth://totp/EShopz:ann%40example%2Ecom?secret=") && uri.contains(first), "{uri}");
    let secret = begin(&shop, &token).await;
    assert_ne!(secret, first, "a second beginning makes the first worth nothing");
    assert_field(&confirm(&shop, &token, &wrong(&secret)).await, "/code", "incorrect");
    assert_field(&confirm(&shop, &token, "12345").await, "/code", "code");
    shop.sign_in("ann@example.com").await;

    let confirmed = confirm(&shop, &token, &code(&secret)).await;
    assert_eq!(confirmed.json()["recovery_codes"].as_array().unwrap().len(), 10, "{}", confirmed.text);
    assert!(shop.is_signed_in(&token).await && !shop.is_signed_in(&elsewhere).await);
    assert_eq!(state(&shop, &token).await, (true, 10));
    assert_eq!(confirm(&shop, &token, &code(&secret)).await.code(), "second_factor_enabled");
    let again = shop.call("POST", "/users/me/second-factor", &token, json!({"current_password": PASSWORD})).await;
    assert_eq!((again.status, again.code().as_str()), (409, "second_factor_enabled"));

    let bytes = BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let plain = format!(
        "SELECT count(*) FROM users.second_factors WHERE encode(secret_encrypted, 'hex') LIKE '%{hex}%' \
         OR secret_encrypted::text LIKE '%{secret}%'"
    );
    assert_eq!(shop.number(&plain).await, 0);
    assert!(shop.module.verify().await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn what_was_begun_long_ago_is_not_confirmed() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let secret = begin(&shop, &token).await;
    shop.sql("UPDATE users.second_factors SET created_at = now() - interval '61 minutes'").await;
    assert_eq!(confirm(&shop, &token, &code(&secret)).await.code(), "second_factor_not_begun");
}

#[tokio::test]
async fn a_sign_in_needs_a_code_and_each_is_good_once() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let (secret, _) = set_up(&shop, &token).await;
    let without = shop.try_sign_in("ann@example.com", PASSWORD).await;
    assert_eq!((without.status, without.code().as_str()), (401, "second_factor_required"));
    assert!(without.header("www-authenticate").starts_with("Bearer"));
    let bad = sign_in_with(&shop, "ann@example.com", json!({"code": wrong(&secret)})).await;
    assert_eq!((bad.status, bad.code().as_str()), (401, "invalid_second_factor"));
    // Who does not know the password learns nothing of codes.
    let body = json!({"email": "ann@example.com", "password": "not the password", "code": code(&secret)});
    assert_eq!(shop.call("POST", "/auth/login", "", body).await.code(), "invalid_credentials");

    let now = code(&secret);
    let signed_in = sign_in_with(&shop, "ann@example.com", json!({"code": now})).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.text);
    assert_eq!(sign_in_with(&shop, "ann@example.com", json!({"code": now})).await.code(), "invalid_second_factor");
    // The clock of the telephone is a little ahead.
    assert_eq!(sign_in_with(&shop, "ann@example.com", json!({"code": code_at(&secret, 1)})).await.status, 200);
    let late = sign_in_with(&shop, "ann@example.com", json!({"code": now})).await;
    assert_eq!(late.code(), "invalid_second_factor", "older than the last that was used");

    let refreshed = shop.refresh(&signed_in.json()["refresh_token"]).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text);
    assert!(shop.is_signed_in(&access(&refreshed.json())).await);
    let both = sign_in_with(&shop, "ann@example.com", json!({"code": now, "recovery_code": "x"})).await;
    assert_field(&both, "/recovery_code", "one_of");
}

#[tokio::test]
async fn the_oauth_form_is_no_way_around() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let (secret, codes) = set_up(&shop, &token).await;
    let form = async |more: &str| {
        let body = format!("grant_type=password&username=ann%40example.com&password=correct%20horse%20battery{more}");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        shop.app.send_raw("POST", "/api/v1/auth/token", &headers, body.into_bytes()).await.unwrap()
    };
    assert_eq!(form("").await.code(), "second_factor_required");
    assert_eq!(form(&format!("&code={}", wrong(&secret))).await.code(), "invalid_second_factor");
    assert_eq!(form(&format!("&code={}", code(&secret))).await.status, 200);
    assert_eq!(form(&format!("&recovery_code={}", codes[0])).await.status, 200);
}

#[tokio::test]
async fn of_one_code_shown_to_two_processes_at_once_one_gets_in() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let (secret, codes) = set_up(&shop, &token).await;
    let sessions = session_copies(Redis::none());
    let other = module_with(&shop.base, std::sync::Arc::new(Letters::default()), settings(), sessions.clone());
    let configured = other.clone();
    let twin = TestApp::start_as(authenticator(&other, &sessions), move |cfg| configured.configure(cfg)).await.unwrap();
    for shown in [json!({"code": code(&secret)}), json!({"recovery_code": codes[0]})] {
        let mut body = json!({"email": "ann@example.com", "password": PASSWORD});
        body.as_object_mut().unwrap().extend(shown.as_object().unwrap().clone());
        let attempts = (0..4).map(|number| {
            let app = if number % 2 == 0 { &shop.app } else { &twin };
            app.send("POST", "/api/v1/auth/login", &[], Some(body.clone()))
        });
        let answers = futures::future::join_all(attempts).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.as_ref().unwrap().status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        shop.sql("UPDATE users.second_factors SET failures = 0").await;
    }
}

#[tokio::test]
async fn a_recovery_code_stands_once_for_a_code() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let (secret, codes) = set_up(&shop, &token).await;
    let typed = codes[3].replace('-', " ").to_lowercase();
    let used = json!({"recovery_code": typed});
    assert_eq!(sign_in_with(&shop, "ann@example.com", used.clone()).await.status, 200);
    assert_eq!(state(&shop, &token).await, (true, 9));
    assert_eq!(sign_in_with(&shop, "ann@example.com", used).await.code(), "invalid_second_factor");

    let renew = async |body: Value| shop.call("POST", "/users/me/second-factor/recovery-codes", &token, body).await;
    let missing = renew(json!({"current_password": PASSWORD})).await;
    assert_field(&missing, "/code", "required");
    let other = renew(json!({"current_password": PASSWORD, "recovery_code": codes[3]})).await;
    assert_field(&other, "/recovery_code", "incorrect");
    let renewed = renew(json!({"current_password": PASSWORD, "code": code(&secret)})).await;
    assert_eq!(renewed.status, 200, "{}", renewed.text);
    let fresh = renewed.json()["recovery_codes"][0].clone();
    assert_eq!(state(&shop, &token).await, (true, 10));
    let old = sign_in_with(&shop, "ann@example.com", json!({"recovery_code": codes[4]})).await;
    assert_eq!(old.code(), "invalid_second_factor");
    assert_eq!(sign_in_with(&shop, "ann@example.com", json!({"recovery_code": fresh})).await.status, 200);
    let stored = shop.number("SELECT count(*) FROM users.recovery_codes WHERE octet_length(hash) = 32").await;
    assert_eq!(stored, 9);
}

#[tokio::test]
async fn it_is_taken_away_with_password_and_code_only() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let take = async |body: Value| shop.call("DELETE", "/users/me/second-factor", &token, body).await;
    let none = take(json!({"current_password": PASSWORD, "code": "123456"})).await;
    assert_eq!((none.status, none.code().as_str()), (404, "not_found"));
    let (secret, _) = set_up(&shop, &token).await;
    let right = code(&secret);
    assert_field(&take(json!({"current_password": "wrong", "code": right})).await, "/current_password", "incorrect");
    assert_field(&take(json!({"current_password": PASSWORD, "code": wrong(&secret)})).await, "/code", "incorrect");
    assert_eq!(take(json!({"current_password": PASSWORD, "code": right})).await.status, 204);
    assert_eq!(state(&shop, &token).await, (false, 0));
    shop.sign_in("ann@example.com").await;
}

#[tokio::test]
async fn codes_are_not_guessed() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let (secret, codes) = set_up(&shop, &token).await;
    let bad = json!({"code": wrong(&secret)});
    let attempts = (0..20).map(|_| sign_in_with(&shop, "ann@example.com", bad.clone()));
    let answers = futures::future::join_all(attempts).await;
    let tried = answers.iter().filter(|answer| answer.code() == "invalid_second_factor").count();
    assert_eq!(tried, 5, "guesses in one burst");
    for more in [json!({"code": code(&secret)}), json!({"recovery_code": codes[0]})] {
        let answer = sign_in_with(&shop, "ann@example.com", more).await;
        assert_eq!((answer.status, answer.code().as_str()), (429, "rate_limited"));
        assert!((1..=900).contains(&answer.header("retry-after").parse::<u32>().unwrap()));
    }
    // Beginning anew or the account's own pages give no further guesses.
    let taken = json!({"current_password": PASSWORD, "code": code(&secret)});
    assert_eq!(shop.call("DELETE", "/users/me/second-factor", &token, taken).await.status, 429);
    shop.sql("UPDATE users.second_factors SET failures_since = now() - interval '16 minutes'").await;
    assert_eq!(sign_in_with(&shop, "ann@example.com", json!({"code": code(&secret)})).await.status, 200);
}

#[tokio::test]
async fn wrong_codes_are_failed_sign_ins() {
    let settings = UserSettings { sign_in_failures_per_account: Limit::new(2, Duration::from_secs(900)), ..settings() };
    let shop = Shop::open_with(settings).await;
    let token = shop.customer("ann@example.com").await;
    let (secret, _) = set_up(&shop, &token).await;
    for _ in 0..2 {
        let bad = sign_in_with(&shop, "ann@example.com", json!({"code": wrong(&secret)})).await;
        assert_eq!(bad.code(), "invalid_second_factor");
    }
    assert_eq!(sign_in_with(&shop, "ann@example.com", json!({"code": code(&secret)})).await.status, 429);
}

#[tokio::test]
async fn another_password_does_not_switch_it_off() {
    const NEW: &str = "battery staple correct";
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let (secret, _) = set_up(&shop, &token).await;
    shop.call("POST", "/auth/password-reset", "", json!({"email": "ann@example.com"})).await;
    let letter = shop.letters.token("ann@example.com", "new password").await;
    let body = json!({"token": letter, "new_password": NEW});
    assert_eq!(shop.call("POST", "/auth/password-reset/confirm", "", body).await.status, 204);
    let body = json!({"email": "ann@example.com", "password": NEW});
    assert_eq!(shop.call("POST", "/auth/login", "", body).await.code(), "second_factor_required");
    let body = json!({"email": "ann@example.com", "password": NEW, "code": code(&secret)});
    assert_eq!(shop.call("POST", "/auth/login", "", body).await.status, 200);
}

#[tokio::test]
async fn an_admin_helps_who_has_lost_everything() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let user = shop.register("ann@example.com").await;
    let token = access(&shop.sign_in("ann@example.com").await);
    let path = format!("/users/{}/second-factor", user["id"].as_str().unwrap());
    assert_eq!(shop.call("DELETE", &path, &admin, Value::Null).await.code(), "not_found");
    set_up(&shop, &token).await;
    assert_eq!(shop.call("DELETE", &path, &token, Value::Null).await.code(), "forbidden");
    assert_eq!(shop.call("DELETE", &path, &admin, Value::Null).await.status, 204);
    assert!(!shop.is_signed_in(&token).await);
    shop.sign_in("ann@example.com").await;

    set_up(&shop, &admin).await;
    let me = shop.call("GET", "/users/me", &admin, Value::Null).await.json();
    let own = format!("/users/{}/second-factor", me["id"].as_str().unwrap());
    assert_eq!(shop.call("DELETE", &own, &admin, Value::Null).await.code(), "own_second_factor");
}

#[tokio::test]
async fn an_admin_who_needs_one_can_do_nothing_without() {
    let shop = Shop::open_with(UserSettings { admins_need_second_factor: true, ..settings() }).await;
    let token = shop.admin().await;
    let users = async |token: &str| shop.call("GET", "/users", token, Value::Null).await;
    let refused = users(&token).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "second_factor_needed"), "{}", refused.text);
    let me = shop.call("GET", "/users/me", &token, Value::Null).await;
    assert_eq!((me.status, &me.json()["role"]), (200, &json!("admin")));
    let (secret, _) = set_up(&shop, &token).await;
    assert_eq!(users(&token).await.status, 200, "the same session, at once");
    let tokens = sign_in_with(&shop, "admin@example.com", json!({"code": code(&secret)})).await.json();
    assert_eq!(users(&access(&tokens)).await.status, 200);
    let refreshed = shop.refresh(&tokens["refresh_token"]).await.json();
    assert_eq!(users(&access(&refreshed)).await.status, 200);
    // In another process it shows within a second.
    let elsewhere = module(&shop.base, std::sync::Arc::new(Letters::default()), settings_of_production());
    let sessions = session_copies(Redis::none());
    let checks = authenticator(&elsewhere, &sessions);
    assert!(!checks.authenticate(&token).await.unwrap().lacks_second_factor);
    let taken = json!({"current_password": PASSWORD, "code": code_at(&secret, 1)});
    assert_eq!(shop.call("DELETE", "/users/me/second-factor", &token, taken).await.status, 204);
    assert_eq!(users(&token).await.code(), "second_factor_needed");
    let began = Instant::now();
    while !checks.authenticate(&token).await.unwrap().lacks_second_factor {
        assert!(began.elapsed() < Duration::from_secs(1), "elsewhere it still is an admin");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A customer needs none, and is told nothing else.
    let customer = shop.customer("ann@example.com").await;
    assert_eq!(users(&customer).await.code(), "forbidden");
}

fn settings_of_production() -> UserSettings {
    UserSettings { admins_need_second_factor: true, ..settings() }
}

#[tokio::test]
async fn the_first_admin_is_given_one_on_the_command_line() {
    let shop = Shop::open_with(settings_of_production()).await;
    let id = shop.module.create_admin("root@example.com", PASSWORD).await.unwrap();
    let (factor, codes) = shop.module.give_second_factor(id).await.unwrap();
    assert_eq!(codes.len(), 10);
    let tokens = sign_in_with(&shop, "root@example.com", json!({"code": code(&factor.secret)})).await.json();
    assert_eq!(shop.call("GET", "/users", &access(&tokens), Value::Null).await.status, 200);
    assert_eq!(shop.module.give_second_factor(id).await.err().unwrap().code, "second_factor_enabled");
}

#[tokio::test]
async fn another_secret_takes_over_and_the_one_before_can_go() {
    let old = settings();
    let new = "another secret for tests, not for you";
    let shop = Shop::open_with(UserSettings { reseal_after: Duration::ZERO, ..old.clone() }).await;
    let token = shop.customer("ann@example.com").await;
    let (secret, codes) = set_up(&shop, &token).await;
    shop.module.replace_key_secrets(&[new.to_owned(), old.key_secret.clone()]).unwrap();
    assert_eq!(sign_in_with(&shop, "ann@example.com", json!({"code": code(&secret)})).await.status, 200);
    forget_steps(&shop).await;

    let mut jobs = shop.module.jobs().into_iter();
    let job = jobs.find(|job| job.name() == "reseal_second_factors").unwrap();
    let sealed = "SELECT count(DISTINCT secret_encrypted) FROM users.second_factors WHERE sealed_by = ";
    let before: String =
        shop.base.owner().await.query_one("SELECT sealed_by FROM users.second_factors", &[]).await.unwrap().get(0);
    let (_open, closed) = watch::channel(false);
    tokio::spawn(job.run(shop.base.db("users"), closed));
    let began = Instant::now();
    while shop.number(&format!("{sealed}'{before}'")).await > 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "it is not locked anew");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shop.module.replace_key_secrets(&[new.to_owned()]).unwrap();
    assert_eq!(sign_in_with(&shop, "ann@example.com", json!({"code": code(&secret)})).await.status, 200);
    // Without the right secret codes cannot be checked, and recovery codes can.
    shop.module.replace_key_secrets(&["a third secret, which opens nothing".to_owned()]).unwrap();
    let locked = sign_in_with(&shop, "ann@example.com", json!({"code": code_at(&secret, 1)})).await;
    assert_eq!((locked.status, locked.code().as_str()), (503, "unavailable"));
    let recovered = sign_in_with(&shop, "ann@example.com", json!({"recovery_code": codes[0]})).await;
    assert_eq!(recovered.status, 200, "{}", recovered.text);
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing_of_it() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    set_up(&shop, &token).await;
    assert_eq!(shop.call("DELETE", "/users/me", &token, Value::Null).await.status, 204);
    let left = "SELECT (SELECT count(*) FROM users.second_factors) + (SELECT count(*) FROM users.recovery_codes)";
    assert_eq!(shop.number(left).await, 0);
    assert!(shop.module.verify().await.unwrap().findings.is_empty());
}
