//! Lines of a paid order are cancelled: just their stock and just their money go back, once.

use std::collections::BTreeMap;

use eshopz_kernel::{Pricing, VariantId};
use eshopz_order::OrderSettings;
use eshopz_testkit::TestAnswer;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::shop::{Shop, id_of, order_of, paid_order_of, path, text};
use crate::trouble::Trouble;

/// With shipping for 500, and 20 % of tax.
async fn taxing_shop() -> Shop {
    let pricing =
        Pricing { shipping_flat: 500, tax_rates: BTreeMap::from([("GB".to_owned(), 2_000)]), ..Pricing::default() };
    Shop::open_with(OrderSettings { pricing, ..OrderSettings::default() }).await
}

/// Three mugs for 10.00 and a pot for 33.33, all paid: with tax and shipping 80.00 in all.
pub async fn paid(shop: &Shop) -> (Value, VariantId, VariantId) {
    let (mug, pot) = (shop.near.variant(1_000, 10), shop.near.variant(3_333, 10));
    let cart = shop.guest_cart(&[(mug, 3), (pot, 1)]);
    let placed = shop.place_as_guest(&cart.to_string(), paid_order_of(cart)).await;
    assert_eq!(placed.status, 201, "{}", placed.text);
    (placed.json(), mug, pot)
}

pub fn items(lines: &[(VariantId, i64)]) -> Value {
    let items: Vec<Value> =
        lines.iter().map(|(variant, quantity)| json!({"variant_id": variant, "quantity": quantity})).collect();
    json!({"items": items, "reason": "one too many"})
}

pub async fn cancel(shop: &Shop, order: &Value, headers: &[(&str, &str)], body: Value) -> TestAnswer {
    let mut who = vec![("x-order-token", text(order, "token"))];
    who.extend(headers);
    shop.post(&path(order, "/cancel"), &who, body).await
}

pub async fn ship(shop: &Shop, order: &Value) -> TestAnswer {
    let admin = shop.app.identity.admin();
    shop.post(&path(order, "/transitions"), &vec![("authorization", &admin)], json!({"to": "shipped"})).await
}

