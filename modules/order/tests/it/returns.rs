//! What has arrived comes back: asked for by whoever bought it, decided by staff.

use std::collections::BTreeSet;

use eshopz_kernel::{Currency, Money, OrderId, PaymentId, RefundId, VariantId};
use eshopz_payment_api::{PaymentRefundFailed, PaymentRefunded};
use eshopz_testkit::TestAnswer;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::shop::{Shop, id_of, paid_order_of, path, text};
use crate::trouble::Trouble;

async fn staff_post(shop: &Shop, path: &str, body: Value) -> TestAnswer {
    let admin = shop.app.identity.admin();
    shop.post(path, &vec![("authorization", &admin)], body).await
}

/// Three mugs for 10.00, delivered.
async fn delivered(shop: &Shop) -> (Value, VariantId) {
    let mug = shop.near.variant(1_000, 10);
    let cart = shop.guest_cart(&[(mug, 3)]);
    let order = shop.place_as_guest(&cart.to_string(), paid_order_of(cart)).await.json();
    for to in ["shipped", "delivered"] {
        assert_eq!(staff_post(shop, &path(&order, "/transitions"), json!({"to": to})).await.status, 200);
    }
    (order, mug)
}

async fn ask(shop: &Shop, order: &Value, key: &str, mug: VariantId, quantity: i64) -> TestAnswer {
    let who = vec![("x-order-token", text(order, "token")), ("idempotency-key", key)];
    let body = json!({"items": [{"variant_id": mug, "quantity": quantity}], "reason": "chipped"});
    shop.post(&path(order, "/returns"), &who, body).await
}

async fn decide(shop: &Shop, asked: &TestAnswer, verb: &str, body: Value) -> TestAnswer {
    staff_post(shop, &format!("{}/{verb}", asked.header("location")), body).await
}

async fn read(shop: &Shop, order: &Value) -> Value {
    shop.get(&path(order, ""), &vec![("x-order-token", text(order, "token"))]).await.json()
}

