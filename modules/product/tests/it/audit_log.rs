//! What admins do to the catalogue leaves an entry each in the audit log.

use serde_json::{Value, json};

use crate::shop::{Shop, shirt, usd, variant_id};

async fn entries(shop: &Shop) -> Vec<Value> {
    shop.app.audit_log("/api/v1/products/audit-log?limit=100", &shop.admin).await.unwrap()
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

#[tokio::test]
async fn every_change_is_noted_once() {
    let shop = Shop::open().await;
    let category = shop.category("shirts", None).await;
    let product = shop.product(shirt("Shirt", &["S"])).await;
    let small = variant_id(&product, 0).to_string();
    let path = format!("/products/{}", id(&product));
    let ok = async |method: &str, path: &str, body: Value, status: u16| {
        let answer = shop.admin(method, path, (!body.is_null()).then_some(body)).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        answer.json()
    };
    ok("PATCH", &path, json!({"vendor": "Acme"}), 200).await;
    let medium = json!({"option_values": {"Size": "M"}, "price": usd(1_000)});
    let medium = ok("POST", &format!("{path}/variants"), medium, 201).await;
    ok("PATCH", &format!("/variants/{small}"), json!({"sku": "S-1"}), 200).await;
    ok("PUT", &format!("/variants/{small}/stock"), json!({"on_hand": 7}), 200).await;
    ok("PUT", &format!("/variants/{small}/stock"), json!({"on_hand": 7}), 200).await;
    let taken = json!({"delta": -2, "reason": "Damaged"});
    ok("POST", &format!("/variants/{small}/stock-adjustments"), taken, 200).await;
    ok("DELETE", &format!("/variants/{}", id(&medium)), Value::Null, 204).await;
    ok("PATCH", "/categories/shirts", json!({"slug": "tops"}), 200).await;
    ok("DELETE", "/categories/tops", Value::Null, 204).await;
    ok("DELETE", &path, Value::Null, 204).await;
    ok("DELETE", &path, Value::Null, 204).await;
    let csv = "Handle,Title,Variant Price\nhat,Hat,10.00\n".to_owned();
    let headers = [("authorization", shop.admin.as_str()), ("content-type", "text/csv")];
    let imported = shop.app.send_raw("POST", "/api/v1/products/import", &headers, csv.into()).await.unwrap();
    assert_eq!(imported.status, 200, "{}", imported.text);

    let all = entries(&shop).await;
    let lines: Vec<String> = all
        .iter()
        .map(|entry| ["action", "subject_type", "subject_id"].map(|name| entry[name].as_str().unwrap()).join(" "))
        .collect();
    let import = all.last().unwrap()["subject_id"].as_str().unwrap();
    let (product, medium, category) = (id(&product), id(&medium), id(&category));
    let expected = [
        format!("category.created category {category}"),
        format!("product.created product {product}"),
        format!("product.updated product {product}"),
        format!("variant.created variant {medium}"),
        format!("variant.updated variant {small}"),
        format!("stock.set variant {small}"),
        format!("stock.adjusted variant {small}"),
        format!("variant.deleted variant {medium}"),
        format!("category.updated category {category}"),
        format!("category.deleted category {category}"),
        format!("product.archived product {product}"),
        format!("catalogue.imported import {import}"),
    ];
    assert_eq!(lines, expected);
    let actor = &all[0]["actor"];
    assert!(actor.as_str().is_some_and(|actor| actor.parse::<uuid::Uuid>().is_ok()), "{actor}");
    for entry in &all {
        assert_eq!((&entry["actor"], &entry["actor_role"]), (actor, &json!("admin")), "{entry}");
        assert_eq!(entry["address"], "127.0.0.1");
        assert!(!entry["request_id"].as_str().unwrap().is_empty());
    }
    assert_eq!(all[6]["details"], json!({"delta": -2, "on_hand": 5}));
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    let shop = Shop::open().await;
    let product = shop.product(shirt("Shirt", &["S"])).await;
    let path = format!("/products/{}", id(&product));
    let before = entries(&shop).await.len();
    let stale = shop.admin_if("PATCH", &path, Some(json!({"vendor": "Acme"})), Some("\"0-x\"")).await;
    assert_eq!(stale.status, 412);
    let stock = format!("/variants/{}/stock", variant_id(&product, 0));
    assert_eq!(shop.admin("PUT", &stock, Some(json!({"on_hand": -1}))).await.status, 422);
    let last = shop.admin("DELETE", &format!("/variants/{}", variant_id(&product, 0)), None).await;
    assert_eq!(last.status, 409, "{}", last.text);
    let mut twin = shirt("Twin", &["S"]);
    twin["handle"] = product["handle"].clone();
    assert_eq!(shop.admin("POST", "/products", Some(twin)).await.status, 409);
    assert_eq!(entries(&shop).await.len(), before);
}

#[tokio::test]
async fn its_path_is_no_products_and_only_admins_read_it() {
    let shop = Shop::open().await;
    let made = shop.product(shirt("Audit Log", &["S"])).await;
    assert_eq!(made["handle"], "item-audit-log");
    let mut body = shirt("Log", &["S"]);
    body["handle"] = json!("audit-log");
    assert_eq!(shop.admin("POST", "/products", Some(body)).await.status, 422);
    assert_eq!(shop.get("/products/audit-log").await.status, 401);
    let customer = shop.app.identity.customer(eshopz_kernel::UserId::new());
    let headers = [("authorization", customer.as_str())];
    assert_eq!(shop.app.send("GET", "/api/v1/products/audit-log", &headers, None).await.unwrap().status, 403);
    assert_eq!(entries(&shop).await.len(), 1);
}
