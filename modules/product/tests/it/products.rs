//! Making, reading, changing and archiving products.

use serde_json::{Value, json};

use crate::shop::{Shop, shirt, usd};

#[tokio::test]
async fn a_product_is_made_whole_and_read_by_id_and_handle() {
    let shop = Shop::open().await;
    shop.category("shirts", None).await;
    let made = shop
        .admin(
            "POST",
            "/products",
            Some(json!({
                "title": "  Blue Shirt ", "description": "<p>Soft</p>", "vendor": "Northwind", "product_type": "Shirts",
                "tags": ["cotton", " blue", "cotton"], "category": "shirts",
                "options": [{"name": "Size", "values": ["S"]}, {"name": "Color"}],
                "variants": [
                    {"sku": "BS-S", "option_values": {"Size": "S", "Color": "Blue"}, "price": usd(2499),
                     "compare_at_price": usd(2999), "barcode": "123", "weight_grams": 200, "on_hand": 7,
                     "image_url": "https://example.com/s.jpg"},
                    {"option_values": {"Size": "M", "Color": "Blue"}, "price": usd(2599), "taxable": false,
                     "requires_shipping": false, "inventory_policy": "continue", "title": "Medium"}
                ],
                "images": [{"url": "https://example.com/1.jpg", "alt": "front"}, {"url": "https://example.com/2.jpg"}]
            })),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let product = made.json();
    assert_eq!(made.header("location"), format!("/api/v1/products/{}", product["id"].as_str().unwrap()));
    assert_eq!(product["handle"], "blue-shirt");
    assert_eq!(product["title"], "Blue Shirt");
    assert_eq!(product["tags"], json!(["cotton", "blue"]));
    assert_eq!(product["status"], "active");
    assert_eq!(product["category"], "shirts");
    assert_eq!(
        product["options"],
        json!([{"name": "Size", "values": ["S", "M"]}, {"name": "Color", "values": ["Blue"]}])
    );
    assert_eq!(product["price_range"], json!({"min": usd(2499), "max": usd(2599)}));
    assert_eq!(
        product["images"],
        json!([{"url": "https://example.com/1.jpg", "alt": "front", "position": 1},
               {"url": "https://example.com/2.jpg", "alt": "", "position": 2}])
    );
    let small = &product["variants"][0];
    assert_eq!(small["title"], "S / Blue");
    assert_eq!(small["option_values"], json!({"Size": "S", "Color": "Blue"}));
    assert_eq!(small["product_id"], product["id"]);
    assert_eq!((&small["available"], &small["position"]), (&json!(7), &json!(1)));
    assert_eq!(small["compare_at_price"], usd(2999));
    assert_eq!(small["inventory_policy"], "deny");
    let medium = &product["variants"][1];
    assert_eq!((&medium["title"], &medium["sku"], &medium["taxable"]), (&json!("Medium"), &Value::Null, &json!(false)));
    assert_eq!(medium["inventory_policy"], "continue");

    for path in ["/products/blue-shirt".to_owned(), format!("/products/{}", product["id"].as_str().unwrap())] {
        let read = shop.get(&path).await;
        assert_eq!(read.status, 200);
        let read = read.json();
        assert_eq!(read["variants"][0]["sku"], "BS-S");
        assert_eq!(read["variants"][0]["on_hand"], Value::Null, "for admins only");
        assert_eq!(read["created_at"], product["created_at"]);
    }
}

#[tokio::test]
async fn an_etag_spares_a_reading_and_guards_a_change() {
    let shop = Shop::open().await;
    let product = shop.product(shirt("Shirt", &["S"])).await;
    let path = format!("/products/{}", product["id"].as_str().unwrap());
    let read = shop.get(&path).await;
    let etag = read.header("etag");
    assert!(read.header("cache-control").starts_with("public"));
    let known = shop.app.send("GET", &format!("/api/v1{path}"), &[("if-none-match", &etag)], None).await.unwrap();
    assert_eq!(known.status, 304);

    let changed = shop.admin_if("PATCH", &path, Some(json!({"vendor": "Acme"})), Some(&etag)).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.json()["vendor"], "Acme");
    let stale = shop.admin_if("PATCH", &path, Some(json!({"vendor": "Other"})), Some(&etag)).await;
    assert_eq!((stale.status, stale.code().as_str()), (412, "etag_mismatch"));
    assert_eq!(shop.admin_if("DELETE", &path, None, Some(&etag)).await.status, 412);
    assert_eq!(shop.get(&path).await.json()["vendor"], "Acme");
}

