//! A guest signs in.

use eshopz_cart::CartSettings;
use eshopz_kernel::{CartId, UserId};
use serde_json::{Value, json};

use crate::shop::{Buyer, Shop, field, lines, refusal};

fn wish(guest: &Buyer<'_>) -> Option<Value> {
    Some(json!({"cart_id": guest.cart, "token": guest.header.1}))
}

#[tokio::test]
async fn the_larger_quantity_of_a_line_wins() {
    let shop = Shop::open().await;
    let (guest, customer) = (shop.guest().await, shop.customer(UserId::new()).await);
    let [mug, jug, cup, pot] = [100, 200, 300, 400].map(|price| shop.catalogue.offer(price, 9));
    for (variant, quantity) in [(mug, 1), (jug, 5), (cup, 2)] {
        customer.add(variant, quantity).await;
    }
    for (variant, quantity) in [(pot, 1), (jug, 2), (mug, 7)] {
        guest.add(variant, quantity).await;
    }
    shop.catalogue.edit(pot, |pot| pot.available = 0);
    let merged = customer.send("POST", "/merge", wish(&guest)).await;
    assert_eq!(merged.status, 200, "{}", merged.text);
    let cart = merged.json();
    assert_eq!(lines(&cart), [(7, 100), (5, 200), (2, 300), (1, 400)]);
    assert_eq!((cart["items"][3]["available"].as_i64(), cart["version"].as_i64()), (Some(0), Some(5)));

    // The guest's cart is closed and its token spent; the same again changes nothing.
    assert_eq!(guest.send("GET", "", None).await.status, 404);
    assert_eq!(guest.add(mug, 1).await.status, 404);
    let again = customer.send("POST", "/merge", wish(&guest)).await;
    assert_eq!((again.status, again.json()), (200, cart));
    assert_eq!(shop.count("carts WHERE status = 'abandoned' AND merged_into IS NOT NULL").await, 1);
    let other = shop.customer(UserId::new()).await;
    assert_eq!(other.send("POST", "/merge", wish(&guest)).await.status, 404);
}

#[tokio::test]
async fn a_merge_needs_both_carts_to_be_the_callers() {
    let shop = Shop::open().await;
    let (guest, customer, other) =
        (shop.guest().await, shop.customer(UserId::new()).await, shop.customer(UserId::new()).await);
    let merge = async |body: Value| customer.send("POST", "/merge", Some(body)).await;
    assert_eq!(merge(json!({"cart_id": guest.cart, "token": "guess"})).await.status, 404);
    assert_eq!(merge(json!({"cart_id": CartId::new(), "token": guest.header.1})).await.status, 404);
    assert_eq!(merge(json!({"cart_id": other.cart, "token": guest.header.1})).await.status, 404);
    assert_eq!(merge(json!({"cart_id": customer.cart, "token": guest.header.1})).await.status, 404);
    assert_eq!(field(&merge(json!({"cart_id": guest.cart, "token": ""})).await).0, "/token");
    let foreign = Buyer { cart: other.cart.clone(), ..customer.clone() };
    assert_eq!(foreign.send("POST", "/merge", wish(&guest)).await.status, 404);
    assert_eq!(guest.send("POST", "/merge", wish(&guest)).await.status, 401);
    assert_eq!(guest.read().await["status"], "open");
    shop.plant(&format!("UPDATE carts SET status = 'abandoned', closed_at = now() WHERE id = '{}'", guest.cart)).await;
    assert_eq!(refusal(&customer.send("POST", "/merge", wish(&guest)).await), (409, "cart_not_open".to_owned()));
}

#[tokio::test]
async fn too_many_lines_stay_apart() {
    let shop = Shop::open_with(CartSettings { max_lines: 2, ..CartSettings::default() }).await;
    let (guest, customer) = (shop.guest().await, shop.customer(UserId::new()).await);
    customer.add(shop.catalogue.offer(100, 9), 1).await;
    guest.add(shop.catalogue.offer(200, 9), 1).await;
    guest.add(shop.catalogue.offer(300, 9), 1).await;
    let refused = customer.send("POST", "/merge", wish(&guest)).await;
    assert_eq!(refusal(&refused), (422, "too_many_lines".to_owned()));
    assert_eq!(lines(&guest.read().await), [(1, 200), (1, 300)]);
    assert_eq!(lines(&customer.read().await), [(1, 100)]);
}

#[tokio::test]
async fn merges_at_the_same_moment_count_once() {
    let shop = Shop::open().await;
    let (guest, customer) = (shop.guest().await, shop.customer(UserId::new()).await);
    guest.add(shop.catalogue.offer(100, 9), 3).await;
    let merge = || customer.send("POST", "/merge", wish(&guest));
    let (one, two, three, four) = tokio::join!(merge(), merge(), merge(), merge());
    for answer in [one, two, three, four] {
        assert_eq!((answer.status, lines(&answer.json())), (200, vec![(3, 100)]));
    }
    assert_eq!(customer.read().await["version"], 2);
}
