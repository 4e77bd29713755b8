//! Lists and histories by a reader that is behind.

use eshopz_cart_api::CartOwner;
use eshopz_testkit::db::TestDb;
use serde_json::{Value, json};

use crate::shop::{Headers, Shop, order_of, path, text};

const TABLES: [&str; 3] = ["orders.orders", "orders.order_lines", "orders.order_timeline"];

fn items(page: &Value) -> Vec<Value> {
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_reader_may_be_behind_but_a_history_has_no_gap() {
    let replica = TestDb::new(&["order"]).await;
    let shop = Shop::open_with_reader(&replica).await;
    let (user, bearer) = shop.customer();
    let who: Headers<'_> = vec![("authorization", &bearer)];
    let cart = shop.near.cart(CartOwner::Customer(user), &[(shop.near.variant(1_000, 5), 1)]);
    let order = shop.place("k", &who, order_of(cart)).await.json();
    let steps = async || {
        let page = shop.get(&path(&order, "/timeline"), &who).await.json();
        items(&page).iter().map(|entry| text(entry, "to").to_owned()).collect::<Vec<_>>()
    };
    let list = async || items(&shop.get("/api/v1/orders", &who).await.json());

    // The reader has heard nothing of it. The order is there all the same, and so is its history.
    assert_eq!(list().await, Vec::<Value>::new());
    assert_eq!(shop.get(&path(&order, ""), &who).await.status, 200);
    assert_eq!(steps().await, ["pending_payment"]);

    replica.catch_up_with(&shop.db, &TABLES).await;
    assert_eq!(list().await, std::slice::from_ref(&order));
    shop.post(&path(&order, "/cancel"), &who, json!({})).await;
    assert_eq!(text(&list().await[0], "status"), "pending_payment", "it is behind");
    assert_eq!(steps().await, ["pending_payment", "cancelled"]);
    let first = shop.get(&path(&order, "/timeline?limit=1"), &who).await.json();
    let next = format!("/timeline?limit=1&cursor={}", text(&first, "next_cursor"));
    assert_eq!(text(&items(&shop.get(&path(&order, &next), &who).await.json())[0], "to"), "cancelled");

    replica.catch_up_with(&shop.db, &TABLES).await;
    assert_eq!(text(&list().await[0], "status"), "cancelled");
    // Only the reader has these now.
    shop.sql("DELETE FROM orders.order_timeline").await;
    assert_eq!(steps().await, ["pending_payment", "cancelled"]);
}
