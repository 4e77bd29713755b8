//! The lines of a cart.

use eshopz_kernel::{UserId, VariantId};
use serde_json::json;

use crate::shop::{Shop, field, lines, refusal, text};

#[tokio::test]
async fn lines_are_added_changed_and_removed() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    let (mug, jug) = (shop.catalogue.offer(1_000, 10), shop.catalogue.offer(2_500, 10));
    let first = guest.add(mug, 2).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let item = text(&first.json()["items"][0], "id");
    assert_eq!(first.header("location"), format!("/api/v1/carts/{}/items/{item}", guest.cart));
    let second = guest.add(mug, 3).await;
    assert_eq!((second.status, lines(&second.json())), (200, vec![(5, 1_000)]));
    let third = guest.add(jug, 1).await;
    assert_eq!((third.status, lines(&third.json())), (201, vec![(5, 1_000), (1, 2_500)]));
    let cart = third.json();
    assert_eq!((cart["item_count"].as_i64(), cart["version"].as_i64()), (Some(6), Some(4)));
    assert_eq!(cart["totals"]["total"]["amount"], 7_500);
    assert_eq!(
        cart["items"][0],
        json!({
            "id": item, "variant_id": mug, "product_id": cart["items"][0]["product_id"], "sku": "SKU-1000",
            "title": "Stoneware mug", "variant_title": "Blue", "image_url": "https://example.com/mug.jpg",
            "quantity": 5, "unit_price": {"amount": 1_000, "currency": "USD"},
            "line_total": {"amount": 5_000, "currency": "USD"}, "available": 10, "price_changed": false,
        })
    );

    let set = guest.set(&item, 1).await;
    assert_eq!((set.status, lines(&set.json())), (200, vec![(1, 1_000), (1, 2_500)]));
    let zero = guest.set(&item, 0).await;
    assert_eq!((zero.status, lines(&zero.json())), (200, vec![(1, 2_500)]));
    assert_eq!(guest.set(&item, 1).await.status, 404);
    let jugs = text(&zero.json()["items"][0], "id");
    let removed = guest.send("DELETE", &format!("/items/{jugs}"), None).await;
    assert_eq!((removed.status, removed.json()["item_count"].as_i64()), (200, Some(0)));
    assert_eq!(guest.send("DELETE", &format!("/items/{jugs}"), None).await.status, 404);
    assert_eq!(guest.read().await["version"], 7);

    guest.add(mug, 1).await;
    guest.add(jug, 1).await;
    let emptied = guest.send("DELETE", "/items", None).await;
    assert_eq!((emptied.status, lines(&emptied.json())), (200, vec![]));
    assert_eq!(shop.count("cart_items").await, 0);
}

#[tokio::test]
async fn a_line_is_limited_by_the_stock() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    let mug = shop.catalogue.offer(1_000, 3);
    let item = text(&guest.add(mug, 2).await.json()["items"][0], "id");
    let more = guest.add(mug, 2).await;
    assert_eq!(refusal(&more), (409, "insufficient_stock".to_owned()));
    assert_eq!((&more.json()["available"], &more.json()["variant_id"]), (&json!(3), &json!(mug)));
    assert_eq!(more.json()["lines"], json!([{"variant_id": mug, "requested": 4, "available": 3}]));
    assert_eq!(refusal(&guest.set(&item, 4).await), (409, "insufficient_stock".to_owned()));
    let cart = guest.read().await;
    assert_eq!((lines(&cart), cart["version"].as_i64()), (vec![(2, 1_000)], Some(2)));

    shop.catalogue.edit(mug, |mug| mug.backorder = true);
    assert_eq!(guest.set(&item, 400).await.status, 200);
}

#[tokio::test]
async fn only_what_is_on_sale_goes_in() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    let draft = shop.catalogue.offer(1_000, 3);
    shop.catalogue.edit(draft, |draft| draft.sellable = false);
    for variant in [draft, VariantId::new()] {
        let refused = guest.add(variant, 1).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert_eq!(field(&refused), ("/variant_id".to_owned(), "unknown_variant".to_owned()));
    }
    assert_eq!(guest.read().await["version"], 1);
}

