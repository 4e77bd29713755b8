//! A refund of a part that failed is not the end of it: the customer is owed the money.

use eshopz_payment_api::RefundStatus;
use serde_json::{Value, json};

use crate::cancel_lines::{cancel, items, paid};
use crate::shop::{Shop, id_of, path, text};

/// Time passes: pauses end, and all jobs are due.
const LATER: &str = "UPDATE orders.order_refunds SET updated_at = updated_at - interval '2 days', \
        try_at = try_at - interval '2 days'; \
    DELETE FROM orders.leases";

async fn statuses(shop: &Shop, order: &Value) -> Vec<String> {
    let read = shop.get(&path(order, ""), &vec![("x-order-token", text(order, "token"))]).await.json();
    read["refunds"].as_array().unwrap().iter().map(|refund| text(refund, "status").to_owned()).collect()
}

fn refunded(shop: &Shop, order: &Value) -> i64 {
    shop.near.payment(id_of(order)).refunded_amount.amount
}

#[tokio::test]
async fn what_the_gateway_refused_is_asked_for_again_a_few_times() {
    let shop = Shop::open().await;
    let (order, mug, _) = paid(&shop).await;
    shop.near.world().refusals = 2;
    cancel(&shop, &order, &[], items(&[(mug, 1)])).await;
    assert_eq!((statuses(&shop, &order).await, refunded(&shop, &order)), (vec!["failed".to_owned()], 0));
    for attempts in [2, 3] {
        shop.sql(LATER).await;
        let fewer = format!(
            "SELECT 1 WHERE (SELECT count(*) FROM orders.order_refunds WHERE status <> 'pending') < {attempts}"
        );
        shop.work_until_none(&fewer).await;
    }
    assert_eq!(statuses(&shop, &order).await, ["failed", "failed", "succeeded"]);
    assert_eq!(refunded(&shop, &order), 1_000);
    shop.sql(LATER).await;
    shop.work_until_none("SELECT 1 WHERE NOT EXISTS (SELECT FROM orders.leases WHERE until > now())").await;
    assert_eq!((statuses(&shop, &order).await.len(), refunded(&shop, &order)), (3, 1_000));
    assert_eq!(shop.module.verify().await.unwrap().findings, []);

    // For ever in vain: after some tries it is for people.
    shop.near.world().refusals = u32::MAX;
    cancel(&shop, &order, &[], items(&[(mug, 1)])).await;
    for _ in 0..8 {
        shop.sql(LATER).await;
        let asked = "SELECT 1 WHERE NOT EXISTS (SELECT FROM orders.leases \
            WHERE name = 'order.ask_again_for_refunds' AND until > now() + interval '31 seconds')";
        shop.work_until_none(asked).await;
    }
    assert_eq!(shop.count("SELECT max(attempt)::bigint FROM orders.order_refunds").await, 5);
    // And staff can have it asked for whenever they want.
    shop.near.world().refusals = 0;
    let number = text(&order, "number");
    assert!(shop.module.repair_refunds(number, "by hand").await.unwrap());
    assert!(!shop.module.repair_refunds(number, "by hand").await.unwrap());
    assert_eq!(refunded(&shop, &order), 2_000);
    assert_eq!(shop.count("SELECT count(*) FROM orders.order_timeline WHERE event = 'repaired'").await, 1);
}

#[tokio::test]
async fn what_staff_gave_back_by_hand_is_not_given_back_twice() {
    let shop = Shop::open().await;
    let (order, mug, _) = paid(&shop).await;
    shop.near.world().refusals = 1;
    cancel(&shop, &order, &[], items(&[(mug, 1)])).await;
    let payment = shop.near.payment(id_of(&order));
    let by_hand = eshopz_payment_api::PaymentRefunded {
        payment_id: payment.id,
        order_id: payment.order_id,
        refund_id: eshopz_kernel::RefundId::new(),
        amount: eshopz_kernel::Money::new(1_000, payment.amount.currency),
        refunded_amount: eshopz_kernel::Money::new(1_000, payment.amount.currency),
        at: chrono::Utc::now(),
    };
    shop.deliver(&by_hand).await;
    assert!(!shop.module.repair_refunds(text(&order, "number"), "by hand").await.unwrap());
    assert_eq!(
        (statuses(&shop, &order).await, refunded(&shop, &order)),
        (vec!["failed".into(), "succeeded".into()], 0)
    );
    assert_eq!(shop.count("SELECT count(*) FROM orders.order_timeline WHERE event = 'repaired'").await, 0);
}

