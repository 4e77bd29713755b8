//! Where an account is signed in.

use serde_json::{Value, json};

use crate::shop::{PASSWORD, Shop, access};

#[tokio::test]
async fn devices_are_listed_and_signed_out() {
    let shop = Shop::open().await;
    let here = shop.customer("ann@example.com").await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let agent = [("user-agent", "a telephone")];
    let phone = access(&shop.call_with("POST", "/auth/login", "", &agent, body).await.json());
    let list = shop.call("GET", "/users/me/sessions", &here, Value::Null).await.json();
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), &list["next_cursor"]), (2, &Value::Null));
    assert_eq!((&items[0]["user_agent"], &items[0]["current"]), (&json!("a telephone"), &json!(false)));
    assert_eq!((&items[1]["address"], &items[1]["current"]), (&json!("127.0.0.1"), &json!(true)));

    let stranger = shop.customer("bob@example.com").await;
    let path = format!("/users/me/sessions/{}", items[0]["id"].as_str().unwrap());
    assert_eq!(shop.call("DELETE", &path, &stranger, Value::Null).await.status, 404);
    assert!(shop.is_signed_in(&phone).await);
    assert_eq!(shop.call("DELETE", &path, &here, Value::Null).await.status, 204);
    assert!(!shop.is_signed_in(&phone).await);
    assert_eq!(shop.call("DELETE", &path, &here, Value::Null).await.code(), "not_found");
    let bad = shop.call("DELETE", "/users/me/sessions/7", &here, Value::Null).await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "invalid_id"));
}

#[tokio::test]
async fn pages_hold_every_session_once() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    for _ in 0..4 {
        shop.sign_in("ann@example.com").await;
    }
    let (mut seen, mut path) = (Vec::new(), "/users/me/sessions?limit=2".to_owned());
    loop {
        let page = shop.call("GET", &path, &token, Value::Null).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/users/me/sessions?limit=2&cursor={cursor}");
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|a, b| a > b));
    for query in ["limit=0", "limit=101", "cursor=nonsense", "page=2"] {
        let answer = shop.call("GET", &format!("/users/me/sessions?{query}"), &token, Value::Null).await;
        assert_eq!(answer.status, 422, "{query}");
    }
}