#[tokio::test]
async fn handles_are_made_of_titles_and_stay_unique() {
    let shop = Shop::open().await;
    let mut handles = Vec::new();
    for _ in 0..3 {
        handles.push(shop.product(shirt("Café & Co.", &["S"])).await["handle"].as_str().unwrap().to_owned());
    }
    assert_eq!(handles, ["café-co", "café-co-2", "café-co-3"]);
    assert_eq!(shop.get("/products/caf%C3%A9-co-2").await.status, 200);

    let mut body = shirt("Other", &["S"]);
    body["handle"] = json!("café-co");
    let taken = shop.admin("POST", "/products", Some(body)).await;
    assert_eq!((taken.status, taken.code().as_str()), (409, "handle_taken"));
    let other = shop.product(shirt("Other", &["S"])).await;
    let path = format!("/products/{}", other["id"].as_str().unwrap());
    let taken = shop.admin("PATCH", &path, Some(json!({"handle": "café-co"}))).await;
    assert_eq!((taken.status, taken.code().as_str()), (409, "handle_taken"));

    let many = (0..8).map(|_| shop.product(shirt("Twin", &["S"])));
    let made: std::collections::HashSet<String> =
        futures_of(many).await.iter().map(|product| product["handle"].as_str().unwrap().to_owned()).collect();
    assert_eq!(made.len(), 8, "at the same moment too");
}

/// Runs futures at the same time.
async fn futures_of<F: Future<Output = Value>>(many: impl Iterator<Item = F>) -> Vec<Value> {
    futures::future::join_all(many).await
}

#[tokio::test]
async fn a_change_leaves_the_rest_and_null_clears() {
    let shop = Shop::open().await;
    shop.category("tops", None).await;
    let product = shop.product(shirt("Shirt", &["S", "M"])).await;
    let path = format!("/products/{}", product["id"].as_str().unwrap());
    let change = |body: Value| shop.admin("PATCH", &path, Some(body));

    let now = change(json!({"category": "tops", "tags": ["a"], "description": "New", "status": "draft"})).await.json();
    assert_eq!((&now["category"], &now["title"], &now["status"]), (&json!("tops"), &json!("Shirt"), &json!("draft")));
    assert_eq!(change(json!({"category": null})).await.json()["category"], Value::Null);
    let renamed = change(json!({"options": [{"name": "Fit", "values": ["M", "L"]}]})).await.json();
    assert_eq!(renamed["options"], json!([{"name": "Fit", "values": ["M", "L", "S"]}]));
    assert_eq!(renamed["variants"][0]["option_values"], json!({"Fit": "S"}));
    assert_eq!(
        change(json!({"images": [{"url": "https://example.com/x.jpg"}]})).await.json()["images"][0]["position"],
        1
    );

    for (body, field) in [
        (json!({"title": null}), "/title"),
        (json!({"title": "  "}), "/title"),
        (json!({"titel": "x"}), "/titel"),
        (json!({"category": "nowhere"}), "/category"),
        (json!({"options": []}), "/options"),
        (json!({"handle": "a/b"}), "/handle"),
        (json!({"description": "a\u{0}b"}), "/description"),
    ] {
        let refused = change(body.clone()).await;
        assert_eq!((refused.status, refused.json()["errors"][0]["field"].as_str()), (422, Some(field)), "{body}");
    }
}

