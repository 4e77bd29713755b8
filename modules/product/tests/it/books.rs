//! Each rule of the books, and an error of its kind planted; and the events of changes.

use eshopz_kernel::OrderId;
use eshopz_product_api::{GiveBackStock, StockLine};
use serde_json::json;
use uuid::Uuid;

use crate::shop::{Shop, reserve, shirt, variant_id};

#[tokio::test]
async fn each_planted_error_is_found() {
    let shop = Shop::open().await;
    let product = shop.product(shirt("Shirt", &["S", "M"])).await;
    let variant = variant_id(&product, 0);
    let order = OrderId::new();
    shop.api.reserve(reserve(order, &[(variant, 1)])).await.unwrap();
    shop.api.commit_reservation(order).await.unwrap();
    let returned = OrderId::new();
    shop.api.reserve(reserve(returned, &[(variant, 1)])).await.unwrap();
    shop.api.commit_reservation(returned).await.unwrap();
    let lines = vec![StockLine { variant_id: variant, quantity: 1 }];
    shop.api.give_back(GiveBackStock { order_id: returned, id: Uuid::now_v7(), lines }).await.unwrap();
    assert_eq!(shop.findings().await, []);
    let product = product["id"].as_str().unwrap();
    for (plant, undo, check, subject) in [
        (
            format!("UPDATE stock_levels SET on_hand = on_hand + 1 WHERE variant_id = '{variant}'"),
            format!("UPDATE stock_levels SET on_hand = on_hand - 1 WHERE variant_id = '{variant}'"),
            "stock_ledger",
            variant.to_string(),
        ),
        (
            format!("UPDATE stock_levels SET reserved = reserved + 1 WHERE variant_id = '{variant}'"),
            format!("UPDATE stock_levels SET reserved = reserved - 1 WHERE variant_id = '{variant}'"),
            "stock_reserved",
            variant.to_string(),
        ),
        (
            format!("UPDATE reservations SET state = 'released' WHERE order_id = '{order}'"),
            format!("UPDATE reservations SET state = 'sold' WHERE order_id = '{order}'"),
            "stock_sold",
            order.to_string(),
        ),
        (
            format!("UPDATE reservation_returns SET quantity = 2 WHERE order_id = '{returned}'"),
            format!("UPDATE reservation_returns SET quantity = 1 WHERE order_id = '{returned}'"),
            "stock_given_back",
            returned.to_string(),
        ),
        (
            format!("UPDATE products SET price_max_minor = 99999 WHERE id = '{product}'"),
            format!("UPDATE products SET price_max_minor = 2000 WHERE id = '{product}'"),
            "price_range",
            product.to_owned(),
        ),
    ] {
        shop.run(&plant).await;
        assert_eq!(shop.findings().await, [(check.to_owned(), subject)]);
        shop.run(&undo).await;
        assert_eq!(shop.findings().await, []);
    }
    shop.run(&format!("DELETE FROM stock_levels WHERE variant_id = '{variant}'")).await;
    assert_eq!(shop.findings().await, [("stock_of_every_variant".to_owned(), variant.to_string())]);
}

#[tokio::test]
async fn the_database_itself_refuses_to_oversell() {
    let shop = Shop::open().await;
    let variant = shop.in_stock("Lamp", 2).await;
    let owner = shop.base.owner().await;
    let refused = owner
        .batch_execute(&format!("UPDATE products.stock_levels SET reserved = 3 WHERE variant_id = '{variant}'"))
        .await
        .unwrap_err();
    assert_eq!(refused.as_db_error().unwrap().constraint(), Some("stock_not_oversold"));
}

#[tokio::test]
async fn changes_are_told_and_sales_are_not() {
    let shop = Shop::open().await;
    let product = shop.product(shirt("Shirt", &["S", "M"])).await;
    let (id, variant) = (product["id"].as_str().unwrap(), variant_id(&product, 0));
    let events = async || -> i64 {
        let owner = shop.base.owner().await;
        let row = owner
            .query_one(
                "SELECT count(*) FROM products.outbox WHERE name = 'product.changed.v1' AND payload ->> 'product_id' = $1",
                &[&id],
            )
            .await
            .unwrap();
        row.get(0)
    };
    assert_eq!(events().await, 1);
    shop.admin("PATCH", &format!("/products/{id}"), Some(json!({"vendor": "Acme"}))).await;
    shop.admin("PATCH", &format!("/variants/{variant}"), Some(json!({"sku": "x"}))).await;
    shop.admin("PUT", &format!("/variants/{variant}/stock"), Some(json!({"on_hand": 9}))).await;
    assert_eq!(events().await, 4);
    let order = OrderId::new();
    shop.api.reserve(reserve(order, &[(variant, 1)])).await.unwrap();
    shop.api.commit_reservation(order).await.unwrap();
    shop.admin("PATCH", &format!("/products/{id}"), Some(json!({"title": ""}))).await;
    assert_eq!(events().await, 4);
    shop.admin("DELETE", &format!("/variants/{variant}"), None).await;
    shop.admin("DELETE", &format!("/products/{id}"), None).await;
    assert_eq!(events().await, 6);
}
