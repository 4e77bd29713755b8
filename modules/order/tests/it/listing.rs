//! Lists: whose, which, and page by page.

use eshopz_cart_api::CartOwner;
use eshopz_kernel::UserId;
use serde_json::Value;

use crate::shop::{Shop, order_of, paid_order_of, path, text};

fn numbers(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|order| text(order, "number").to_owned()).collect()
}

async fn seven_orders(shop: &Shop, user: UserId, bearer: &str) {
    let mug = shop.near.variant(1_000, 100);
    for number in 0..7 {
        let cart = shop.near.cart(CartOwner::Customer(user), &[(mug, 1), (shop.near.variant(5, 9), 2)]);
        let body = if number < 3 { paid_order_of(cart) } else { order_of(cart) };
        shop.place(&format!("k{number}"), &vec![("authorization", bearer)], body).await;
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip() {
    let shop = Shop::open().await;
    let (user, bearer) = shop.customer();
    let me = vec![("authorization", bearer.as_str())];
    seven_orders(&shop, user, &bearer).await;
    // Some at the very same moment: the id decides between them.
    shop.sql("UPDATE orders.orders SET placed_at = date_trunc('day', placed_at) WHERE number > 'EZ-100004'").await;
    for sort in ["-placed_at", "placed_at"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = shop.get(&format!("/api/v1/orders?limit=2&sort={sort}{cursor}"), &me).await;
            assert_eq!(page.status, 200, "{}", page.text);
            seen.extend(numbers(&page.json()));
            match page.json()["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let whole = numbers(&shop.get(&format!("/api/v1/orders?limit=100&sort={sort}"), &me).await.json());
        assert_eq!((seen.len(), &seen), (7, &whole));
        let other = if sort == "placed_at" { "-placed_at" } else { "placed_at" };
        let stale = shop.get(&format!("/api/v1/orders?sort={other}{cursor}"), &me).await;
        assert_eq!((stale.status, stale.json()["errors"][0]["code"].clone()), (422, "invalid_cursor".into()));
    }
    let items = shop.get("/api/v1/orders?limit=1", &me).await.json();
    assert_eq!(items["items"][0]["items"].as_array().unwrap().len(), 2);
    assert_eq!(items["items"][0]["items"][1]["line_total"]["amount"], 10);
}

#[tokio::test]
async fn lists_are_narrowed_by_what_is_asked() {
    let shop = Shop::open().await;
    let (user, bearer) = shop.customer();
    seven_orders(&shop, user, &bearer).await;
    let (me, admin) = (vec![("authorization", bearer.as_str())], shop.app.identity.admin());
    let staff = vec![("authorization", admin.as_str())];
    let (_, stranger) = shop.customer();
    let other = vec![("authorization", stranger.as_str())];
    shop.sql("UPDATE orders.orders SET placed_at = '2030-01-02T00:00:00Z' WHERE number = 'EZ-100002'").await;
    for (who, query, expected) in [
        (&me, "", 7),
        (&other, "", 0),
        (&staff, "", 7),
        (&me, "?status=paid", 3),
        (&me, "?status=paid&status=pending_payment", 7),
        (&me, "?from=2030-01-02T00:00:00Z", 1),
        (&me, "?from=2030-01-01T00:00:00Z&to=2030-01-02T00:00:00Z", 0),
        (&me, "?to=2030-01-01T00:00:00Z", 6),
        (&staff, "?email=ADA@example.com", 7),
        (&staff, "?email=bob@example.com", 0),
    ] {
        let page = shop.get(&format!("/api/v1/orders{query}"), who).await;
        assert_eq!(page.status, 200, "{query}: {}", page.text);
        assert_eq!(numbers(&page.json()).len(), expected, "{query}");
    }
    let of = shop.get(&format!("/api/v1/orders?customer_id={user}"), &staff).await.json();
    assert_eq!(numbers(&of).len(), 7);
    for (query, status) in [
        ("?email=ada@example.com", 403),
        ("?status=lost", 422),
        ("?limit=0", 422),
        ("?cursor=x", 422),
        ("?sort=total", 422),
        ("?colour=red", 422),
        ("?from=yesterday", 422),
        ("?from=%2B200000-01-01T00:00:00Z", 422),
    ] {
        assert_eq!(shop.get(&format!("/api/v1/orders{query}"), &me).await.status, status, "{query}");
    }
    assert_eq!(shop.get("/api/v1/orders", &vec![]).await.status, 401);
}

#[tokio::test]
async fn a_timeline_has_pages_too() {
    let shop = Shop::open().await;
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 5), 1)]);
    let order = shop.place_as_guest("k", paid_order_of(cart)).await.json();
    let guest = vec![("x-order-token", text(&order, "token"))];
    let first = shop.get(&path(&order, "/timeline?limit=1"), &guest).await.json();
    assert_eq!((first["items"][0]["from"].clone(), text(&first["items"][0], "to")), (Value::Null, "pending_payment"));
    let next = text(&first, "next_cursor").to_owned();
    let second = shop.get(&path(&order, &format!("/timeline?limit=1&cursor={next}")), &guest).await.json();
    assert_eq!(text(&second["items"][0], "event"), "paid");
    assert_eq!(second["next_cursor"], Value::Null);
    assert_eq!(shop.get(&path(&order, "/timeline?cursor=x"), &guest).await.status, 422);
}
