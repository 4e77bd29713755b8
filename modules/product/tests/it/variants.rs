//! Adding, changing and removing variants.

use eshopz_kernel::{OrderId, VariantId};
use serde_json::{Value, json};

use crate::shop::{Shop, reserve, shirt, usd, variant_id};

#[tokio::test]
async fn a_product_can_begin_without_variants() {
    let shop = Shop::open().await;
    let images = json!([{"url": "https://example.com/b.jpg", "position": 2}, {"url": "https://example.com/a.jpg", "position": 1}]);
    let product = shop.product(json!({"title": "Mug", "images": images})).await;
    assert_eq!((&product["variants"], &product["price_range"]), (&json!([]), &Value::Null));
    assert_eq!(product["images"][0]["url"], "https://example.com/a.jpg");
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
    let path = format!("/products/{}", product["id"].as_str().unwrap());
    let body = json!({"option_values": {"Colour": "Red"}, "price": usd(900)});
    let made = shop.admin("POST", &format!("{path}/variants"), Some(body)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let now = shop.get(&path).await.json();
    assert_eq!(now["options"], json!([{"name": "Colour", "values": ["Red"]}]));
    assert_eq!(now["price_range"], json!({"min": usd(900), "max": usd(900)}));
}

#[tokio::test]
async fn a_variant_joins_a_product() {
    let shop = Shop::open().await;
    let product = shop.product(shirt("Shirt", &["S"])).await;
    let path = format!("/products/{}", product["id"].as_str().unwrap());
    let body = json!({"sku": "L-1", "option_values": {"Size": "L"}, "price": usd(500), "on_hand": 3});
    let made = shop.admin("POST", &format!("{path}/variants"), Some(body.clone())).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let variant = made.json();
    assert_eq!((&variant["title"], &variant["position"], &variant["available"]), (&json!("L"), &json!(2), &json!(3)));
    assert_eq!(made.header("location"), format!("/api/v1/variants/{}", variant["id"].as_str().unwrap()));

    let now = shop.get(&path).await.json();
    assert_eq!(now["options"], json!([{"name": "Size", "values": ["S", "L"]}]));
    assert_eq!(now["price_range"], json!({"min": usd(500), "max": usd(1000)}));
    assert_eq!(shop.titles("q=L-1").await, ["Shirt"], "found by its SKU");

    let again = shop.admin("POST", &format!("{path}/variants"), Some(body)).await;
    assert_eq!(again.status, 409);
    let values = json!({"option_values": {"Size": "L"}, "price": usd(500)});
    let taken = shop.admin("POST", &format!("{path}/variants"), Some(values)).await;
    assert_eq!((taken.status, taken.code().as_str()), (409, "option_values_taken"));
    let sku = json!({"sku": "L-1", "option_values": {"Size": "XL"}, "price": usd(500)});
    let taken = shop.admin("POST", &format!("{path}/variants"), Some(sku)).await;
    assert_eq!((taken.status, taken.code().as_str()), (409, "sku_taken"));
    let wrong = json!({"option_values": {"Colour": "x"}, "price": usd(1)});
    let wrong = shop.admin("POST", &format!("{path}/variants"), Some(wrong)).await;
    assert_eq!((wrong.status, wrong.json()["errors"][0]["field"].as_str()), (422, Some("/option_values")));
    let nowhere = format!("/products/{}/variants", OrderId::new());
    assert_eq!(shop.admin("POST", &nowhere, Some(json!({"price": usd(1)}))).await.status, 404);
}

#[tokio::test]
async fn a_change_of_a_variant_reaches_its_product() {
    let shop = Shop::open().await;
    let product = shop.product(shirt("Shirt", &["S", "M"])).await;
    let id = variant_id(&product, 1);
    let path = format!("/variants/{id}");
    let before = shop.admin("GET", &path, None).await.header("etag");
    let body = json!({
        "sku": "M-1", "price": usd(100), "compare_at_price": usd(200), "option_values": {"Size": "XL"},
        "weight_grams": 5, "inventory_policy": "continue", "image_url": "https://example.com/m.jpg"
    });
    let changed = shop.admin_if("PATCH", &path, Some(body), Some(&before)).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let now = changed.json();
    assert_eq!((&now["title"], &now["sku"], &now["price"]), (&json!("XL"), &json!("M-1"), &usd(100)));
    assert_eq!(now["inventory_policy"], "continue");
    assert_eq!(shop.admin_if("PATCH", &path, Some(json!({})), Some(&before)).await.status, 412);
    assert_eq!(shop.get("/products/shirt").await.json()["price_range"]["min"], usd(100));

    let snapshot = shop.snapshot(id).await;
    assert_eq!((snapshot.price.amount, snapshot.backorder, snapshot.available), (100, true, 5));
    assert_eq!((snapshot.title.as_str(), snapshot.variant_title.as_str()), ("Shirt", "XL"));
    assert_eq!(snapshot.image_url.as_deref(), Some("https://example.com/m.jpg"));

    let cleared = json!({"sku": null, "compare_at_price": null, "image_url": null, "title": "Extra large"});
    let now = shop.admin("PATCH", &path, Some(cleared)).await.json();
    assert_eq!((&now["sku"], &now["compare_at_price"], &now["image_url"]), (&Value::Null, &Value::Null, &Value::Null));
    let now = shop.admin("PATCH", &path, Some(json!({"option_values": {"Size": "XXL"}}))).await.json();
    assert_eq!(now["title"], "Extra large", "a title of its own stays");

    for (body, status, what) in [
        (json!({"option_values": {"Size": "S"}}), 409, "option_values_taken"),
        (json!({"price": null}), 422, "validation_failed"),
        (json!({"price": {"amount": 1, "currency": "EUR"}}), 422, "validation_failed"),
        (json!({"on_hand": 5}), 422, "validation_failed"),
        (json!({"position": 0}), 422, "validation_failed"),
    ] {
        let refused = shop.admin("PATCH", &path, Some(body.clone())).await;
        assert_eq!((refused.status, refused.code().as_str()), (status, what), "{body}");
    }
    assert_eq!(shop.admin("PATCH", &format!("/variants/{}", VariantId::new()), Some(json!({}))).await.status, 404);
}

#[tokio::test]
async fn the_last_variant_and_reserved_ones_stay() {
    let shop = Shop::open().await;
    let product = shop.product(shirt("Shirt", &["S", "M"])).await;
    let (small, medium) = (variant_id(&product, 0), variant_id(&product, 1));
    let order = OrderId::new();
    shop.api.reserve(reserve(order, &[(small, 1)])).await.unwrap();
    let refused = shop.admin("DELETE", &format!("/variants/{small}"), None).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "stock_reserved"));
    shop.api.release(order).await.unwrap();
    assert_eq!(shop.admin("DELETE", &format!("/variants/{small}"), None).await.status, 204);
    assert_eq!(shop.admin("DELETE", &format!("/variants/{small}"), None).await.status, 404);
    let refused = shop.admin("DELETE", &format!("/variants/{medium}"), None).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "last_variant"));
    assert_eq!(shop.get("/products/shirt").await.json()["price_range"]["min"], usd(2000));
    assert!(shop.api.variants(&[small]).await.unwrap().is_empty());
    assert_eq!(shop.findings().await, []);
}
