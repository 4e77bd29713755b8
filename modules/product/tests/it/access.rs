//! Who may do what.

use eshopz_kernel::UserId;
use serde_json::json;

use crate::shop::{Shop, shirt};

#[tokio::test]
async fn changes_are_for_admins() {
    let shop = Shop::open().await;
    let product = shop.product(shirt("Shirt", &["S", "M"])).await;
    let (id, variant) = (product["id"].as_str().unwrap(), product["variants"][0]["id"].as_str().unwrap());
    shop.category("tops", None).await;
    let customer = shop.app.identity.customer(UserId::new());
    for (method, path, body) in [
        ("POST", "/products".to_owned(), Some(shirt("Other", &["S"]))),
        ("PATCH", format!("/products/{id}"), Some(json!({"title": "Mine"}))),
        ("DELETE", format!("/products/{id}"), None),
        ("POST", format!("/products/{id}/variants"), Some(json!({"price": {"amount": 1, "currency": "USD"}}))),
        ("PATCH", format!("/variants/{variant}"), Some(json!({"sku": "x"}))),
        ("DELETE", format!("/variants/{variant}"), None),
        ("PUT", format!("/variants/{variant}/stock"), Some(json!({"on_hand": 1}))),
        ("POST", format!("/variants/{variant}/stock-adjustments"), Some(json!({"delta": 1, "reason": "x"}))),
        ("GET", format!("/variants/{variant}/stock-movements"), None),
        ("POST", "/categories".to_owned(), Some(json!({"name": "x"}))),
        ("PATCH", "/categories/tops".to_owned(), Some(json!({"name": "x"}))),
        ("DELETE", "/categories/tops".to_owned(), None),
        ("POST", "/products/import".to_owned(), None),
        ("GET", "/products/export".to_owned(), None),
    ] {
        let path = format!("/api/v1{path}");
        let nobody = shop.app.send(method, &path, &[], body.clone()).await.unwrap();
        assert_eq!(nobody.status, 401, "{method} {path}: {}", nobody.text);
        let other = shop.app.send(method, &path, &[("authorization", &customer)], body).await.unwrap();
        assert_eq!(other.status, 403, "{method} {path}: {}", other.text);
    }
    assert_eq!(shop.get(&format!("/products/{id}")).await.json()["title"], "Shirt");
}