#[tokio::test]
async fn what_is_archived_is_gone_for_everybody_but_admins() {
    let shop = Shop::open().await;
    let product = shop.product(shirt("Shirt", &["S"])).await;
    let path = format!("/products/{}", product["id"].as_str().unwrap());
    let variant = format!("/variants/{}", product["variants"][0]["id"].as_str().unwrap());
    assert_eq!(shop.get(&variant).await.status, 200);
    assert_eq!(shop.admin("DELETE", &path, None).await.status, 204);
    assert_eq!(shop.admin("DELETE", &path, None).await.status, 204);
    for gone in [path.as_str(), "/products/shirt", &variant] {
        assert_eq!(shop.get(gone).await.status, 404, "{gone}");
    }
    assert_eq!(shop.admin("GET", &path, None).await.json()["status"], "archived");
    assert_eq!(shop.admin("GET", &variant, None).await.status, 200);
    let snapshot = shop.snapshot(crate::shop::variant_id(&product, 0)).await;
    assert!(!snapshot.sellable);
    assert_eq!(shop.admin("PATCH", &path, Some(json!({"status": "active"}))).await.status, 200);
    assert_eq!(shop.get("/products/shirt").await.status, 200);
}

#[tokio::test]
async fn bad_products_are_refused_by_field_and_leave_nothing() {
    let shop = Shop::open().await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = shirt("Shirt", &["S", "M"]);
        change(&mut body);
        body
    };
    for (body, field) in [
        (with(&|b| b["title"] = json!("")), "/title"),
        (with(&|b| b["variants"] = json!({})), "/variants"),
        (with(&|b| b["variants"][1]["price"] = json!({"amount": -1, "currency": "USD"})), "/variants/1/price"),
        (with(&|b| b["variants"][1]["price"]["currency"] = json!("EUR")), "/variants/1/price/currency"),
        (with(&|b| b["variants"][1]["price"] = json!(19.99)), "/variants/1/price"),
        (with(&|b| b["variants"][1]["option_values"] = json!({"Colour": "x"})), "/variants/1/option_values"),
        (
            with(&|b| b["variants"][1]["option_values"] = json!({"A": "1", "B": "2", "C": "3", "D": "4"})),
            "/variants/1/option_values",
        ),
        (with(&|b| b["variants"][0]["on_hand"] = json!(-1)), "/variants/0/on_hand"),
        (with(&|b| b["options"] = json!([{"name": "A"}, {"name": "A"}])), "/options"),
        (with(&|b| b["category"] = json!("nowhere")), "/category"),
        (with(&|b| b["handle"] = json!("Import")), "/handle"),
        (with(&|b| b["images"] = json!([{"url": "javascript:x"}])), "/images/0/url"),
        (with(&|b| b["vendor"] = json!("a\u{0}")), "/vendor"),
        (with(&|b| b["status"] = json!("sold")), "/status"),
    ] {
        let refused = shop.admin("POST", "/products", Some(body)).await;
        let problem = refused.json();
        assert_eq!((refused.status, problem["errors"][0]["field"].as_str()), (422, Some(field)), "{problem}");
    }
    for (body, code) in [
        (with(&|b| b["variants"][1]["option_values"] = json!({"Size": "S"})), "option_values_taken"),
        (
            with(&|b| {
                b["variants"][0]["sku"] = json!("X");
                b["variants"][1]["sku"] = json!("X");
            }),
            "sku_taken",
        ),
    ] {
        let refused = shop.admin("POST", "/products", Some(body)).await;
        assert_eq!((refused.status, refused.code().as_str()), (409, code));
    }
    assert_eq!(shop.admin("GET", "/products", None).await.json()["items"], json!([]));
    assert_eq!(shop.get("/products/nothing-here").await.status, 404);
    assert_eq!(shop.get("/products/%00").await.status, 404);
    assert_eq!(shop.admin("PATCH", "/products/not-an-id", Some(json!({}))).await.code(), "invalid_id");
}

#[tokio::test]
async fn a_product_may_have_many_variants() {
    let shop = Shop::open().await;
    let sizes: Vec<String> = (0..1_200).map(|size| format!("W{size}")).collect();
    let sizes: Vec<&str> = sizes.iter().map(String::as_str).collect();
    let product = shop.product(shirt("Wide", &sizes)).await;
    assert_eq!(product["variants"].as_array().unwrap().len(), 1_200);
    assert_eq!(product["variants"][1_199]["title"], "W1199");
}
