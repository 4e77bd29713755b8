//! What a person does with his own account.

use eshopz_kernel::UserId;
use serde_json::{Value, json};

use crate::shop::{PASSWORD, Shop, access, assert_field};

const NEW_PASSWORD: &str = "battery staple correct";

#[tokio::test]
async fn a_profile_is_changed_where_it_was_asked() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let patch = |body| shop.call("PATCH", "/users/me", &token, body);
    let changed = patch(json!({"full_name": " Ann Other ", "phone": "+49 30 901820"})).await.json();
    assert_eq!((&changed["full_name"], &changed["phone"]), (&json!("Ann Other"), &json!("+49 30 901820")));
    assert_eq!(patch(json!({})).await.json(), changed);
    let cleared = patch(json!({"phone": null})).await.json();
    assert_eq!((&cleared["full_name"], &cleared["phone"]), (&json!("Ann Other"), &Value::Null));
    assert_field(&patch(json!({"full_name": null})).await, "/full_name", "invalid");
    assert_field(&patch(json!({"full_name": "a\u{0}b"})).await, "/full_name", "nul_character");
    assert_field(&patch(json!({"phone": "call me"})).await, "/phone", "phone");
    assert_field(&patch(json!({"email": "x@example.com"})).await, "/email", "unknown_field");
    assert_field(&patch(json!({"role": "admin"})).await, "/role", "unknown_field");
}

#[tokio::test]
async fn a_change_can_be_made_conditional() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let seen = shop.call("GET", "/users/me", &token, Value::Null).await.header("etag");
    let known = shop.call_with("GET", "/users/me", &token, &[("if-none-match", &seen)], Value::Null).await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));
    let patch = |name: &'static str| {
        let (shop, token, seen) = (&shop, &token, &seen);
        async move { shop.call_with("PATCH", "/users/me", token, &[("if-match", seen)], json!({"full_name": name})).await }
    };
    let first = patch("First").await;
    assert_eq!(first.status, 200);
    assert_ne!(first.header("etag"), seen);
    let second = patch("Second").await;
    assert_eq!((second.status, second.code().as_str()), (412, "etag_mismatch"));
    let gone = shop.call_with("DELETE", "/users/me", &token, &[("if-match", &seen)], Value::Null).await;
    assert_eq!(gone.status, 412);
    let known = shop.call_with("GET", "/users/me", &token, &[("if-none-match", &seen)], Value::Null).await;
    assert_eq!(known.json()["full_name"], json!("First"));
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let other = access(&shop.sign_in("ann@example.com").await);
    let put = |current: &'static str, new: &'static str| {
        shop.call("PUT", "/users/me/password", &token, json!({"current_password": current, "new_password": new}))
    };
    assert_field(&put("not the password", NEW_PASSWORD).await, "/current_password", "incorrect");
    assert_field(&put(PASSWORD, "password1234").await, "/new_password", "too_common");
    assert_eq!(put(PASSWORD, NEW_PASSWORD).await.status, 204);
    assert!(shop.is_signed_in(&token).await);
    assert!(!shop.is_signed_in(&other).await);
    assert_eq!(shop.try_sign_in("ann@example.com", PASSWORD).await.status, 401);
    assert_eq!(shop.try_sign_in("ann@example.com", NEW_PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_stolen_session_is_no_way_to_guess_the_password() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let body = json!({"current_password": "not the password", "new_password": NEW_PASSWORD});
    for _ in 0..10 {
        assert_eq!(shop.call("PUT", "/users/me/password", &token, body.clone()).await.status, 422);
    }
    assert_eq!(shop.call("PUT", "/users/me/password", &token, body).await.status, 429);
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing_of_the_person() {
    let shop = Shop::open().await;
    let user = shop.register("ann@example.com").await;
    let tokens = shop.sign_in("ann@example.com").await;
    let token = access(&tokens);
    let address = json!({"name": "Ann", "line1": "1 Harbour Street", "city": "Portland", "postal_code": "97201",
        "country": "US", "is_default": true});
    assert_eq!(shop.call("POST", "/users/me/addresses", &token, address).await.status, 201);
    shop.call("PATCH", "/users/me", &token, json!({"phone": "+1 555 0100"})).await;

    assert_eq!(shop.call("DELETE", "/users/me", &token, Value::Null).await.status, 204);
    assert!(!shop.is_signed_in(&token).await);
    assert_eq!(shop.refresh(&tokens["refresh_token"]).await.status, 401);
    assert_eq!(shop.try_sign_in("ann@example.com", PASSWORD).await.status, 401);
    let id: UserId = user["id"].as_str().unwrap().parse().unwrap();
    let rest = format!(
        "SELECT count(*) FROM users.users WHERE id = '{id}' AND email = 'deleted+{id}@invalid' AND full_name = '' \
         AND phone IS NULL AND password_hash IS NULL AND deleted_at IS NOT NULL"
    );
    assert_eq!(shop.number(&rest).await, 1);
    let event =
        format!("SELECT count(*) FROM users.outbox WHERE name = 'user.deleted.v1' AND payload->>'user_id' = '{id}'");
    assert_eq!(shop.number(&event).await, 1);
    assert_eq!(shop.number("SELECT count(*) FROM users.addresses").await, 0);
    assert!(shop.module.api().user(id).await.is_err_and(|fault| fault.code == "not_found"));
    assert!(shop.module.verify().await.unwrap().findings.is_empty());
    // The email is free again, and is somebody else's.
    assert_ne!(shop.register("ann@example.com").await["id"], user["id"]);
}

#[tokio::test]
async fn other_modules_see_an_account() {
    let shop = Shop::open().await;
    let user = shop.register("ann@example.com").await;
    let summary = shop.module.api().user(user["id"].as_str().unwrap().parse().unwrap()).await.unwrap();
    assert_eq!((summary.email.as_str(), summary.full_name.as_str()), ("ann@example.com", "Ann Example"));
    assert!(shop.module.api().user(UserId::new()).await.is_err_and(|fault| fault.code == "not_found"));
}