#[tokio::test]
async fn just_the_lines_go_back_with_their_share() {
    let shop = taxing_shop().await;
    let (order, mug, pot) = paid(&shop).await;
    assert_eq!(order["totals"]["total"]["amount"], 3_000 + 3_333 + 500 + 1_267);
    let answer = cancel(&shop, &order, &[], items(&[(mug, 1)])).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let after = answer.json();
    assert_eq!((text(&after, "status"), &after["totals"]), ("paid", &order["totals"]));
    assert_eq!((&after["items"][0]["cancelled_quantity"], &after["items"][0]["quantity"]), (&json!(1), &json!(3)));
    assert_eq!((&after["items"][1]["cancelled_quantity"], &after["cancel_reason"]), (&json!(0), &Value::Null));
    // A third of 30.00 and of the tax on it.
    assert_eq!(after["refunds"][0]["amount"]["amount"], 1_200);
    assert_eq!(
        (text(&after["refunds"][0], "status"), text(&after["refunds"][0], "reason")),
        ("succeeded", "one too many")
    );
    assert_eq!(after["payment"]["refunded_amount"]["amount"], 1_200);
    assert_eq!((shop.near.available(mug), shop.near.available(pot)), (8, 9));

    // The listener hears of it and changes nothing.
    shop.deliver_own_events().await;
    assert_eq!(shop.near.available(mug), 8);
    let timeline = shop.get(&path(&order, "/timeline"), &vec![("x-order-token", text(&order, "token"))]).await.json();
    let last = timeline["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((text(&last, "event"), text(&last, "from"), text(&last, "to")), ("lines_cancelled", "paid", "paid"));
    assert_eq!((text(&last, "reason"), text(&last["actor"], "type")), ("one too many", "guest"));

    // All that is left is the order, and shipping goes back with it.
    let rest = cancel(&shop, &order, &[], items(&[(mug, 1), (pot, 1), (mug, 1)])).await.json();
    assert_eq!((text(&rest, "status"), text(&rest, "cancel_reason")), ("cancelled", "one too many"));
    assert_eq!(rest["payment"]["refunded_amount"], order["totals"]["total"]);
    assert_eq!(rest["items"][0]["cancelled_quantity"], 3);
    assert_eq!((shop.near.available(mug), shop.near.available(pot)), (10, 10));
    assert_eq!(shop.count("SELECT count(*) FROM orders.order_reversals").await, 1);
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test]
async fn the_whole_order_can_be_cancelled_after_its_lines() {
    let shop = taxing_shop().await;
    let (order, mug, pot) = paid(&shop).await;
    // Neither stock nor money of the line can be reached, and then the rest is cancelled.
    shop.way.block("products.give_back");
    shop.way.block("payments.refund");
    assert_eq!(cancel(&shop, &order, &[], items(&[(mug, 2)])).await.status, 200);
    let whole = cancel(&shop, &order, &[], json!({})).await.json();
    assert_eq!((text(&whole, "status"), &whole["payment"]["refunded_amount"]["amount"]), ("cancelled", &json!(0)));
    shop.way.clear();
    // The whole is tried again before anybody hears of the lines.
    assert_eq!(text(&cancel(&shop, &order, &[], json!({})).await.json(), "status"), "cancelled");
    shop.deliver_own_events().await;
    assert_eq!(shop.near.payment(id_of(&order)).refunded_amount.amount, order["totals"]["total"]["amount"]);
    assert_eq!((shop.near.available(mug), shop.near.available(pot)), (10, 10));
    let read = shop.get(&path(&order, ""), &vec![("x-order-token", text(&order, "token"))]).await.json();
    assert_eq!(
        (text(&read["refunds"][0], "status"), &read["refunds"][0]["amount"]["amount"]),
        ("succeeded", &json!(2_400))
    );
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test]
async fn what_cannot_be_cancelled_is_explained() {
    let shop = Shop::open().await;
    let (order, mug, pot) = paid(&shop).await;
    let gone = VariantId::new();
    let refused = cancel(&shop, &order, &[], items(&[(mug, 4), (pot, 1), (gone, 1)])).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "exceeds_ordered"));
    let mut lines = refused.json()["lines"].as_array().unwrap().clone();
    lines.sort_by_key(|line| -line["left"].as_i64().unwrap());
    assert_eq!(
        lines,
        [json!({"variant_id": mug, "requested": 4, "left": 3}), json!({"variant_id": gone, "requested": 1, "left": 0}),]
    );
    for body in [json!({"items": []}), items(&[(mug, 0)]), json!({"items": [{"variant_id": mug}]})] {
        assert_eq!(cancel(&shop, &order, &[], body).await.status, 422);
    }
    let stale = cancel(&shop, &order, &[("if-match", "\"1-0\"")], items(&[(mug, 1)])).await;
    assert_eq!((stale.status, stale.code().as_str()), (412, "etag_mismatch"));
    let stranger = shop.post(&path(&order, "/cancel"), &vec![("x-order-token", "guessed")], items(&[(mug, 1)])).await;
    assert_eq!(stranger.status, 404);
    assert_eq!(ship(&shop, &order).await.status, 200);
    let late = cancel(&shop, &order, &[], items(&[(mug, 1)])).await;
    assert_eq!((late.status, late.code().as_str()), (409, "invalid_transition"));

    let cart = shop.guest_cart(&[(mug, 2)]);
    let unpaid = shop.place_as_guest("unpaid", order_of(cart)).await.json();
    let refused = cancel(&shop, &unpaid, &[], items(&[(mug, 1)])).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "order_not_paid"));
    assert_eq!(shop.count("SELECT count(*) FROM orders.order_reversals").await, 0);
}

#[tokio::test]
async fn a_line_of_nothing_is_refunded_by_nothing() {
    let shop = Shop::open().await;
    let (mug, gift) = (shop.near.variant(1_000, 5), shop.near.variant(0, 5));
    let order = shop.place_as_guest("k", paid_order_of(shop.guest_cart(&[(mug, 1), (gift, 2)]))).await.json();
    let after = cancel(&shop, &order, &[], items(&[(gift, 1)])).await.json();
    assert_eq!((&after["refunds"], &after["items"][1]["cancelled_quantity"]), (&json!([]), &json!(1)));
    assert_eq!((shop.near.available(gift), shop.way.tried("payments.refund")), (4, 0));
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test]
async fn a_cancellation_of_lines_stands_whoever_is_away() {
    let shop = Shop::open().await;
    for call in ["payments.refund", "products.give_back"] {
        for trouble in [Trouble::Request, Trouble::Answer] {
            let (order, mug, _) = paid(&shop).await;
            shop.way.once(call, trouble);
            let answer = cancel(&shop, &order, &[], items(&[(mug, 2)])).await;
            assert_eq!((answer.status, &answer.json()["items"][0]["cancelled_quantity"]), (200, &json!(2)), "{call}");
            assert!(shop.way.is_clear());
            assert_eq!(shop.count("SELECT count(*) FROM orders.order_reversals WHERE done_at IS NULL").await, 1);
            shop.deliver_own_events().await;
            assert_eq!(shop.near.available(mug), 9, "{call} {trouble:?}");
            assert_eq!(shop.near.payment(id_of(&order)).refunded_amount.amount, 2_000, "{call} {trouble:?}");
            assert_eq!(shop.count("SELECT count(*) FROM orders.order_reversals WHERE done_at IS NULL").await, 0);
        }
    }
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test]
async fn a_job_takes_back_what_everybody_has_left() {
    let shop = Shop::open().await;
    let (order, mug, _) = paid(&shop).await;
    shop.way.block("products.give_back");
    shop.near.world().slow_gateway = true;
    cancel(&shop, &order, &[], items(&[(mug, 2)])).await;
    let earlier = "UPDATE orders.order_reversals SET updated_at = updated_at - interval '2 minutes'; \
                   UPDATE orders.order_refunds SET updated_at = updated_at - interval '2 minutes', try_at = NULL";
    shop.sql(earlier).await;
    let found: Vec<_> = shop.module.verify().await.unwrap().findings.iter().map(|found| found.check).collect();
    assert_eq!(found, ["order_taken_back"]);
    shop.way.clear();
    let before = shop.way.tried("products.give_back");
    shop.work_until_none("SELECT FROM orders.order_reversals WHERE done_at IS NULL").await;
    assert!(shop.way.tried("products.give_back") > before && shop.near.available(mug) == 9);
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
    // The refund is on its way until the gateway has answered.
    let holder = vec![("x-order-token", text(&order, "token"))];
    let refund = async || shop.get(&path(&order, ""), &holder).await.json()["refunds"][0]["status"].clone();
    assert_eq!(refund().await, "pending");
    shop.near.world().slow_gateway = false;
    shop.sql(&format!("{earlier}; DELETE FROM orders.leases")).await;
    shop.work_until_none("SELECT FROM orders.order_refunds WHERE status = 'pending'").await;
    assert_eq!(refund().await, "succeeded");
    assert_eq!(shop.near.payment(id_of(&order)).refunded_amount.amount, 2_000);
}

