//! The catalogue as shoppers and the merchant's people meet it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Shop, id};

fn ids(list: &Value) -> BTreeSet<String> {
    list["items"].as_array().unwrap().iter().map(|item| id(item).to_owned()).collect()
}

async fn variants_product(shop: &Shop, variant: &str) -> String {
    shop.get(&format!("/api/v1/variants/{variant}"), &[]).await["product_id"].as_str().unwrap().to_owned()
}

/// Also by whoever remembers products: other processes, and the cart, which prices what is in it.
pub async fn a_change_is_seen_everywhere_within_a_second(shop: &Shop) {
    let admin = shop.admin().await;
    let of_admin = [("authorization", admin.as_str())];
    let variant = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let (cart, token) = shop.guest_cart(&[(&variant, 1)]).await;
    let product = format!("/api/v1/products/{}", variants_product(shop, &variant).await);
    let (cart, of_cart) = (format!("/api/v1/carts/{cart}"), [("x-cart-token", token.as_str())]);
    for _ in 0..2 * shop.pods {
        shop.get(&product, &[]).await;
        shop.get(&cart, &of_cart).await;
    }
    shop.send("PATCH", &product, &of_admin, Some(json!({"title": "Silk Shirt"}))).await.expect(200);
    shop.within_a_second(&product, &[], |answer| answer.body["title"] == "Silk Shirt").await;

    let change = json!({"price": {"amount": 5_100, "currency": "USD"}});
    let path = format!("/api/v1/variants/{variant}");
    shop.send("PATCH", &path, &of_admin, Some(change)).await.expect(200);
    shop.within_a_second(&product, &[], |answer| answer.body["variants"][0]["price"]["amount"] == 5_100).await;
    shop.within_a_second(&cart, &of_cart, |answer| answer.body["items"][0]["unit_price"]["amount"] == 5_100).await;

    shop.send("PUT", &format!("{path}/stock"), &of_admin, Some(json!({"on_hand": 3}))).await.expect(200);
    shop.within_a_second(&product, &[], |answer| answer.body["variants"][0]["available"] == 3).await;
    shop.within_a_second(&path, &[], |answer| answer.body["available"] == 3).await;

    assert_eq!(shop.send("DELETE", &product, &of_admin, None).await.status, 204);
    shop.within_a_second(&product, &[], |answer| answer.status == 404).await;
    let (other, token) = shop.guest_cart(&[]).await;
    let line = json!({"variant_id": variant, "quantity": 1});
    let items = format!("/api/v1/carts/{other}/items");
    let refused = shop.send("POST", &items, &[("x-cart-token", &token)], Some(line)).await;
    assert!(!(200..300).contains(&refused.status), "an archived product is sold: {}", refused.text);
}