#[tokio::test]
async fn asked_for_accepted_and_refunded() {
    let shop = Shop::open().await;
    let (order, mug) = delivered(&shop).await;
    let asked = ask(&shop, &order, "r", mug, 2).await;
    assert_eq!(asked.status, 201, "{}", asked.text);
    let made = asked.json();
    assert_eq!((text(&made, "status"), text(&made, "reason")), ("requested", "chipped"));
    assert_eq!(made["items"], json!([{"variant_id": mug, "quantity": 2}]));
    assert_eq!(
        (&made["refund_amount"], &made["restocked"], &made["refund"]),
        (&json!(null), &json!(null), &json!(null))
    );
    assert_eq!((shop.near.available(mug), &read(&shop, &order).await["items"][0]["returned_quantity"]), (7, &json!(0)));

    let accepted = decide(&shop, &asked, "accept", json!({"note": "sent back"})).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text);
    let accepted = accepted.json();
    assert_eq!((text(&accepted, "status"), &accepted["refund_amount"]["amount"]), ("refunded", &json!(2_000)));
    assert_eq!((&accepted["restocked"], text(&accepted["refund"], "status")), (&json!(true), "succeeded"));
    assert_eq!(accepted["refund"]["id"], accepted["id"]);
    assert_eq!(shop.near.available(mug), 9);
    shop.deliver_own_events().await;
    let order_now = read(&shop, &order).await;
    assert_eq!((text(&order_now, "status"), &order_now["items"][0]["returned_quantity"]), ("delivered", &json!(2)));
    assert_eq!(order_now["payment"]["refunded_amount"]["amount"], 2_000);
    assert_eq!((order_now["refunds"].as_array().unwrap().len(), shop.near.available(mug)), (1, 9));
    // The same decision again is no other one.
    assert_eq!(decide(&shop, &asked, "accept", json!({})).await.json(), accepted);
    for (verb, body) in [("reject", json!({"reason": "no"})), ("accept", json!({"restock": false}))] {
        let other = decide(&shop, &asked, verb, body).await;
        assert_eq!((other.status, other.code().as_str()), (409, "return_decided"));
    }
    let guest = vec![("x-order-token", text(&order, "token"))];
    let timeline = shop.get(&path(&order, "/timeline"), &guest).await.json();
    let told: Vec<(&str, &str, &str)> = timeline["items"].as_array().unwrap()[4..]
        .iter()
        .map(|entry| (text(entry, "event"), text(&entry["actor"], "type"), text(entry, "reason")))
        .collect();
    assert_eq!(
        told,
        [
            ("delivered", "admin", ""),
            ("return_requested", "guest", "chipped"),
            ("return_accepted", "admin", "sent back")
        ]
    );
    let seen = shop.get(&asked.header("location"), &guest).await;
    assert_eq!((seen.status, seen.json()), (200, accepted));
    let known = shop.get(&asked.header("location"), &vec![guest[0], ("if-none-match", &seen.header("etag"))]).await;
    assert_eq!(known.status, 304);
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test]
async fn on_other_terms() {
    let shop = Shop::open().await;
    let (order, mug) = delivered(&shop).await;
    let money = |amount: i64| json!({"amount": amount, "currency": "USD"});
    let asked = ask(&shop, &order, "broken", mug, 1).await;
    let too_much = decide(&shop, &asked, "accept", json!({"refund_amount": money(1_001)})).await;
    assert_eq!((too_much.status, too_much.code().as_str()), (409, "refund_exceeds_worth"));
    assert_eq!(too_much.json()["worth"], money(1_000));
    for bad in [money(-1), json!({"amount": 1, "currency": "EUR"})] {
        let refused = decide(&shop, &asked, "accept", json!({"refund_amount": bad})).await;
        assert_eq!((refused.status, &refused.json()["errors"][0]["field"]), (422, &json!("/refund_amount")));
    }
    let terms = json!({"restock": false, "refund_amount": money(600)});
    for _ in 0..2 {
        let half = decide(&shop, &asked, "accept", terms.clone()).await.json();
        assert_eq!(
            (text(&half, "status"), &half["refund_amount"], &half["restocked"]),
            ("refunded", &money(600), &json!(false))
        );
    }
    assert_eq!((shop.near.available(mug), shop.way.tried("products.give_back")), (7, 0));

    let asked = ask(&shop, &order, "goodwill", mug, 1).await;
    let nothing = decide(&shop, &asked, "accept", json!({"refund_amount": money(0)})).await.json();
    assert_eq!((text(&nothing, "status"), &nothing["refund"]), ("accepted", &json!(null)));
    assert_eq!((shop.near.available(mug), shop.way.tried("payments.refund")), (8, 1));

    let asked = ask(&shop, &order, "worn", mug, 1).await;
    assert_eq!(decide(&shop, &asked, "reject", json!({})).await.status, 422);
    for _ in 0..2 {
        let rejected = decide(&shop, &asked, "reject", json!({"reason": "worn"})).await.json();
        assert_eq!((text(&rejected, "status"), text(&rejected, "note")), ("rejected", "worn"));
    }
    assert_eq!(decide(&shop, &asked, "accept", json!({})).await.code(), "return_decided");
    // What was rejected can be asked for again.
    assert_eq!(ask(&shop, &order, "again", mug, 1).await.status, 201);
    let page = shop
        .get(&format!("{}?limit=3", path(&order, "/returns")), &vec![("x-order-token", text(&order, "token"))])
        .await
        .json();
    let statuses: Vec<&str> = page["items"].as_array().unwrap().iter().map(|item| text(item, "status")).collect();
    assert_eq!(statuses, ["refunded", "accepted", "rejected"]);
    let next = format!("{}?cursor={}", path(&order, "/returns"), text(&page, "next_cursor"));
    let rest = shop.get(&next, &vec![("x-order-token", text(&order, "token"))]).await.json();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &json!(null)));
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test]
async fn what_cannot_be_returned_is_explained() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 10);
    let cart = shop.guest_cart(&[(mug, 3)]);
    let order = shop.place_as_guest("k", paid_order_of(cart)).await.json();
    let early = ask(&shop, &order, "r", mug, 1).await;
    assert_eq!((early.status, early.code().as_str()), (409, "order_not_delivered"));
    assert_eq!(early.json()["order_status"], "paid");

    let (order, mug) = delivered(&shop).await;
    let guest = vec![("x-order-token", text(&order, "token"))];
    let body = json!({"items": [{"variant_id": mug, "quantity": 1}]});
    let keyless = shop.post(&path(&order, "/returns"), &guest, body.clone()).await;
    assert_eq!((keyless.status, keyless.code().as_str()), (428, "idempotency_key_required"));
    let (_, bearer) = shop.customer();
    for who in [vec![], vec![("x-order-token", "guessed")], vec![("authorization", bearer.as_str())]] {
        let stranger = [who, vec![("idempotency-key", "r")]].concat();
        assert_eq!(shop.post(&path(&order, "/returns"), &stranger, body.clone()).await.status, 404);
    }
    assert_eq!(ask(&shop, &order, "r1", mug, 2).await.status, 201);
    let more = ask(&shop, &order, "r2", mug, 2).await;
    assert_eq!((more.status, more.code().as_str()), (409, "exceeds_ordered"));
    assert_eq!(more.json()["lines"], json!([{"variant_id": mug, "requested": 2, "left": 1}]));
    assert_eq!(ask(&shop, &order, "r3", VariantId::new(), 1).await.code(), "exceeds_ordered");
    assert_eq!(ask(&shop, &order, "r3", mug, 0).await.status, 422);

    let nowhere = path(&order, &format!("/returns/{}", OrderId::new()));
    assert_eq!(shop.get(&nowhere, &guest).await.status, 404);
    assert_eq!(staff_post(&shop, &format!("{nowhere}/accept"), json!({})).await.status, 404);
    assert_eq!(shop.post(&format!("{nowhere}/accept"), &guest, json!({})).await.status, 401);
    let customer = vec![("authorization", bearer.as_str())];
    assert_eq!(shop.post(&format!("{nowhere}/reject"), &customer, json!({"reason": "x"})).await.status, 403);
    // A return of another order is none of this one.
    let (other, mug) = delivered(&shop).await;
    let asked = ask(&shop, &other, "r", mug, 1).await.json();
    let foreign = path(&order, &format!("/returns/{}", text(&asked, "id")));
    assert_eq!(shop.get(&foreign, &guest).await.status, 404);
    assert_eq!(staff_post(&shop, &format!("{foreign}/accept"), json!({})).await.status, 404);
}