#[tokio::test]
async fn a_refund_that_cannot_be_is_shown_as_failed() {
    let shop = Shop::open().await;
    let (order, mug, _) = paid(&shop).await;
    // An admin has given nearly all of it back already.
    shop.near.world().payments.get_mut(&id_of(&order)).unwrap().refunded_amount.amount = 6_000;
    let after = cancel(&shop, &order, &[], items(&[(mug, 1)])).await.json();
    assert_eq!(after["refunds"][0]["status"], "failed");
    assert_eq!(shop.near.available(mug), 8);
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_under_one_key_cancel_once() {
    let shop = Shop::open().await;
    for round in 0..8 {
        let (order, mug, _) = paid(&shop).await;
        let key = format!("key-{round}");
        let headers = [("idempotency-key", key.as_str())];
        let answers = join_all((0..12).map(|_| cancel(&shop, &order, &headers, items(&[(mug, 1)])))).await;
        for answer in &answers {
            let told = answer.status == 200 || answer.code() == "idempotency_in_progress";
            assert!(told, "{} {}", answer.status, answer.text);
        }
        assert!(answers.iter().any(|answer| answer.status == 200));
        let replay = cancel(&shop, &order, &headers, items(&[(mug, 1)])).await;
        assert_eq!((replay.status, replay.header("idempotency-replayed").as_str()), (200, "true"));
        assert_eq!((shop.near.available(mug), &replay.json()["items"][0]["cancelled_quantity"]), (8, &json!(1)));
        let other = cancel(&shop, &order, &headers, items(&[(mug, 2)])).await;
        assert_eq!((other.status, other.code().as_str()), (422, "idempotency_key_reused"));
    }
    let bad = [("idempotency-key", "a b")];
    let (order, mug, _) = paid(&shop).await;
    assert_eq!(cancel(&shop, &order, &bad, items(&[(mug, 1)])).await.status, 422);
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test]
async fn an_interrupted_cancellation_is_resumed_under_its_key() {
    let shop = Shop::open().await;
    let (order, mug, _) = paid(&shop).await;
    let interrupt = "UPDATE orders.idempotency_keys SET status = NULL, body = NULL, \
                     created_at = now() - interval '1 minute' WHERE operation = 'cancel_order'";
    let lines = [("idempotency-key", "lines")];
    shop.way.block("payments.refund");
    assert_eq!(cancel(&shop, &order, &lines, items(&[(mug, 1)])).await.status, 200);
    shop.way.clear();
    shop.sql(interrupt).await;
    let resumed = cancel(&shop, &order, &lines, items(&[(mug, 1)])).await;
    assert_eq!(
        (resumed.status, &resumed.json()["refunds"][0]["status"]),
        (200, &json!("succeeded")),
        "{}",
        resumed.text
    );
    assert_eq!((shop.near.available(mug), &resumed.json()["items"][0]["cancelled_quantity"]), (8, &json!(1)));

    let whole = [("idempotency-key", "whole")];
    for _ in 0..2 {
        let answer = cancel(&shop, &order, &whole, json!({})).await;
        assert_eq!((answer.status, text(&answer.json(), "status")), (200, "cancelled"));
        shop.sql(interrupt).await;
    }
    assert_eq!(shop.near.available(mug), 10);
}
