//! Neighbours that are away for a moment: the client hears a 503, and the same request again mends it.
//! Whoever does not ask again is served by the listeners and the jobs.

use eshopz_kernel::{Event as _, EventEnvelope, EventId, FaultKind, Money};
use eshopz_payment_api::PaymentSucceeded;
use eshopz_platform::events::is_postponed;
use eshopz_testkit::TestAnswer;
use serde_json::json;

use crate::shop::{Headers, Shop, id_of, order_of, paid_order_of, path, text};
use crate::trouble::Trouble;

const BEFORE_THE_ORDER: [&str; 4] = ["users.user", "carts.for_checkout", "products.variants", "products.reserve"];
const BEHIND_THE_ORDER: [&str; 4] =
    ["payments.create", "carts.close", "payments.confirm", "products.commit_reservation"];
const BOTH: [Trouble; 2] = [Trouble::Request, Trouble::Answer];

fn assert_to_be_repeated(answer: &TestAnswer, why: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"), "{why}: {}", answer.text);
    assert_eq!(answer.header("retry-after"), "1", "{why}");
}

#[tokio::test]
async fn whoever_is_away_during_a_checkout_the_same_key_mends_it() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 100);
    let mut sold = 0;
    for call in [&BEFORE_THE_ORDER[..], &BEHIND_THE_ORDER[..]].concat() {
        for trouble in BOTH {
            let why = format!("{call} {trouble:?}");
            let (user, bearer) = shop.customer();
            let who: Headers<'_> = vec![("authorization", &bearer)];
            let cart = shop.near.cart(eshopz_cart_api::CartOwner::Customer(user), &[(mug, 2)]);
            shop.way.once(call, trouble);
            assert_to_be_repeated(&shop.place(&why_key(&why), &who, paid_order_of(cart)).await, &why);
            assert!(shop.way.is_clear(), "{why} was not asked");

            let placed = shop.place(&why_key(&why), &who, paid_order_of(cart)).await;
            assert_eq!((placed.status, text(&placed.json(), "status")), (201, "paid"), "{why}: {}", placed.text);
            assert_eq!(placed.json()["payment"]["status"], "succeeded", "{why}");
            assert_eq!(placed.header("idempotency-replayed"), "", "{why}: a 503 is no answer");
            let again = shop.place(&why_key(&why), &who, paid_order_of(cart)).await;
            assert_eq!((again.header("idempotency-replayed").as_str(), again.json()), ("true", placed.json()), "{why}");
            sold += 2;
            assert_eq!(shop.near.available(mug), 100 - sold, "{why}");
            assert_eq!(shop.near.world().carts[&cart].checkout.ordered_as, Some(id_of(&placed.json())), "{why}");
        }
    }
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders").await, sold / 2);
    assert_eq!(shop.count("SELECT count(*) FROM orders.outbox WHERE name = 'order.paid.v1'").await, sold / 2);
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

/// A key may not have blanks.
fn why_key(why: &str) -> String {
    why.replace(' ', "-")
}

#[tokio::test]
async fn a_guest_gets_the_token_with_the_repetition() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 100);
    for (number, call) in BEHIND_THE_ORDER.into_iter().enumerate() {
        let cart = shop.guest_cart(&[(mug, 1)]);
        shop.way.once(call, Trouble::Answer);
        assert_to_be_repeated(&shop.place_as_guest(&format!("k{number}"), paid_order_of(cart)).await, call);
        let placed = shop.place_as_guest(&format!("k{number}"), paid_order_of(cart)).await;
        let token = placed.json()["token"].as_str().expect("a token").to_owned();
        assert_eq!(shop.get(&path(&placed.json(), ""), &vec![("x-order-token", &token)]).await.status, 200);
    }
}

#[tokio::test]
async fn without_a_repetition_nothing_is_left_half_done() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 100);
    for call in ["carts.for_checkout", "products.variants", "products.reserve"] {
        for trouble in BOTH {
            shop.way.once(call, trouble);
            let cart = shop.guest_cart(&[(mug, 1)]);
            let answer = shop.place_as_guest(&format!("{call}-{trouble:?}"), paid_order_of(cart)).await;
            assert_to_be_repeated(&answer, call);
        }
    }
    // What was reserved without an answer is freed by its deadline.
    assert_eq!((shop.count("SELECT count(*) FROM orders.orders").await, shop.near.world().holdings.len()), (0, 1));
    assert_eq!(shop.count("SELECT count(*) FROM orders.idempotency_keys").await, 0);

    for call in BEHIND_THE_ORDER {
        for trouble in BOTH {
            let cart = shop.guest_cart(&[(mug, 1)]);
            shop.way.once(call, trouble);
            let answer = shop.place_as_guest(&format!("{call}-{trouble:?}"), paid_order_of(cart)).await;
            assert_to_be_repeated(&answer, call);
        }
    }
    shop.deliver_own_events().await;
    let paid: Vec<_> = shop.near.world().payments.values().filter(|paid| paid.status.is_secured()).cloned().collect();
    assert_eq!(
        paid.len(),
        5,
        "confirmed without an answer, settled neither time, and while the cart could not be closed"
    );
    for payment in &paid {
        shop.deliver(&succeeded(payment.order_id, payment.amount)).await;
    }
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE finished_at IS NOT NULL").await, 8);
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE status = 'paid'").await, 5);
    {
        let world = shop.near.world();
        assert_eq!(world.payments.len(), 8);
        assert_eq!(world.holdings.values().filter(|held| held.sold).count(), 5);
    }
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