#[tokio::test]
async fn it_is_not_over_while_another_refund_may_fail() {
    let shop = Shop::open().await;
    let (order, mug, pot) = paid(&shop).await;
    // One refund is on its way, and so much was given back by hand that the next exceeds what is left.
    shop.near.world().slow_gateway = true;
    cancel(&shop, &order, &[], items(&[(pot, 1)])).await;
    shop.near.world().slow_gateway = false;
    shop.near.world().payments.get_mut(&id_of(&order)).unwrap().refunded_amount.amount = 6_000;
    cancel(&shop, &order, &[], items(&[(mug, 1)])).await;
    assert_eq!(statuses(&shop, &order).await, ["pending", "pending"]);
    {
        let mut world = shop.near.world();
        let first = world.refunds.values_mut().find(|refund| refund.status == RefundStatus::Pending).unwrap();
        first.status = RefundStatus::Failed;
        world.payments.get_mut(&id_of(&order)).unwrap().refunded_amount.amount = 0;
    }
    shop.sql(LATER).await;
    shop.work_until_none("SELECT 1 FROM orders.order_refunds WHERE status = 'pending'").await;
    let found = statuses(&shop, &order).await;
    assert_eq!((found[1].as_str(), json!(found)[0] == "pending"), ("succeeded", false));
}

/// Time passes, and the jobs run until nothing is as the query says.
async fn later(shop: &Shop, until_none: &str) {
    shop.sql(LATER).await;
    shop.work_until_none(until_none).await;
}

#[tokio::test]
async fn refunds_that_exceed_what_is_left_do_not_wait_for_each_other() {
    let shop = Shop::open().await;
    let (order, mug, pot) = paid(&shop).await;
    shop.near.world().slow_gateway = true;
    cancel(&shop, &order, &[], items(&[(pot, 1)])).await;
    shop.near.world().slow_gateway = false;
    shop.near.world().payments.get_mut(&id_of(&order)).unwrap().refunded_amount.amount = 6_000;
    for _ in 0..2 {
        cancel(&shop, &order, &[], items(&[(mug, 1)])).await;
    }
    assert_eq!(statuses(&shop, &order).await, ["pending", "pending", "pending"]);
    for left in [2, 1, 0] {
        let more =
            format!("SELECT 1 WHERE (SELECT count(*) FROM orders.order_refunds WHERE status = 'pending') > {left}");
        later(&shop, &more).await;
    }
    assert_eq!(statuses(&shop, &order).await, ["succeeded", "failed", "failed"]);
}

#[tokio::test]
async fn one_that_was_begun_again_is_known_though_its_answer_was_lost() {
    let shop = Shop::open().await;
    let (order, mug, _) = paid(&shop).await;
    let left = |amount| shop.near.world().payments.get_mut(&id_of(&order)).unwrap().refunded_amount.amount = amount;
    left(6_000);
    cancel(&shop, &order, &[], items(&[(mug, 1)])).await;
    assert_eq!(statuses(&shop, &order).await, ["failed"]);
    left(0);
    shop.way.once("payments.refund", crate::trouble::Trouble::Answer);
    later(&shop, "SELECT 1 FROM orders.order_refunds WHERE tries = 0").await;
    shop.way.clear();
    assert_eq!((statuses(&shop, &order).await, refunded(&shop, &order)), (vec!["failed".to_owned()], 1_000));
    let payment = shop.near.payment(id_of(&order));
    let refund = shop.near.world().refunds.keys().copied().next().unwrap();
    let paid_back = eshopz_payment_api::PaymentRefunded {
        payment_id: payment.id,
        order_id: payment.order_id,
        refund_id: refund,
        amount: eshopz_kernel::Money::new(1_000, payment.amount.currency),
        refunded_amount: eshopz_kernel::Money::new(1_000, payment.amount.currency),
        at: chrono::Utc::now(),
    };
    shop.deliver(&paid_back).await;
    assert_eq!(statuses(&shop, &order).await, ["succeeded"]);
}