#[tokio::test]
async fn prices_and_stock_are_those_of_the_moment() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    let (mug, jug, cup) =
        (shop.catalogue.offer(1_000, 9), shop.catalogue.offer(2_000, 9), shop.catalogue.offer(300, 9));
    for variant in [mug, jug, cup] {
        guest.add(variant, 2).await;
    }
    shop.catalogue.edit(mug, |mug| (mug.price.amount, mug.available) = (1_100, 1));
    shop.catalogue.edit(jug, |jug| (jug.price.amount, jug.sellable) = (9_900, false));
    shop.catalogue.withdraw(cup);
    let cart = guest.read().await;
    let seen: Vec<_> = cart["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["available"].clone(), line["price_changed"].clone()))
        .collect();
    assert_eq!(lines(&cart), [(2, 1_100), (2, 2_000), (2, 300)]);
    assert_eq!(seen, [(json!(1), json!(true)), (json!(0), json!(false)), (json!(0), json!(false))]);

    // A change of the line acknowledges its price; a change of another one does not.
    let (mugs, jugs) = (text(&cart["items"][0], "id"), text(&cart["items"][1], "id"));
    let removed = guest.set(&jugs, 0).await;
    assert_eq!(removed.json()["items"][0]["price_changed"], true);
    assert_eq!(guest.set(&mugs, 1).await.json()["items"][0]["price_changed"], false);
    let gone = text(&cart["items"][2], "id");
    assert_eq!(refusal(&guest.set(&gone, 1).await), (409, "insufficient_stock".to_owned()));
    assert_eq!(guest.set(&gone, 0).await.status, 200);
}

#[tokio::test]
async fn no_addition_is_lost() {
    let shop = Shop::open().await;
    let customer = shop.customer(UserId::new()).await;
    let (mug, jug) = (shop.catalogue.offer(1_000, 50), shop.catalogue.offer(1_000, 50));
    let adding = (0..100).map(|number| customer.add(if number % 2 == 0 { mug } else { jug }, 1));
    let statuses: Vec<u16> = futures::future::join_all(adding).await.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 2, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 98, "{statuses:?}");
    let cart = customer.read().await;
    assert_eq!((lines(&cart), cart["version"].as_i64()), (vec![(50, 1_000), (50, 1_000)], Some(101)));
    assert_eq!(refusal(&customer.add(mug, 1).await), (409, "insufficient_stock".to_owned()));
}

#[tokio::test]
async fn a_stale_etag_stops_a_change() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    let mug = shop.catalogue.offer(1_000, 9);
    let added = guest.add(mug, 1).await;
    let (item, seen) = (text(&added.json()["items"][0], "id"), added.header("etag"));
    let path = format!("/items/{item}");
    let changed = guest.send_if("PATCH", &path, Some(json!({"quantity": 2})), &[("if-match", &seen)]).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    for (method, below, body) in
        [("PATCH", path.as_str(), Some(json!({"quantity": 3}))), ("DELETE", &path, None), ("DELETE", "/items", None)]
    {
        let stale = guest.send_if(method, below, body, &[("if-match", &seen)]).await;
        assert_eq!(refusal(&stale), (412, "etag_mismatch".to_owned()), "{method} {below}");
    }
    // The precondition comes before everything else that is wrong.
    let hopeless = guest.send_if("PATCH", &path, Some(json!({"quantity": 99})), &[("if-match", &seen)]).await;
    assert_eq!(refusal(&hopeless), (412, "etag_mismatch".to_owned()));
    let cart = guest.read().await;
    assert_eq!((lines(&cart), cart["version"].as_i64()), (vec![(2, 1_000)], Some(3)));
    // A price that moves is no edit.
    shop.catalogue.edit(mug, |mug| mug.price.amount = 900);
    let fresh = changed.header("etag");
    assert_eq!(guest.send_if("DELETE", &path, None, &[("if-match", &fresh)]).await.status, 200);
}

#[tokio::test]
async fn the_catalogue_is_asked_once_per_request() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    for price in 1..=40 {
        assert_eq!(guest.add(shop.catalogue.offer(price, 9), 1).await.status, 201);
    }
    shop.catalogue.calls();
    let cart = guest.read().await;
    assert_eq!(shop.catalogue.calls(), 1);
    let item = text(&cart["items"][20], "id");
    guest.add(shop.catalogue.offer(41, 9), 1).await;
    guest.set(&item, 2).await;
    guest.set(&item, 0).await;
    assert_eq!(shop.catalogue.calls(), 3);
    guest.send("DELETE", "/items", None).await;
    guest.read().await;
    assert_eq!(shop.catalogue.calls(), 0);
}
