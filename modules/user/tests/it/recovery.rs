//! What goes by mail.

use std::time::Duration;

use eshopz_user::{Limit, UserSettings};
use serde_json::{Value, json};

use crate::shop::{PASSWORD, Shop, assert_field, settings};

const NEW_PASSWORD: &str = "battery staple correct";

async fn confirm(shop: &Shop, token: &str, password: &str) -> eshopz_testkit::TestAnswer {
    let body = json!({"token": token, "new_password": password});
    shop.call("POST", "/auth/password-reset/confirm", "", body).await
}

#[tokio::test]
async fn a_forgotten_password_is_replaced() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let asked = shop.call("POST", "/auth/password-reset", "", json!({"email": "Ann@example.com"})).await;
    assert_eq!(asked.status, 202);
    let letter = shop.letters.token("ann@example.com", "new password").await;

    assert_field(&confirm(&shop, &letter, "short").await, "/new_password", "length");
    assert_field(&confirm(&shop, &letter, "Ann-Example-1").await, "/new_password", "too_personal");
    assert_eq!(confirm(&shop, &letter, NEW_PASSWORD).await.status, 204);
    assert!(!shop.is_signed_in(&token).await);
    assert_eq!(shop.try_sign_in("ann@example.com", PASSWORD).await.status, 401);
    let signed_in = shop.try_sign_in("ann@example.com", NEW_PASSWORD).await.json();
    assert_eq!(signed_in["user"]["email_verified"], json!(true));

    let again = confirm(&shop, &letter, NEW_PASSWORD).await;
    assert_eq!((again.status, again.code().as_str()), (422, "invalid_or_expired_token"));
    assert_eq!(confirm(&shop, "made-up", NEW_PASSWORD).await.code(), "invalid_or_expired_token");
}

#[tokio::test]
async fn a_changed_password_outdates_a_letter_that_is_on_its_way() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    shop.call("POST", "/auth/password-reset", "", json!({"email": "ann@example.com"})).await;
    let letter = shop.letters.token("ann@example.com", "new password").await;
    let change = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    assert_eq!(shop.call("PUT", "/users/me/password", &token, change).await.status, 204);
    assert_eq!(confirm(&shop, &letter, "somebody else's choice").await.code(), "invalid_or_expired_token");
    assert_eq!(shop.try_sign_in("ann@example.com", NEW_PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_reset_says_nothing_about_who_has_an_account() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    let ask = |email: &'static str| shop.call("POST", "/auth/password-reset", "", json!({"email": email}));
    let (known, unknown) = (ask("ann@example.com").await, ask("nobody@example.com").await);
    assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
    shop.letters.token("ann@example.com", "new password").await;
    assert_eq!(shop.letters.count("nobody@example.com"), 0);
    for email in ["ann@example.com", "nobody@example.com"] {
        for _ in 0..4 {
            assert_eq!(ask(email).await.status, 202);
        }
        assert_eq!(ask(email).await.status, 429);
    }
}

#[tokio::test]
async fn a_reset_token_expires_and_is_good_for_nothing_else() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    let to_verify = shop.letters.token("ann@example.com", "Confirm").await;
    assert_eq!(confirm(&shop, &to_verify, NEW_PASSWORD).await.code(), "invalid_or_expired_token");
    shop.call("POST", "/auth/password-reset", "", json!({"email": "ann@example.com"})).await;
    let letter = shop.letters.token("ann@example.com", "new password").await;
    assert_eq!(shop.call("POST", "/auth/verify-email", "", json!({"token": letter})).await.status, 422);
    let hashed = "SELECT count(*) FROM users.mailed_tokens WHERE octet_length(hash) = 32";
    assert_eq!(shop.number(hashed).await, 2);
    shop.sql("UPDATE users.mailed_tokens SET expires_at = now()").await;
    assert_eq!(confirm(&shop, &letter, NEW_PASSWORD).await.code(), "invalid_or_expired_token");
    assert_eq!(shop.try_sign_in("ann@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn of_two_who_use_a_reset_token_at_once_one_does() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    shop.call("POST", "/auth/password-reset", "", json!({"email": "ann@example.com"})).await;
    let letter = shop.letters.token("ann@example.com", "new password").await;
    let (one, other) =
        tokio::join!(confirm(&shop, &letter, NEW_PASSWORD), confirm(&shop, &letter, "another password!"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 422]);
}

/// Else one address could take the letters of any number of people.
#[tokio::test]
async fn an_address_that_has_had_its_share_takes_nothing_from_an_account() {
    let limited = UserSettings { resets_per_address: Limit::new(2, Duration::from_secs(3_600)), ..settings() };
    let shop = Shop::open_with(limited).await;
    shop.register("ann@example.com").await;
    let ask = |email: String| shop.call("POST", "/auth/password-reset", "", json!({"email": email}));
    for number in 0..2 {
        let asked = ask(format!("made-up-{number}@example.com")).await;
        assert_eq!(asked.status, 202);
        assert!(asked.header("ratelimit").contains("reset_account"), "{}", asked.header("ratelimit"));
    }
    let refused = ask("ann@example.com".to_owned()).await;
    assert_eq!(refused.status, 429);
    assert!(!refused.header("ratelimit").contains("reset_account"), "{}", refused.header("ratelimit"));
}

/// Two letters for one account, used at the same moment, each by somebody who needs what the other holds.
#[tokio::test]
async fn of_two_letters_that_are_used_at_once_one_counts() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    let mut last = String::new();
    let mut new_letter = async || {
        shop.call("POST", "/auth/password-reset", "", json!({"email": "ann@example.com"})).await;
        loop {
            let letter = shop.letters.token("ann@example.com", "new password").await;
            if letter != last {
                last.clone_from(&letter);
                return letter;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    for _ in 0..2 {
        let (first, second) = (new_letter().await, new_letter().await);
        let (one, other) =
            tokio::join!(confirm(&shop, &first, NEW_PASSWORD), confirm(&shop, &second, "another password!"));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 422]);
    }
}

/// Somebody else's wrong passwords keep nobody out who can read his mail.
#[tokio::test]
async fn a_new_password_lets_in_at_once() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    while shop.try_sign_in("ann@example.com", "a wrong password").await.status != 429 {}
    assert_eq!(shop.try_sign_in("Ann@example.com", PASSWORD).await.status, 429);
    shop.call("POST", "/auth/password-reset", "", json!({"email": "ann@example.com"})).await;
    let letter = shop.letters.token("ann@example.com", "new password").await;
    assert_eq!(confirm(&shop, &letter, NEW_PASSWORD).await.status, 204);
    assert_eq!(shop.try_sign_in("ann@example.com", NEW_PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_email_is_confirmed_once() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let letter = shop.letters.token("ann@example.com", "Confirm").await;
    let verify = || shop.call("POST", "/auth/verify-email", "", json!({"token": letter}));
    assert_eq!(verify().await.status, 204);
    let me = shop.call("GET", "/users/me", &token, Value::Null).await.json();
    assert_eq!(me["email_verified"], json!(true));
    let again = verify().await;
    assert_eq!((again.status, again.code().as_str()), (422, "invalid_or_expired_token"));
}
