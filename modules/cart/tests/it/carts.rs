//! Making, reading and removing carts, and whose they are.

use std::collections::BTreeMap;

use eshopz_cart::CartSettings;
use eshopz_kernel::{Pricing, UserId};
use serde_json::{Value, json};

use crate::shop::{Shop, field, lines, refusal, text};

#[tokio::test]
async fn a_guests_cart_opens_to_its_token_only() {
    let shop = Shop::open().await;
    let made = shop.app.send("POST", "/api/v1/carts", &[], Some(json!({"currency": "USD"}))).await.unwrap();
    assert_eq!(made.status, 201, "{}", made.text);
    let (cart, token) = (text(&made.json(), "id"), text(&made.json(), "token"));
    assert_eq!(made.header("location"), format!("/api/v1/carts/{cart}"));
    assert_eq!((token.len(), made.json()["status"].as_str()), (43, Some("open")));
    assert_eq!(made.json()["totals"]["total"], json!({"amount": 0, "currency": "USD"}));

    let path = format!("/api/v1/carts/{cart}");
    let read = shop.app.send("GET", &path, &[("x-cart-token", &token)], None).await.unwrap();
    assert_eq!(read.status, 200);
    assert_eq!(read.json().get("token"), None);
    let (stranger, admin) = (shop.app.identity.customer(UserId::new()), shop.app.identity.admin());
    for headers in [
        vec![],
        vec![("x-cart-token", "guess")],
        vec![("authorization", stranger.as_str())],
        vec![("authorization", admin.as_str())],
    ] {
        for method in ["GET", "DELETE"] {
            let refused = shop.app.send(method, &path, &headers, None).await.unwrap();
            assert_eq!(refusal(&refused), (404, "not_found".to_owned()), "{headers:?}");
        }
    }
    // Somebody who is signed in and has the token as well.
    let both = [("authorization", stranger.as_str()), ("x-cart-token", token.as_str())];
    assert_eq!(shop.app.send("GET", &path, &both, None).await.unwrap().status, 200);
    assert_eq!(shop.count("carts WHERE token_hash IS NOT NULL").await, 1);
}

#[tokio::test]
async fn a_customer_has_one_open_cart() {
    let shop = Shop::open().await;
    let user = UserId::new();
    let bearer = shop.app.identity.customer(user);
    let headers = [("authorization", bearer.as_str())];
    let made = shop.app.send("POST", "/api/v1/carts", &headers, None).await.unwrap();
    assert_eq!((made.status, made.json().get("token")), (201, None));
    let again = shop.app.send("POST", "/api/v1/carts", &headers, None).await.unwrap();
    let mine = shop.app.send("GET", "/api/v1/carts/mine", &headers, None).await.unwrap();
    assert_eq!((again.status, mine.status), (200, 200));
    assert_eq!(text(&made.json(), "id"), text(&again.json(), "id"));
    assert_eq!(text(&made.json(), "id"), text(&mine.json(), "id"));
    let nobody = shop.app.send("GET", "/api/v1/carts/mine", &[], None).await.unwrap();
    assert_eq!(refusal(&nobody), (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn the_first_use_makes_one_cart_however_many_come() {
    let shop = Shop::open().await;
    let user = UserId::new();
    let first = futures::future::join_all((0..20).map(|_| shop.customer(user))).await;
    let mut ids: Vec<_> = first.iter().map(|customer| &customer.cart).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(shop.count("carts").await, 1);
}

#[tokio::test]
async fn totals_follow_the_settings_and_the_country() {
    let pricing = Pricing {
        shipping_flat: 500,
        shipping_free_from: Some(10_000),
        tax_rates: BTreeMap::from([("DE".to_owned(), 1_900)]),
        ..Pricing::default()
    };
    let shop = Shop::open_with(CartSettings { pricing, ..CartSettings::default() }).await;
    let guest = shop.guest().await;
    guest.add(shop.catalogue.offer(1_000, 5), 2).await;
    let totals = |cart: &Value| {
        ["subtotal", "discount", "shipping", "tax", "total"]
            .map(|name| cart["totals"][name]["amount"].as_i64().unwrap())
    };
    assert_eq!(totals(&guest.read().await), [2_000, 0, 500, 0, 2_500]);
    let german = guest.send("GET", "?country=DE", None).await;
    assert_eq!(totals(&german.json()), [2_000, 0, 500, 380, 2_880]);
    for unknown in ["Germany", "XX"] {
        let refused = guest.send("GET", &format!("?country={unknown}"), None).await;
        assert_eq!(field(&refused).0, "/country", "{unknown}");
    }
    assert_eq!(field(&guest.send("GET", "?land=DE", None).await), ("/land".to_owned(), "unknown_field".to_owned()));
}

#[tokio::test]
async fn another_currency_is_refused() {
    let shop = Shop::open().await;
    let post = async |body| shop.app.send("POST", "/api/v1/carts", &[], Some(body)).await.unwrap();
    let euro = post(json!({"currency": "EUR"})).await;
    assert_eq!((euro.status, field(&euro)), (422, ("/currency".to_owned(), "unsupported_currency".to_owned())));
    assert_eq!(field(&post(json!({"currency": "dollars"})).await), ("/currency".to_owned(), "invalid".to_owned()));
    assert_eq!(field(&post(json!({"curency": "USD"})).await), ("/curency".to_owned(), "unknown_field".to_owned()));
    assert_eq!(shop.count("carts").await, 0);
}

#[tokio::test]
async fn a_removed_cart_is_gone_with_its_lines() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    guest.add(shop.catalogue.offer(100, 5), 1).await;
    assert_eq!(guest.send_if("DELETE", "", None, &[("if-match", "\"1-0\"")]).await.status, 412);
    assert_eq!(guest.send("DELETE", "", None).await.status, 204);
    assert_eq!(guest.send("GET", "", None).await.status, 404);
    assert_eq!(guest.send("DELETE", "", None).await.status, 404);
    assert_eq!(shop.count("cart_items").await, 0);
}

#[tokio::test]
async fn a_reader_who_has_it_already_gets_nothing_again() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    let mug = shop.catalogue.offer(100, 5);
    guest.add(mug, 1).await;
    let etag = guest.send("GET", "", None).await.header("etag");
    assert_eq!(guest.send_if("GET", "", None, &[("if-none-match", &etag)]).await.status, 304);
    // A price that moves is seen although nobody changed the cart.
    shop.catalogue.edit(mug, |mug| mug.price.amount = 120);
    let moved = guest.send_if("GET", "", None, &[("if-none-match", &etag)]).await;
    assert_eq!((moved.status, lines(&moved.json())), (200, vec![(1, 120)]));
}
