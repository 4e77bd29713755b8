//! The jobs go on beside each other, and each with several at once: what hangs holds up nobody else.

use crate::cancel_lines::{cancel, items, paid};
use crate::shop::{Shop, order_of};

const EARLIER: &str = "UPDATE orders.orders SET placed_at = placed_at - interval '2 minutes'; \
    UPDATE orders.order_refunds SET updated_at = updated_at - interval '2 minutes'";

#[tokio::test]
async fn refunds_that_hang_do_not_keep_orders_from_being_finished() {
    let shop = Shop::open().await;
    shop.near.world().slow_gateway = true;
    for _ in 0..10 {
        let (order, mug, _) = paid(&shop).await;
        cancel(&shop, &order, &[], items(&[(mug, 1)])).await;
    }
    shop.way.block("payments.create");
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 5), 1)]);
    assert_eq!(shop.place_as_guest("k", order_of(cart)).await.status, 503);
    shop.way.clear();
    shop.sql(EARLIER).await;
    let before = shop.way.tried("payments.refund");
    shop.way.hold("payments.refund");
    let way = shop.way.clone();
    let mut asked = 0;
    shop.work_until(|near| {
        asked = way.tried("payments.refund") - before;
        let is_done = asked >= 8 && near.world().carts[&cart].checkout.ordered_as.is_some();
        if is_done {
            way.let_through("payments.refund");
        }
        is_done
    })
    .await;
    assert_eq!(asked, 8, "more hang at once");
}

#[tokio::test]
async fn what_cannot_be_done_is_tried_again_ever_more_rarely_by_the_databases_clock() {
    let shop = Shop::open().await;
    shop.way.block("payments.create");
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 5), 1)]);
    assert_eq!(shop.place_as_guest("k", order_of(cart)).await.status, 503);
    shop.sql(EARLIER).await;
    for tries in 1..=3 {
        let fewer = format!("SELECT 1 FROM orders.orders WHERE tries < {tries}");
        shop.work_until_none(&fewer).await;
        // Another run at once leaves it alone.
        let runs = "SELECT 1 WHERE NOT EXISTS (SELECT FROM orders.leases WHERE name = 'order.finish_left_behind')";
        shop.sql("DELETE FROM orders.leases").await;
        shop.work_until_none(runs).await;
        let pause = 15 << (tries - 1);
        let paused = format!(
            "SELECT count(*) FROM orders.orders WHERE tries = {tries} \
             AND try_at BETWEEN now() + interval '1 second' * ({pause} - 10) AND now() + interval '1 second' * {pause}"
        );
        assert_eq!(shop.count(&paused).await, 1, "after try {tries}");
        shop.sql("DELETE FROM orders.leases; UPDATE orders.orders SET try_at = now()").await;
    }
    shop.way.clear();
    shop.work_until_none("SELECT 1 FROM orders.orders WHERE finished_at IS NULL").await;
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}