fn succeeded(order_id: eshopz_kernel::OrderId, amount: Money) -> PaymentSucceeded {
    PaymentSucceeded { payment_id: eshopz_kernel::PaymentId::new(), order_id, amount, at: chrono::Utc::now() }
}

#[tokio::test]
async fn a_cancellation_stands_whoever_is_away() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 100);
    for call in ["payments.undo", "products.release"] {
        for trouble in BOTH {
            let cart = shop.guest_cart(&[(mug, 1)]);
            let order = shop.place_as_guest(&format!("{call}-{trouble:?}"), paid_order_of(cart)).await.json();
            let guest = vec![("x-order-token", text(&order, "token"))];
            shop.way.once(call, trouble);
            let answer = shop.post(&path(&order, "/cancel"), &guest, json!({})).await;
            assert_eq!((answer.status, text(&answer.json(), "status")), (200, "cancelled"), "{call} {trouble:?}");
            assert!(shop.way.is_clear());
        }
    }
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE undone_at IS NULL").await, 4);
    shop.deliver_own_events().await;
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE undone_at IS NULL").await, 0);
    assert_eq!(shop.near.available(mug), 100);
    let refunded = shop.near.world().payments.values().all(|payment| payment.refunded_amount == payment.amount);
    assert!(refunded);
}

#[tokio::test]
async fn what_is_shown_is_never_a_guess() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 5);
    let (user, bearer) = shop.customer();
    let who: Headers<'_> = vec![("authorization", &bearer)];
    let cart = shop.near.cart(eshopz_cart_api::CartOwner::Customer(user), &[(mug, 1)]);
    let order = shop.place("k", &who, order_of(cart)).await.json();
    shop.way.block("payments.of_orders");
    for path in [path(&order, ""), "/api/v1/orders".to_owned()] {
        assert_to_be_repeated(&shop.get(&path, &who).await, &path);
    }
    assert_to_be_repeated(&shop.post(&path(&order, "/cancel"), &who, json!({})).await, "cancelled, not shown");
    shop.way.clear();
    let cancelled = shop.post(&path(&order, "/cancel"), &who, json!({})).await;
    assert_eq!((cancelled.status, text(&cancelled.json(), "status")), (200, "cancelled"));
    assert_eq!(cancelled.json()["payment"]["status"], "cancelled");
}

#[tokio::test]
async fn a_payment_that_came_just_now_shows_once_its_stock_is_sold() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 5);
    let (user, bearer) = shop.customer();
    let who: Headers<'_> = vec![("authorization", &bearer)];
    let cart = shop.near.cart(eshopz_cart_api::CartOwner::Customer(user), &[(mug, 1)]);
    let order = shop.place("k", &who, order_of(cart)).await.json();
    shop.near.world().payments.get_mut(&id_of(&order)).unwrap().status = eshopz_payment_api::PaymentStatus::Succeeded;
    for trouble in BOTH {
        shop.way.once("products.commit_reservation", trouble);
        assert_to_be_repeated(&shop.get(&path(&order, ""), &who).await, "paid, and the stock not sold yet");
    }
    // A list does not fail for one of its rows.
    shop.way.once("products.commit_reservation", Trouble::Request);
    let list = shop.get("/api/v1/orders", &who).await;
    assert_eq!((list.status, text(&list.json()["items"][0], "status")), (200, "pending_payment"));
    assert_eq!(text(&shop.get(&path(&order, ""), &who).await.json(), "status"), "paid");
}

#[tokio::test]
async fn a_listener_that_gets_no_answer_is_called_again() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 5);
    let order = id_of(&shop.place_as_guest("k", order_of(shop.guest_cart(&[(mug, 2)]))).await.json());
    let payment = shop.near.payment(order);
    shop.near.world().payments.get_mut(&order).unwrap().status = eshopz_payment_api::PaymentStatus::Succeeded;
    let event = EventEnvelope {
        id: EventId::new(),
        name: PaymentSucceeded::NAME.to_owned(),
        occurred_at: chrono::Utc::now(),
        payload: serde_json::to_value(succeeded(order, payment.amount)).unwrap(),
        traceparent: None,
    };
    let listeners = shop.module.listeners();
    let settle = listeners.iter().find(|listener| listener.name() == "order.settle").unwrap();
    for trouble in BOTH {
        shop.way.once("products.commit_reservation", trouble);
        let mut fault = settle.handle(&event).await.unwrap_err();
        // The first attempt may be that of the request which placed the order.
        if let Some(pause) = is_postponed(&fault) {
            tokio::time::sleep(pause).await;
            fault = settle.handle(&event).await.unwrap_err();
        }
        assert_eq!(fault.kind, FaultKind::Unavailable);
    }
    assert_eq!(shop.count("SELECT count(*) FROM orders.inbox").await, 0);
    for _ in 0..2 {
        settle.handle(&event).await.unwrap();
    }
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE status = 'paid'").await, 1);
    assert_eq!(shop.near.available(mug), 3);
}

#[tokio::test]
async fn no_order_expires_while_nobody_knows_whether_it_is_paid() {
    let settings = eshopz_order::OrderSettings { unpaid_expiry: std::time::Duration::ZERO, ..Default::default() };
    let shop = Shop::open_with(settings).await;
    let mug = shop.near.variant(1_000, 5);
    shop.place_as_guest("k", order_of(shop.guest_cart(&[(mug, 1)]))).await;
    let before = shop.way.tried("payments.of_orders");
    shop.way.block("payments.of_orders");
    let way = shop.way.clone();
    shop.work_until(|_| way.tried("payments.of_orders") > before).await;
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE status = 'pending_payment'").await, 1);
    assert_eq!(shop.near.available(mug), 4);
}
