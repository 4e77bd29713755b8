//! Filters, orders, pages and facets.

use eshopz_kernel::OrderId;
use serde_json::{Value, json};

use crate::shop::{Shop, reserve, shirt, titles, usd, variant_id};

async fn filled() -> Shop {
    let shop = Shop::open().await;
    shop.category("clothing", None).await;
    shop.category("shirts", Some("clothing")).await;
    shop.category("lamps", None).await;
    let product = |title: &str, category: &str, vendor: &str, tags: Value, price: i64, on_hand: i64, status: &str| {
        json!({"title": title, "category": category, "vendor": vendor, "product_type": category, "tags": tags,
               "status": status, "variants": [{"price": usd(price), "on_hand": on_hand}]})
    };
    for body in [
        product("apple shirt", "shirts", "Acme", json!(["red", "sale"]), 3000, 1, "active"),
        product("Banana shirt", "shirts", "Acme", json!(["yellow", "sale"]), 1000, 0, "active"),
        product("Cherry coat", "clothing", "Zeta", json!(["red"]), 9000, 4, "active"),
        product("Date lamp", "lamps", "Zeta", json!([]), 2000, 2, "active"),
        product("Elder lamp", "lamps", "Zeta", json!([]), 500, 2, "draft"),
    ] {
        shop.product(body).await;
    }
    shop
}

