//! What was taken away does not work any more, anywhere, a second later.

use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, Shop, id};

/// A path of each module that only somebody who is signed in may ask.
const OF_CUSTOMERS: [&str; 4] = ["/api/v1/users/me", "/api/v1/carts/mine", "/api/v1/payments", "/api/v1/orders"];
/// And one of the fifth, for admins only.
const OF_ADMINS: &str = "/api/v1/products?status=draft";

const OTHER_PASSWORD: &str = "another horse, another staple";

fn is_out(answer: &Answer) -> bool {
    answer.status == 401 && answer.body["code"] == "invalid_token"
}

fn bearer(tokens: &Value) -> String {
    format!("Bearer {}", tokens["access_token"].as_str().unwrap())
}

/// So that whatever remembers sessions remembers this one.
async fn is_known_everywhere(shop: &Shop, token: &str) {
    for path in OF_CUSTOMERS {
        for _ in 0..2 * shop.pods {
            shop.get(path, &[("authorization", token)]).await;
        }
    }
}

async fn is_out_everywhere(shop: &Shop, token: &str) {
    let me = [("authorization", token)];
    let waits = OF_CUSTOMERS.map(|path| shop.within_a_second(path, &me, is_out));
    futures::future::join_all(waits).await;
}

async fn refresh(shop: &Shop, tokens: &Value) -> Answer {
    let body = json!({"refresh_token": tokens["refresh_token"]});
    shop.send("POST", "/api/v1/auth/refresh", &[], Some(body)).await
}

async fn registered(shop: &Shop) -> (String, Value) {
    let email = shop.email("ada");
    shop.register(&email).await;
    let tokens = shop.tokens(&email, PASSWORD).await;
    is_known_everywhere(shop, &bearer(&tokens)).await;
    (email, tokens)
}

pub async fn signed_out_is_signed_out_everywhere(shop: &Shop) {
    let (email, tokens) = registered(shop).await;
    let token = bearer(&tokens);
    let other = shop.sign_in(&email, PASSWORD).await;
    let gone = shop.send("POST", "/api/v1/auth/logout", &[("authorization", &token)], None).await;
    assert_eq!(gone.status, 204);
    is_out_everywhere(shop, &token).await;
    assert_eq!(refresh(shop, &tokens).await.status, 401);
    is_known_everywhere(shop, &other).await;
}

pub async fn one_device_is_signed_out(shop: &Shop) {
    let (email, tokens) = registered(shop).await;
    let token = bearer(&tokens);
    let other = shop.sign_in(&email, PASSWORD).await;
    let sessions = shop.get("/api/v1/users/me/sessions", &[("authorization", &other)]).await;
    let sessions = sessions["items"].as_array().unwrap();
    let mine: Vec<&Value> = sessions.iter().filter(|session| session["current"] == true).collect();
    assert_eq!((sessions.len(), mine.len()), (3, 1), "{sessions:?}");
    for session in sessions.iter().filter(|session| session["current"] == false) {
        let path = format!("/api/v1/users/me/sessions/{}", id(session));
        assert_eq!(shop.send("DELETE", &path, &[("authorization", &other)], None).await.status, 204);
    }
    is_out_everywhere(shop, &token).await;
    is_known_everywhere(shop, &other).await;
}

pub async fn a_changed_password_ends_the_other_sessions(shop: &Shop) {
    let (email, tokens) = registered(shop).await;
    let here = shop.sign_in(&email, PASSWORD).await;
    let change = json!({"current_password": PASSWORD, "new_password": OTHER_PASSWORD});
    let changed = shop.send("PUT", "/api/v1/users/me/password", &[("authorization", &here)], Some(change)).await;
    assert_eq!(changed.status, 204, "{}", changed.text);
    is_out_everywhere(shop, &bearer(&tokens)).await;
    is_known_everywhere(shop, &here).await;
    shop.sign_in(&email, OTHER_PASSWORD).await;
}

pub async fn the_password_is_reset(shop: &Shop) {
    let (email, tokens) = registered(shop).await;
    let asked = shop.send("POST", "/api/v1/auth/password-reset", &[], Some(json!({"email": email}))).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let token = shop.mailed_token(&email, "password").await;
    let confirm = json!({"token": token, "new_password": OTHER_PASSWORD});
    let path = "/api/v1/auth/password-reset/confirm";
    assert_eq!(shop.send("POST", path, &[], Some(confirm.clone())).await.status, 204);
    is_out_everywhere(shop, &bearer(&tokens)).await;
    assert_ne!(shop.send("POST", path, &[], Some(confirm)).await.status, 204, "the token is good twice");
    shop.sign_in(&email, OTHER_PASSWORD).await;
}

pub async fn a_stolen_refresh_token_ends_the_session(shop: &Shop) {
    let (_, tokens) = registered(shop).await;
    let fresh = refresh(shop, &tokens).await.expect(200);
    is_known_everywhere(shop, &bearer(&fresh)).await;
    let stolen = refresh(shop, &tokens).await;
    assert_eq!((stolen.status, stolen.body["code"].as_str()), (401, Some("refresh_token_reused")));
    is_out_everywhere(shop, &bearer(&fresh)).await;
}

pub async fn a_role_taken_away_is_gone(shop: &Shop) {
    let admin = shop.admin().await;
    let (email, tokens) = registered(shop).await;
    let path = format!("/api/v1/users/{}", id(&tokens["user"]));
    let promote = Some(json!({"role": "admin"}));
    shop.send("PATCH", &path, &[("authorization", &admin)], promote).await.expect(200);
    let token = shop.sign_in(&email, PASSWORD).await;
    let me = [("authorization", token.as_str())];
    for _ in 0..2 * shop.pods {
        shop.get(OF_ADMINS, &me).await;
    }
    let demote = Some(json!({"role": "customer"}));
    shop.send("PATCH", &path, &[("authorization", &admin)], demote).await.expect(200);
    shop.within_a_second(OF_ADMINS, &me, |answer| [401, 403].contains(&answer.status)).await;
    shop.within_a_second("/api/v1/users", &me, |answer| [401, 403].contains(&answer.status)).await;
}

pub async fn a_disabled_account_is_out(shop: &Shop) {
    let admin = shop.admin().await;
    let (email, tokens) = registered(shop).await;
    let path = format!("/api/v1/users/{}", id(&tokens["user"]));
    let disable = Some(json!({"disabled": true}));
    shop.send("PATCH", &path, &[("authorization", &admin)], disable).await.expect(200);
    is_out_everywhere(shop, &bearer(&tokens)).await;
    let body = json!({"email": email, "password": PASSWORD});
    assert_eq!(shop.send("POST", "/api/v1/auth/login", &[], Some(body)).await.status, 401);
}