pub async fn products_are_found(shop: &Shop) {
    let admin = shop.admin().await;
    let of_admin = [("authorization", admin.as_str())];
    let (vendor, category) = (shop.unique("Harbour Mill"), shop.unique("kitchen"));
    let made = json!({"name": "Kitchen", "slug": category});
    shop.send("POST", "/api/v1/categories", &of_admin, Some(made)).await.expect(201);
    let mut all = BTreeSet::new();
    for (title, price, tag) in [
        ("Walnut Breadboard", 4_500, "wood"),
        ("Copper Saucepan", 12_900, "metal"),
        ("Walnut Spoon", 900, "wood"),
        ("Enamel Teapot", 3_900, "metal"),
        ("Linen Teatowel", 1_200, "cloth"),
    ] {
        let product = json!({
            "title": title, "vendor": vendor, "category": category, "tags": [tag],
            "variants": [{"price": {"amount": price, "currency": "USD"}, "on_hand": i64::from(price != 900)}],
        });
        let made = shop.send("POST", "/api/v1/products", &of_admin, Some(product)).await.expect(201);
        all.insert(id(&made).to_owned());
    }
    let vendor = vendor.replace(' ', "%20");
    let list = |query: &str| {
        let path = format!("/api/v1/products?vendor={vendor}{query}");
        async move { shop.get(&path, &[]).await }
    };
    for (query, found) in [
        ("", 5),
        ("&q=walnut", 2),
        ("&q=walnutt", 2),
        ("&q=xyzzyplugh", 0),
        ("&tag=metal", 2),
        ("&min_price=1000&max_price=4000", 2),
        ("&in_stock=true", 4),
        (&format!("&category={category}"), 5),
    ] {
        assert_eq!(ids(&list(query).await).len(), found, "{query}");
    }
    let faceted = list("&facets=true&limit=1").await;
    let tags: Vec<(&str, i64)> = faceted["facets"]["tag"]
        .as_array()
        .unwrap()
        .iter()
        .map(|facet| (facet["value"].as_str().unwrap(), facet["count"].as_i64().unwrap()))
        .collect();
    assert!([("metal", 2), ("wood", 2), ("cloth", 1)].iter().all(|tag| tags.contains(tag)), "{tags:?}");
    for sort in ["-created_at", "price", "-price", "title"] {
        let (mut seen, mut cursor) = (BTreeSet::new(), String::new());
        loop {
            let page = list(&format!("&limit=2&sort={sort}{cursor}")).await;
            for product in ids(&page) {
                assert!(seen.insert(product), "{sort} repeats");
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, all, "{sort}");
    }
}

/// More than what other requests may weigh, for the ingress has to let it through.
pub async fn a_file_goes_in(shop: &Shop) {
    let admin = shop.admin().await;
    let handle = shop.unique("oilskin-coat");
    let filler = "x".repeat(3 * 1024 * 1024 / 2);
    let csv = format!(
        "Handle,Title,Body (HTML),Vendor,Published,Option1 Name,Option1 Value,Variant Inventory Qty,Variant Price,Note\r\n\
         {handle},Oilskin Coat,<p>Dry.</p>,Quay & Sons,true,Size,S,3,149,{filler}\r\n\
         {handle},,,,,,M,2,149,\r\n\
         {handle}-bad,Bad Price,,,true,Size,S,1,cheap,\r\n"
    );
    let headers = [("authorization", admin.as_str()), ("content-type", "text/csv")];
    let report = shop.raw("POST", "/api/v1/products/import", &headers, csv.into_bytes()).await.expect(200);
    assert_eq!((&report["products"]["created"], &report["variants"]["created"]), (&json!(1), &json!(2)), "{report}");
    assert_eq!(report["refused"].as_array().unwrap().len(), 1, "{report}");
    let coat = shop.get(&format!("/api/v1/products/{handle}"), &[]).await;
    assert_eq!(coat["variants"].as_array().unwrap().len(), 2);
    let exported = shop.send("GET", "/api/v1/products/export", &headers[..1], None).await;
    assert_eq!((exported.status, exported.header("content-type").split(';').next()), (200, Some("text/csv")));
    assert!(exported.text.contains(&handle));
}

pub async fn a_tree_of_categories(shop: &Shop) {
    let admin = shop.admin().await;
    let of_admin = [("authorization", admin.as_str())];
    let (root, leaf) = (shop.unique("garden"), shop.unique("spades"));
    shop.send("POST", "/api/v1/categories", &of_admin, Some(json!({"name": "Garden", "slug": root}))).await.expect(201);
    let below = json!({"name": "Spades", "slug": leaf, "parent": root});
    shop.send("POST", "/api/v1/categories", &of_admin, Some(below)).await.expect(201);
    assert_eq!(shop.get(&format!("/api/v1/categories/{leaf}"), &[]).await["parent"], root);
    let children = shop.get(&format!("/api/v1/categories?parent={root}"), &[]).await;
    assert_eq!(ids(&children).len(), 1);
    let circle = json!({"parent": leaf});
    let refused = shop.send("PATCH", &format!("/api/v1/categories/{root}"), &of_admin, Some(circle)).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (409, Some("category_cycle")));
    let removed = shop.send("DELETE", &format!("/api/v1/categories/{leaf}"), &of_admin, None).await;
    assert_eq!(removed.status, 204);
}

pub async fn stock_has_a_ledger(shop: &Shop) {
    let admin = shop.admin().await;
    let of_admin = [("authorization", admin.as_str())];
    let variant = shop.product(&admin, "Brass Lamp", 8_900, 5).await;
    let path = format!("/api/v1/variants/{variant}");
    let adjust = json!({"delta": -2, "reason": "damaged"});
    let adjusted = shop.send("POST", &format!("{path}/stock-adjustments"), &of_admin, Some(adjust)).await;
    assert!((200..300).contains(&adjusted.status), "{}", adjusted.text);
    shop.assert_available(&variant, 3).await;
    shop.guest_order(&variant, 1, Some("pm_card_visa")).await;
    let ledger = format!("{path}/stock-movements");
    let sold = |ledger: &Value| ledger["items"].as_array().unwrap().iter().any(|entry| entry["kind"] == "sale");
    let ledger = shop.until(&ledger, &of_admin, sold).await;
    assert_eq!(ledger["items"].as_array().unwrap().len(), 3, "{ledger}");
    shop.assert_available(&variant, 2).await;
}
