//! Many at once: one cart makes one order, and stock is sold once.

use std::sync::Arc;

use futures::future::join_all;

use crate::shop::{Shop, id_of, order_of, paid_order_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_identical_requests_make_one_order() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 10);
    let cart = shop.guest_cart(&[(mug, 2)]);
    let answers = join_all((0..50).map(|_| shop.place_as_guest("k", paid_order_of(cart)))).await;
    for answer in &answers {
        let told = answer.status == 201 || answer.code() == "idempotency_in_progress";
        assert!(told, "{} {}", answer.status, answer.text);
    }
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).map(|answer| answer.json()).collect();
    assert!(made.iter().all(|order| *order == made[0]));
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders").await, 1);
    assert_eq!(shop.near.available(mug), 8);
    let replay = shop.place_as_guest("k", paid_order_of(cart)).await;
    assert_eq!((replay.status, replay.header("idempotency-replayed").as_str()), (201, "true"));
    assert_eq!(replay.json(), made[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_cart_under_many_keys_makes_one_order() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 10);
    let cart = shop.guest_cart(&[(mug, 2)]);
    let keys: Vec<String> = (0..20).map(|number| format!("key-{number}")).collect();
    let answers = join_all(keys.iter().map(|key| shop.place_as_guest(key, paid_order_of(cart)))).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let found = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((created, found), (1, 19), "{:?}", answers.iter().map(|answer| &answer.text).collect::<Vec<_>>());
    assert!(answers.iter().all(|answer| answer.json()["id"] == answers[0].json()["id"]));
    assert_eq!(shop.near.available(mug), 8);
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders").await, 1);
    assert_eq!(shop.count("SELECT count(*) FROM orders.outbox WHERE name = 'order.paid.v1'").await, 1);
    // A key that found the order keeps that answer.
    let replay = shop.place_as_guest("key-3", paid_order_of(cart)).await;
    assert_eq!(replay.header("idempotency-replayed"), "true");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_of_an_order_for_the_last_ones_are_not_refused() {
    let shop = Shop::open().await;
    for round in 0..10 {
        let cart = shop.guest_cart(&[(shop.near.variant(1_000, 2), 2)]);
        let keys: Vec<String> = (0..5).map(|number| format!("key-{round}-{number}")).collect();
        let answers = join_all(keys.iter().map(|key| shop.place_as_guest(key, paid_order_of(cart)))).await;
        assert!(answers.iter().all(|answer| answer.status < 300), "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_of_a_cart_in_a_race_leave_one_reservation() {
    let shop = Arc::new(Shop::open().await);
    let mug = shop.near.variant(1_000, 100);
    for round in 0..10 {
        let cart = shop.guest_cart(&[(mug, 1)]);
        let bump = || shop.near.world().carts.get_mut(&cart).unwrap().checkout.version += 1;
        let (one, two, three) = (format!("a{round}"), format!("b{round}"), format!("c{round}"));
        let (first, second, third) = futures::join!(
            shop.place_as_guest(&one, order_of(cart)),
            async {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                bump();
                shop.place_as_guest(&two, order_of(cart)).await
            },
            shop.place_as_guest(&three, order_of(cart)),
        );
        let order = id_of(&first.json());
        assert!([&second, &third].iter().all(|answer| id_of(&answer.json()) == order));
        assert_eq!(shop.near.available(mug), 100 - (round + 1));
        assert!(shop.near.world().holdings.contains_key(&order));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_is_sold_than_there_is() {
    let shop = Shop::open().await;
    let last = shop.near.variant(1_000, 3);
    let carts: Vec<_> = (0..30).map(|number| (format!("k{number}"), shop.guest_cart(&[(last, 1)]))).collect();
    let answers = join_all(carts.iter().map(|(key, cart)| shop.place_as_guest(key, paid_order_of(*cart)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
    assert_eq!(answers.iter().filter(|answer| answer.code() == "insufficient_stock").count(), 27);
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}
