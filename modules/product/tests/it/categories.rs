//! The category tree.

use serde_json::{Value, json};

use crate::shop::{Shop, shirt};

#[tokio::test]
async fn a_tree_is_made_listed_and_moved() {
    let shop = Shop::open().await;
    let body = json!({"name": "Home & Garden", "position": 2});
    let made = shop.admin("POST", "/categories", Some(body.clone())).await;
    assert_eq!((made.status, made.header("location").as_str()), (201, "/api/v1/categories/home-garden"));
    assert_eq!(made.json()["parent"], Value::Null);
    assert_eq!(shop.admin("POST", "/categories", Some(body)).await.code(), "slug_taken");
    shop.category("lamps", Some("home-garden")).await;
    shop.category("desk-lamps", Some("lamps")).await;
    assert_eq!(shop.get("/categories/desk-lamps").await.json()["parent"], "lamps");

    let slugs = |page: Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["slug"].as_str().unwrap().to_owned()).collect()
    };
    let first = shop.get("/categories?limit=2").await.json();
    let second =
        shop.get(&format!("/categories?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!(slugs(first), ["desk-lamps", "lamps"]);
    assert_eq!(second["next_cursor"], Value::Null);
    assert_eq!(slugs(second), ["home-garden"]);
    assert_eq!(slugs(shop.get("/categories?parent=home-garden").await.json()), ["lamps"]);

    let etag = shop.get("/categories/lamps").await.header("etag");
    let change = json!({"slug": "lighting", "name": "Lighting", "parent": null, "position": 1});
    let moved = shop.admin_if("PATCH", "/categories/lamps", Some(change), Some(&etag)).await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    assert_eq!((&moved.json()["slug"], &moved.json()["parent"]), (&json!("lighting"), &Value::Null));
    assert_eq!(shop.get("/categories/desk-lamps").await.json()["parent"], "lighting");
    assert_eq!(shop.admin_if("PATCH", "/categories/lighting", Some(json!({})), Some(&etag)).await.status, 412);
    assert_eq!(shop.get("/categories/lamps").await.status, 404);
    assert_eq!(shop.get("/categories/%00").await.status, 404);
}

#[tokio::test]
async fn a_category_is_never_below_itself() {
    let shop = Shop::open().await;
    for (slug, parent) in [("a", None), ("b", Some("a")), ("c", Some("b"))] {
        shop.category(slug, parent).await;
    }
    for parent in ["a", "b", "c"] {
        let refused = shop.admin("PATCH", "/categories/a", Some(json!({"parent": parent}))).await;
        assert_eq!((refused.status, refused.code().as_str()), (409, "category_cycle"), "{parent}");
    }
    let unknown = shop.admin("PATCH", "/categories/a", Some(json!({"parent": "x"}))).await;
    assert_eq!((unknown.status, unknown.json()["errors"][0]["field"].as_str()), (422, Some("/parent")));

    // Two moves that are fine one by one.
    shop.category("x", None).await;
    shop.category("y", None).await;
    for _ in 0..5 {
        let (one, other) = tokio::join!(
            shop.admin("PATCH", "/categories/x", Some(json!({"parent": "y"}))),
            shop.admin("PATCH", "/categories/y", Some(json!({"parent": "x"}))),
        );
        let mut both = [one.status, other.status];
        both.sort_unstable();
        assert_eq!(both, [200, 409]);
        for slug in ["x", "y"] {
            shop.admin("PATCH", &format!("/categories/{slug}"), Some(json!({"parent": null}))).await;
        }
    }
}

#[tokio::test]
async fn what_is_used_stays() {
    let shop = Shop::open().await;
    shop.category("tops", None).await;
    shop.category("shirts", Some("tops")).await;
    let mut body = shirt("Shirt", &["S"]);
    body["category"] = json!("shirts");
    let product = shop.product(body).await;
    for slug in ["tops", "shirts"] {
        let refused = shop.admin("DELETE", &format!("/categories/{slug}"), None).await;
        assert_eq!((refused.status, refused.code().as_str()), (409, "category_in_use"));
    }
    let path = format!("/products/{}", product["id"].as_str().unwrap());
    shop.admin("PATCH", &path, Some(json!({"category": null}))).await;
    for slug in ["shirts", "tops"] {
        assert_eq!(shop.admin("DELETE", &format!("/categories/{slug}"), None).await.status, 204);
    }
    assert_eq!(shop.admin("DELETE", "/categories/tops", None).await.status, 404);
}
