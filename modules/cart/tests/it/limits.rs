//! What a request may not be, and what a cart may not hold.

use eshopz_cart::CartSettings;
use eshopz_kernel::CartItemId;
use serde_json::json;

use crate::shop::{Shop, field, lines, refusal, text};

#[tokio::test]
async fn bad_input_is_named_and_changes_nothing() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    let mug = shop.catalogue.offer(1_000, 9);
    let item = text(&guest.add(mug, 1).await.json()["items"][0], "id");
    let path = format!("/items/{item}");
    for (method, below, body, at, code) in [
        ("POST", "/items", json!({"variant_id": mug, "quantity": 0}), "/quantity", "range"),
        ("POST", "/items", json!({"variant_id": mug, "quantity": -1}), "/quantity", "range"),
        ("POST", "/items", json!({"variant_id": mug, "quantity": 100_000}), "/quantity", "range"),
        ("POST", "/items", json!({"variant_id": mug, "quantity": i64::MAX}), "/quantity", "range"),
        ("POST", "/items", json!({"variant_id": mug, "quantity": 1.5}), "/quantity", "invalid"),
        ("POST", "/items", json!({"variant_id": mug}), "/quantity", "required"),
        ("POST", "/items", json!({"variant_id": "mug", "quantity": 1}), "/variant_id", "invalid"),
        ("POST", "/items", json!({"variant_id": mug, "quantity": 1, "price": 1}), "/price", "unknown_field"),
        ("PATCH", path.as_str(), json!({"quantity": -1}), "/quantity", "range"),
        ("PATCH", &path, json!({"quantity": 100_000}), "/quantity", "range"),
        ("PATCH", &path, json!({}), "/quantity", "required"),
    ] {
        let refused = guest.send(method, below, Some(body.clone())).await;
        assert_eq!(refused.status, 422, "{body}: {}", refused.text);
        assert_eq!(field(&refused), (at.to_owned(), code.to_owned()), "{body}");
        assert_eq!(refused.header("content-type"), "application/problem+json");
    }
    let unknown = format!("/items/{}", CartItemId::new());
    assert_eq!(guest.send("PATCH", &unknown, Some(json!({"quantity": 1}))).await.status, 404);
    assert_eq!(guest.send("DELETE", "/items/none", None).await.code(), "invalid_id");
    let nowhere = shop.app.send("GET", "/api/v1/carts/none", &[], None).await.unwrap();
    assert_eq!(refusal(&nowhere), (400, "invalid_id".to_owned()));
    let header = (guest.header.0, guest.header.1.as_str());
    let items = format!("/api/v1/carts/{}/items", guest.cart);
    let headers = [header, ("content-type", "application/json")];
    let malformed = shop.app.send_raw("POST", &items, &headers, b"{".to_vec()).await.unwrap();
    assert_eq!(refusal(&malformed), (400, "malformed_json".to_owned()));
    let media = shop.app.send_raw("POST", &items, &[header], b"{}".to_vec()).await.unwrap();
    assert_eq!(refusal(&media), (415, "unsupported_media_type".to_owned()));
    let huge = shop.app.send_raw("POST", &items, &headers, vec![b' '; 1_100_000]).await.unwrap();
    assert_eq!(refusal(&huge), (413, "body_too_large".to_owned()));
    let cart = guest.read().await;
    assert_eq!((lines(&cart), cart["version"].as_i64()), (vec![(1, 1_000)], Some(2)));
}

#[tokio::test]
async fn a_cart_holds_so_many_lines_of_so_many() {
    let shop = Shop::open_with(CartSettings { max_lines: 2, max_quantity: 5, ..CartSettings::default() }).await;
    let guest = shop.guest().await;
    let mug = shop.catalogue.offer(1_000, 99);
    guest.add(mug, 4).await;
    assert_eq!(field(&guest.add(mug, 2).await), ("/quantity".to_owned(), "range".to_owned()));
    assert_eq!(guest.add(mug, 1).await.status, 200);
    guest.add(shop.catalogue.offer(1, 99), 1).await;
    let third = guest.add(shop.catalogue.offer(2, 99), 1).await;
    assert_eq!(refusal(&third), (422, "too_many_lines".to_owned()));
    assert_eq!(lines(&guest.read().await), [(5, 1_000), (1, 1)]);
}

#[tokio::test]
async fn a_closed_cart_never_changes() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    let mug = shop.catalogue.offer(1_000, 9);
    let item = text(&guest.add(mug, 1).await.json()["items"][0], "id");
    shop.plant("UPDATE carts SET status = 'abandoned', closed_at = now()").await;
    let path = format!("/items/{item}");
    for (method, below, body) in [
        ("POST", "/items", Some(json!({"variant_id": mug, "quantity": 1}))),
        ("PATCH", path.as_str(), Some(json!({"quantity": 2}))),
        ("PATCH", &path, Some(json!({"quantity": 0}))),
        ("DELETE", &path, None),
        ("DELETE", "/items", None),
        ("DELETE", "", None),
    ] {
        let refused = guest.send(method, below, body).await;
        assert_eq!(refusal(&refused), (409, "cart_not_open".to_owned()), "{method} {below}");
    }
    let cart = guest.read().await;
    assert_eq!((text(&cart, "status").as_str(), lines(&cart)), ("abandoned", vec![(1, 1_000)]));
}

#[tokio::test]
async fn a_cart_of_five_hundred_lines_is_as_good_as_one() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    let variants: Vec<_> = (1..=500).map(|price| shop.catalogue.offer(price, 9)).collect();
    let rows: Vec<String> = variants
        .iter()
        .map(|id| format!("(gen_random_uuid(), '{}', '{id}', '{id}', 'x', 'y', 1, 1, true, true)", guest.cart))
        .collect();
    shop.plant(&format!(
        "INSERT INTO cart_items (id, cart_id, variant_id, product_id, title, variant_title, quantity, \
         unit_price_minor, requires_shipping, taxable) VALUES {}",
        rows.join(",")
    ))
    .await;
    shop.catalogue.calls();
    let added = guest.add(variants[250], 1).await;
    assert_eq!((added.status, shop.catalogue.calls()), (200, 1));
    let cart = added.json();
    assert_eq!(lines(&cart)[250], (2, 251));
    assert_eq!((lines(&cart).len(), cart["item_count"].as_i64()), (500, Some(501)));
    assert_eq!(cart, guest.read().await);
}
