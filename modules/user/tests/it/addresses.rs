//! The address book.

use serde_json::{Value, json};

use crate::shop::{Shop, assert_field};

fn address() -> Value {
    json!({"name": "Ann Example", "line1": "1 Harbour Street", "city": "Portland", "region": "OR",
        "postal_code": "97201", "country": "US", "phone": "+1 555 0100", "is_default": false})
}

async fn add(shop: &Shop, token: &str, body: Value) -> Value {
    let answer = shop.call("POST", "/users/me/addresses", token, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()
}

fn path(address: &Value) -> String {
    format!("/users/me/addresses/{}", address["id"].as_str().unwrap())
}

/// The ids in the book, and which of them is the default.
async fn book(shop: &Shop, token: &str) -> (Vec<Value>, Vec<Value>) {
    let list = shop.call("GET", "/users/me/addresses", token, Value::Null).await.json();
    let items = list["items"].as_array().unwrap();
    let ids = |only_default: bool| {
        let wanted = items.iter().filter(|item| !only_default || item["is_default"] == json!(true));
        wanted.map(|item| item["id"].clone()).collect()
    };
    (ids(false), ids(true))
}

#[tokio::test]
async fn an_address_is_kept_shown_changed_and_removed() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let answer = shop.call("POST", "/users/me/addresses", &token, address()).await;
    let kept = answer.json();
    assert_eq!(answer.header("location"), format!("/api/v1{}", path(&kept)));
    for (field, value) in address().as_object().unwrap() {
        let expected = if field == "is_default" { &json!(true) } else { value };
        assert_eq!(&kept[field], expected, "{field}");
    }
    let shown = shop.call("GET", &path(&kept), &token, Value::Null).await;
    assert_eq!((shown.json(), shown.header("etag")), (kept.clone(), answer.header("etag")));

    let change = json!({"line1": "2 Harbour Street", "line2": "Apt 5", "region": null, "country": "CA"});
    let changed = shop.call("PATCH", &path(&kept), &token, change).await.json();
    assert_eq!((&changed["line1"], &changed["line2"]), (&json!("2 Harbour Street"), &json!("Apt 5")));
    assert_eq!((&changed["region"], &changed["country"]), (&Value::Null, &json!("CA")));
    assert_eq!((&changed["city"], &changed["phone"]), (&kept["city"], &kept["phone"]));

    let etag = answer.header("etag");
    for (method, body) in [("PATCH", json!({"city": "Salem"})), ("DELETE", Value::Null)] {
        let stale = shop.call_with(method, &path(&kept), &token, &[("if-match", &etag)], body).await;
        assert_eq!((stale.status, stale.code().as_str()), (412, "etag_mismatch"));
    }
    assert_eq!(shop.call("DELETE", &path(&kept), &token, Value::Null).await.status, 204);
    assert_eq!(shop.call("GET", &path(&kept), &token, Value::Null).await.status, 404);
    assert_eq!(book(&shop, &token).await, (vec![], vec![]));
}

#[tokio::test]
async fn there_is_exactly_one_default() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let first = add(&shop, &token, address()).await;
    let mut body = address();
    let second = add(&shop, &token, body.clone()).await;
    assert_eq!(book(&shop, &token).await.1, [first["id"].clone()]);
    body["is_default"] = json!(true);
    let third = add(&shop, &token, body).await;
    assert_eq!(book(&shop, &token).await.1, [third["id"].clone()]);
    let made = shop.call("PATCH", &path(&second), &token, json!({"is_default": true})).await;
    assert_eq!(made.json()["is_default"], json!(true));
    assert_eq!(book(&shop, &token).await.1, [second["id"].clone()]);
    let taken = shop.call("PATCH", &path(&second), &token, json!({"is_default": false})).await;
    assert_field(&taken, "/is_default", "default_needed");
    assert_eq!(shop.call("PATCH", &path(&first), &token, json!({"is_default": false})).await.status, 200);
    assert_eq!(shop.call("DELETE", &path(&second), &token, Value::Null).await.status, 204);
    assert_eq!(book(&shop, &token).await.1, [third["id"].clone()]);
    assert!(shop.module.verify().await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn addresses_added_at_once_still_have_one_default() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let mut body = address();
    body["is_default"] = json!(true);
    let answers =
        futures::future::join_all((0..10).map(|_| shop.call("POST", "/users/me/addresses", &token, body.clone())));
    assert!(answers.await.iter().all(|answer| answer.status == 201));
    let (all, default) = book(&shop, &token).await;
    assert_eq!((all.len(), default.len()), (10, 1));
}

#[tokio::test]
async fn an_address_book_has_an_end() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    add(&shop, &token, address()).await;
    shop.sql(
        "INSERT INTO users.addresses (id, user_id, name, line1, city, postal_code, country, is_default) \
         SELECT gen_random_uuid(), user_id, name, line1, city, postal_code, country, false \
         FROM users.addresses, generate_series(1, 99)",
    )
    .await;
    let full = shop.call("POST", "/users/me/addresses", &token, address()).await;
    assert_eq!((full.status, full.code().as_str()), (409, "address_book_full"));
}

#[tokio::test]
async fn an_address_is_its_owners_alone() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let stranger = shop.customer("bob@example.com").await;
    let kept = add(&shop, &token, address()).await;
    for (method, body) in [("GET", Value::Null), ("PATCH", json!({"city": "Salem"})), ("DELETE", Value::Null)] {
        let answer = shop.call(method, &path(&kept), &stranger, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
    }
    assert_eq!(book(&shop, &stranger).await.0.len(), 0);
    assert_eq!(book(&shop, &token).await.0.len(), 1);
}

#[tokio::test]
async fn what_is_not_valid_is_named() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    let kept = add(&shop, &token, address()).await;
    for (field, value, code) in [
        ("name", json!(""), "length"),
        ("line1", json!("a\u{0}b"), "nul_character"),
        ("line2", json!("x".repeat(201)), "length"),
        ("city", json!("two\nlines"), "control_character"),
        ("postal_code", json!("x".repeat(21)), "length"),
        ("country", json!("us"), "country"),
        ("country", json!("XX"), "country"),
        ("country", json!("USA"), "country"),
        ("phone", json!("call me"), "phone"),
        ("is_default", json!("yes"), "invalid"),
        ("planet", json!("Earth"), "unknown_field"),
    ] {
        let mut body = address();
        body[field] = value.clone();
        let pointer = format!("/{field}");
        assert_field(&shop.call("POST", "/users/me/addresses", &token, body).await, &pointer, code);
        assert_field(&shop.call("PATCH", &path(&kept), &token, json!({field: value})).await, &pointer, code);
    }
    for field in ["name", "line1", "city", "postal_code", "country", "is_default"] {
        let answer = shop.call("PATCH", &path(&kept), &token, json!({field: null})).await;
        assert_eq!(answer.status, 422, "{field}");
    }
    assert_eq!(shop.call("GET", &path(&kept), &token, Value::Null).await.json(), kept);
}
