//! Setting and adjusting the stock, and its ledger.

use eshopz_kernel::OrderId;
use eshopz_testkit::db::TestDb;
use serde_json::{Value, json};

use crate::shop::{Shop, reserve};

#[tokio::test]
async fn every_change_is_in_the_ledger() {
    let shop = Shop::open().await;
    let variant = shop.in_stock("Lamp", 5).await;
    let path = format!("/variants/{variant}");
    let set = shop.admin("PUT", &format!("{path}/stock"), Some(json!({"on_hand": 12}))).await;
    assert_eq!((set.status, &set.json()["available"], &set.json()["on_hand"]), (200, &json!(12), &json!(12)));
    let same = shop.admin("PUT", &format!("{path}/stock"), Some(json!({"on_hand": 12}))).await;
    assert_eq!(same.header("etag"), set.header("etag"), "nothing changed");
    let adjustment = json!({"delta": -2, "reason": "Broken"});
    let adjusted = shop.admin("POST", &format!("{path}/stock-adjustments"), Some(adjustment)).await;
    assert_eq!((adjusted.status, &adjusted.json()["available"]), (200, &json!(10)));
    let stale =
        shop.admin_if("PUT", &format!("{path}/stock"), Some(json!({"on_hand": 1})), Some(&set.header("etag"))).await;
    assert_eq!(stale.status, 412, "somebody else has counted meanwhile");
    let order = OrderId::new();
    shop.api.reserve(reserve(order, &[(variant, 3)])).await.unwrap();
    shop.api.commit_reservation(order).await.unwrap();
    shop.api.release(order).await.unwrap();

    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = shop.admin("GET", &format!("{path}/stock-movements?limit=2{cursor}"), None).await.json();
        seen.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let told: Vec<(&str, i64, i64)> = seen
        .iter()
        .map(|entry| {
            let number = |name: &str| entry[name].as_i64().unwrap();
            (entry["kind"].as_str().unwrap(), number("delta"), number("on_hand_after"))
        })
        .collect();
    assert_eq!(told, [("return", 3, 10), ("sale", -3, 7), ("adjustment", -2, 10), ("set", 7, 12), ("set", 5, 5)]);
    assert_eq!((&seen[2]["reason"], &seen[1]["order_id"]), (&json!("Broken"), &json!(order)));
    assert_eq!((&seen[1]["actor"], &seen[2]["order_id"]), (&json!("order"), &Value::Null));
    assert_eq!(shop.findings().await, []);
}

#[tokio::test]
async fn a_reader_may_be_behind_but_no_movement_is_missing() {
    let replica = TestDb::new(&["product"]).await;
    let shop = Shop::open_with_reader(&replica).await;
    let variant = shop.in_stock("Lamp", 5).await;
    assert!(shop.titles("").await.is_empty(), "the list is the reader's");
    let path = format!("/variants/{variant}");
    let adjustment = json!({"delta": -2, "reason": "Broken"});
    shop.admin("POST", &format!("{path}/stock-adjustments"), Some(adjustment)).await;
    let first = shop.admin("GET", &format!("{path}/stock-movements?limit=1"), None).await.json();
    assert_eq!(first["items"][0]["delta"], -2);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = shop.admin("GET", &format!("{path}/stock-movements?limit=1&cursor={cursor}"), None).await.json();
    assert_eq!(second["items"][0]["delta"], 5);
}

#[tokio::test]
async fn what_orders_hold_is_not_taken_away() {
    let shop = Shop::open().await;
    let variant = shop.in_stock("Lamp", 5).await;
    let path = format!("/variants/{variant}");
    shop.api.reserve(reserve(OrderId::new(), &[(variant, 3)])).await.unwrap();
    let refused = shop.admin("PUT", &format!("{path}/stock"), Some(json!({"on_hand": 2}))).await;
    assert_eq!(
        (refused.status, refused.code().as_str(), &refused.json()["reserved"]),
        (409, "stock_reserved", &json!(3))
    );
    let less = json!({"delta": -3, "reason": "x"});
    let refused = shop.admin("POST", &format!("{path}/stock-adjustments"), Some(less)).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "stock_reserved"));
    assert_eq!(shop.admin("PUT", &format!("{path}/stock"), Some(json!({"on_hand": 3}))).await.json()["available"], 0);

    // Beyond the stock, if that is the policy; and then the policy cannot go back.
    shop.admin("PATCH", &path, Some(json!({"inventory_policy": "continue"}))).await;
    shop.api.reserve(reserve(OrderId::new(), &[(variant, 4)])).await.unwrap();
    assert_eq!(shop.level(variant).await, (3, 7));
    let refused = shop.admin("PATCH", &path, Some(json!({"inventory_policy": "deny"}))).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "stock_reserved"));
    assert_eq!(shop.findings().await, []);
}

#[tokio::test]
async fn bad_quantities_are_refused() {
    let shop = Shop::open().await;
    let variant = shop.in_stock("Lamp", 5).await;
    for (method, path, body) in [
        ("PUT", "stock", json!({"on_hand": -1})),
        ("PUT", "stock", json!({"on_hand": 1.5})),
        ("PUT", "stock", json!({"on_hand": 9_999_999_999_i64})),
        ("PUT", "stock", json!({})),
        ("POST", "stock-adjustments", json!({"delta": 0, "reason": "x"})),
        ("POST", "stock-adjustments", json!({"delta": 1})),
        ("POST", "stock-adjustments", json!({"delta": 1, "reason": " "})),
    ] {
        let refused = shop.admin(method, &format!("/variants/{variant}/{path}"), Some(body.clone())).await;
        assert_eq!((refused.status, refused.code().as_str()), (422, "validation_failed"), "{body}");
    }
    let nothing = shop.admin("GET", &format!("/variants/{variant}/stock-movements?cursor=bm9uc2Vuc2U"), None).await;
    assert_eq!(nothing.status, 422);
    let nobody = format!("/variants/{}/stock-movements", OrderId::new());
    assert_eq!(shop.admin("GET", &nobody, None).await.status, 404);
    assert_eq!(shop.level(variant).await, (5, 0));
}

#[tokio::test]
async fn adjustments_at_the_same_moment_all_count() {
    let shop = Shop::open().await;
    let variant = shop.in_stock("Lamp", 0).await;
    let path = format!("/variants/{variant}/stock-adjustments");
    let many = (0..20).map(|_| shop.admin("POST", &path, Some(json!({"delta": 1, "reason": "Delivery"}))));
    for answer in futures::future::join_all(many).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    assert_eq!(shop.level(variant).await, (20, 0));
    assert_eq!(shop.findings().await, []);
}