#[tokio::test]
async fn an_accepted_return_stands_whoever_is_away() {
    let shop = Shop::open().await;
    for call in ["payments.refund", "products.give_back"] {
        for trouble in [Trouble::Request, Trouble::Answer] {
            let (order, mug) = delivered(&shop).await;
            let asked = ask(&shop, &order, &format!("{call}-{trouble:?}"), mug, 2).await;
            shop.way.once(call, trouble);
            assert_eq!(decide(&shop, &asked, "accept", json!({})).await.status, 200);
            assert!(shop.way.is_clear());
            shop.deliver_own_events().await;
            assert_eq!(shop.near.available(mug), 9, "{call} {trouble:?}");
            assert_eq!(shop.near.payment(id_of(&order)).refunded_amount.amount, 2_000, "{call} {trouble:?}");
        }
    }
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_comes_back_than_was_bought() {
    let shop = Shop::open().await;
    for round in 0..8 {
        let (order, mug) = delivered(&shop).await;
        let keys: Vec<String> = (0..6).map(|number| format!("{round}-{}", number / 2)).collect();
        let answers = join_all(keys.iter().map(|key| ask(&shop, &order, key, mug, 2))).await;
        let made: BTreeSet<String> =
            answers.iter().filter(|answer| answer.status == 201).map(|answer| answer.header("location")).collect();
        assert_eq!(made.len(), 1, "{:?}", answers.iter().map(|answer| &answer.text).collect::<Vec<_>>());
        let asked = answers.iter().find(|answer| answer.status == 201).unwrap();
        let reject = json!({"reason": "no"});
        let decisions = join_all((0..6).map(|number| match number % 2 {
            0 => decide(&shop, asked, "accept", json!({})),
            _ => decide(&shop, asked, "reject", reject.clone()),
        }))
        .await;
        let statuses: Vec<u16> = decisions.iter().map(|answer| answer.status).collect();
        let accepted = statuses[0] == 200;
        let expected: Vec<u16> = (0..6).map(|number| if (number % 2 == 0) == accepted { 200 } else { 409 }).collect();
        assert_eq!(statuses, expected);
        let (available, refunded) = if accepted { (9, 2_000) } else { (7, 0) };
        assert_eq!(shop.near.available(mug), available);
        assert_eq!(shop.near.payment(id_of(&order)).refunded_amount.amount, refunded);
    }
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test]
async fn an_interrupted_request_is_resumed_under_its_key() {
    let shop = Shop::open().await;
    let (order, mug) = delivered(&shop).await;
    let first = ask(&shop, &order, "r", mug, 2).await;
    shop.sql(
        "UPDATE orders.idempotency_keys SET status = NULL, body = NULL, location = NULL, \
         created_at = now() - interval '1 minute' WHERE operation = 'create_order_return'",
    )
    .await;
    let resumed = ask(&shop, &order, "r", mug, 2).await;
    assert_eq!(
        (resumed.status, resumed.json(), resumed.header("location")),
        (201, first.json(), first.header("location"))
    );
    assert_eq!(shop.count("SELECT count(*) FROM orders.order_reversals").await, 1);
}

/// An admin refunds without the order's doing, and a bank sends money back that had arrived.
#[tokio::test]
async fn refunds_are_known_whoever_asked_for_them() {
    let shop = Shop::open().await;
    let (order, _) = delivered(&shop).await;
    let (order_id, refund_id, amount) = (id_of(&order), RefundId::new(), Money::new(700, Currency::USD));
    let (payment_id, at) = (PaymentId::new(), chrono::Utc::now());
    let back = PaymentRefunded { payment_id, order_id, refund_id, amount, refunded_amount: amount, at };
    let lost = PaymentRefundFailed { payment_id, order_id, refund_id, amount, code: "account_closed".into(), at };
    shop.deliver(&back).await;
    let refund = json!({"id": refund_id, "amount": amount, "reason": null, "status": "succeeded"});
    assert_eq!(read(&shop, &order).await["refunds"], json!([refund]));
    for _ in 0..2 {
        shop.deliver(&lost).await;
        // What is told late changes nothing.
        shop.deliver(&back).await;
        assert_eq!(read(&shop, &order).await["refunds"][0]["status"], "failed");
    }
}