#[tokio::test]
async fn filters_leave_what_fits() {
    let shop = filled().await;
    for (query, expected) in [
        ("", &["Date lamp", "Cherry coat", "Banana shirt", "apple shirt"][..]),
        ("sort=price", &["Banana shirt", "Date lamp", "apple shirt", "Cherry coat"]),
        ("sort=-price", &["Cherry coat", "apple shirt", "Date lamp", "Banana shirt"]),
        ("sort=title", &["apple shirt", "Banana shirt", "Cherry coat", "Date lamp"]),
        ("sort=-created_at&limit=1", &["Date lamp"]),
        ("category=clothing&sort=title", &["apple shirt", "Banana shirt", "Cherry coat"]),
        ("category=shirts&sort=title", &["apple shirt", "Banana shirt"]),
        ("category=nowhere", &[]),
        ("vendor=Zeta&sort=title", &["Cherry coat", "Date lamp"]),
        ("vendor=%27%20OR%20true--", &[]),
        ("product_type=lamps", &["Date lamp"]),
        ("tag=red&sort=title", &["apple shirt", "Cherry coat"]),
        ("tag=red&tag=sale", &["apple shirt"]),
        ("min_price=2000&max_price=3000&sort=price", &["Date lamp", "apple shirt"]),
        ("in_stock=true&category=shirts", &["apple shirt"]),
        ("in_stock=false", &["Banana shirt"]),
        ("status=active&sort=title&limit=1", &["apple shirt"]),
    ] {
        assert_eq!(shop.titles(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn drafts_are_listed_for_admins_only() {
    let shop = filled().await;
    let admin = shop.admin("GET", "/products?sort=title", None).await;
    assert_eq!(titles(&admin.json()).len(), 5);
    assert!(admin.header("cache-control") == "no-store");
    assert_eq!(titles(&shop.admin("GET", "/products?status=draft", None).await.json()), ["Elder lamp"]);
    assert_eq!(shop.get("/products?status=draft").await.status, 401);
    let customer = shop.app.identity.customer(eshopz_kernel::UserId::new());
    let answer =
        shop.app.send("GET", "/api/v1/products?status=archived", &[("authorization", &customer)], None).await.unwrap();
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn bad_queries_are_refused_by_name() {
    let shop = filled().await;
    let newest = shop.get("/products?limit=1").await.json()["next_cursor"].as_str().unwrap().to_owned();
    let nul_title = "eyJzb3J0IjoidGl0bGUiLCJrZXkiOnsiVGl0bGUiOiJcdTAwMDAifSwiaWQiOiIwMTg5MGE1ZC1hYzk2LTc3NGItYmNjZS1iMzAyMDk5YTgwNTciLCJjb3JyZWN0ZWQiOmZhbHNlfQ";
    for (query, field) in [
        ("limit=0".to_owned(), "/limit"),
        ("limit=101".to_owned(), "/limit"),
        ("sort=name".to_owned(), "/sort"),
        ("sort=relevance".to_owned(), "/sort"),
        ("min_price=-1".to_owned(), "/min_price"),
        ("min_price=x".to_owned(), "/min_price"),
        ("in_stock=maybe".to_owned(), "/in_stock"),
        ("vendor=a%00b".to_owned(), "/vendor"),
        ("colour=red".to_owned(), "/colour"),
        ("cursor=nonsense".to_owned(), "/cursor"),
        (format!("sort=price&cursor={newest}"), "/cursor"),
        (format!("sort=title&cursor={nul_title}"), "/cursor"),
    ] {
        let refused = shop.get(&format!("/products?{query}")).await;
        let problem = refused.json();
        assert_eq!((refused.status, problem["errors"][0]["field"].as_str()), (422, Some(field)), "{query}: {problem}");
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_in_any_order() {
    let shop = Shop::open().await;
    for number in 0..23 {
        let mut body = shirt(&format!("Shirt {}", number % 5), &["S"]);
        body["variants"][0]["price"] = usd(i64::from(number % 3) * 100);
        body["vendor"] = json!(format!("v{number}"));
        shop.product(body).await;
    }
    for sort in ["-created_at", "price", "-price", "title", "relevance"] {
        let query = if sort == "relevance" { "q=shirt".to_owned() } else { format!("sort={sort}") };
        let all = shop.get(&format!("/products?{query}&limit=100")).await.json();
        let whole: Vec<Value> = all["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = shop.get(&format!("/products?{query}&limit=4{cursor}")).await.json();
            paged.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((paged.len(), &paged), (23, &whole), "{sort}");
    }
}

#[tokio::test]
async fn facets_count_what_matches() {
    let shop = filled().await;
    let facets = shop.get("/products?facets=true&limit=1").await.json()["facets"].clone();
    assert_eq!(facets["vendor"], json!([{"value": "Acme", "count": 2}, {"value": "Zeta", "count": 2}]));
    assert_eq!(
        facets["category"],
        json!([{"value": "shirts", "count": 2}, {"value": "clothing", "count": 1}, {"value": "lamps", "count": 1}])
    );
    assert_eq!(facets["tag"][0], json!({"value": "red", "count": 2}));
    assert_eq!(facets["price"], json!({"min": usd(1000), "max": usd(9000)}));
    let searched = shop.get("/products?facets=true&q=shrit&tag=red").await.json()["facets"].clone();
    assert_eq!(searched["vendor"], json!([{"value": "Acme", "count": 1}]));
    let none = shop.get("/products?facets=true&vendor=nobody").await.json()["facets"].clone();
    assert_eq!((&none["vendor"], &none["price"]), (&json!([]), &Value::Null));
    assert_eq!(shop.get("/products").await.json().get("facets"), None);
}

#[tokio::test]
async fn a_product_is_in_stock_while_any_variant_can_be_bought() {
    let shop = Shop::open().await;
    let product = shop.product(shirt("Shirt", &["S"])).await;
    assert_eq!(shop.titles("in_stock=true").await, ["Shirt"]);
    let variant = variant_id(&product, 0);
    shop.api.reserve(reserve(OrderId::new(), &[(variant, 5)])).await.unwrap();
    assert_eq!(shop.titles("in_stock=true").await, Vec::<String>::new());
    shop.admin("PATCH", &format!("/variants/{variant}"), Some(json!({"inventory_policy": "continue"}))).await;
    assert_eq!(shop.titles("in_stock=true").await, ["Shirt"]);
}
