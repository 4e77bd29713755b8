//! Stock that is sold behind the back of a cancellation goes back, even if the one who sold it dies.

use std::sync::Arc;

use eshopz_payment_api::PaymentStatus;
use serde_json::json;

use crate::fakes::Holding;
use crate::shop::{Shop, id_of, order_of, path, text};
use crate::trouble::Trouble;

#[tokio::test]
async fn a_sale_behind_a_cancellation_is_undone_by_a_job() {
    let shop = Arc::new(Shop::open().await);
    let mug = shop.near.variant(1_000, 5);
    let order = shop.place_as_guest("k", order_of(shop.guest_cart(&[(mug, 2)]))).await.json();
    let id = id_of(&order);
    shop.near.world().payments.get_mut(&id).unwrap().status = PaymentStatus::Succeeded;
    let guest = text(&order, "token").to_owned();
    let lines = shop.near.world().holdings[&id].lines.clone();

    // One who looks settles it, and is held up on the way to the catalogue; its answer gets lost, as if it had died.
    shop.way.hold("products.commit_reservation");
    shop.way.once("products.commit_reservation", Trouble::Answer);
    let settling = {
        let (shop, guest, path) = (Arc::clone(&shop), guest.clone(), path(&order, ""));
        tokio::spawn(async move { shop.get(&path, &vec![("x-order-token", &guest)]).await.status })
    };
    while shop.way.tried("products.commit_reservation") == 0 {
        tokio::task::yield_now().await;
    }
    let cancelled = shop.post(&path(&order, "/cancel"), &vec![("x-order-token", &guest)], json!({})).await;
    assert_eq!((cancelled.status, shop.near.available(mug)), (200, 5));
    shop.deliver_own_events().await;
    // Somebody may be selling it still.
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE undone_at IS NULL").await, 1);
    {
        // The catalogue sells what was freed from what is available.
        let mut world = shop.near.world();
        world.variants.get_mut(&mug).unwrap().available -= 2;
        world.holdings.insert(id, Holding { lines, sold: false });
    }
    shop.way.let_through("products.commit_reservation");
    assert_eq!(settling.await.unwrap(), 503);
    assert!(shop.near.available(mug) == 3 && shop.near.world().holdings[&id].sold);
    shop.sql(
        "UPDATE orders.orders SET cancelled_at = cancelled_at - interval '1 minute', \
         selling_at = selling_at - interval '1 minute'",
    )
    .await;
    shop.work_until_none("SELECT 1 FROM orders.orders WHERE undone_at IS NULL").await;
    assert_eq!(shop.near.available(mug), 5);
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

/// One of two who sell is done and says so, which says nothing of the other.
#[tokio::test]
async fn a_second_sale_behind_a_cancellation_is_undone_too() {
    let shop = Arc::new(Shop::open().await);
    let mug = shop.near.variant(1_000, 5);
    let order = shop.place_as_guest("k", order_of(shop.guest_cart(&[(mug, 2)]))).await.json();
    let id = id_of(&order);
    shop.near.world().payments.get_mut(&id).unwrap().status = PaymentStatus::Succeeded;
    let guest = text(&order, "token").to_owned();
    let lines = shop.near.world().holdings[&id].lines.clone();

    shop.way.hold_next("products.commit_reservation");
    let settling = {
        let (shop, guest, path) = (Arc::clone(&shop), guest.clone(), path(&order, ""));
        tokio::spawn(async move { shop.get(&path, &vec![("x-order-token", &guest)]).await.status })
    };
    while shop.way.tried("products.commit_reservation") == 0 {
        tokio::task::yield_now().await;
    }
    // Another who looks is quicker: it sells, and the order is paid.
    let read = shop.get(&path(&order, ""), &vec![("x-order-token", &guest)]).await;
    assert_eq!(read.json()["status"], "paid");
    shop.way.once("products.commit_reservation", Trouble::Answer);
    let cancelled = shop.post(&path(&order, "/cancel"), &vec![("x-order-token", &guest)], json!({})).await;
    assert_eq!((cancelled.status, shop.near.available(mug)), (200, 5));
    shop.deliver_own_events().await;
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE undone_at IS NULL").await, 1);
    {
        let mut world = shop.near.world();
        world.variants.get_mut(&mug).unwrap().available -= 2;
        world.holdings.insert(id, Holding { lines, sold: false });
    }
    shop.way.let_through("products.commit_reservation");
    assert_eq!(settling.await.unwrap(), 503);
    assert!(shop.near.available(mug) == 3 && shop.near.world().holdings[&id].sold);
    shop.sql(
        "UPDATE orders.orders SET cancelled_at = cancelled_at - interval '1 minute', \
         selling_at = selling_at - interval '1 minute'",
    )
    .await;
    shop.work_until_none("SELECT 1 FROM orders.orders WHERE undone_at IS NULL").await;
    assert_eq!(shop.near.available(mug), 5);
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}
