//! No event is lost whose listener runs in another process: not when that process is down as the event is told,
//! and not when the publisher dies right after its transaction. One case for each event and listener.

use std::collections::BTreeSet;
use std::time::Instant;

use eshopz::modules::Module;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::slot;
use crate::flows::payments::webhook;
use crate::support::{Deployment, Events, Plan, Topology, address, id};

/// An event, a listener that takes it, and what is done to see it arrive.
struct Case {
    event: &'static str,
    listener: &'static str,
    run: for<'a> fn(&'a mut Deployment) -> BoxFuture<'a, ()>,
}

const CASES: [Case; 16] = [
    Case { event: "user.deleted.v1", listener: "cart.forget_customer", run: |d| Box::pin(account_and_cart(d)) },
    Case { event: "user.deleted.v1", listener: "order.forget_customer", run: |d| Box::pin(account_and_orders(d)) },
    Case { event: "user.deleted.v1", listener: "payment.forget_customer", run: |d| Box::pin(account_and_payments(d)) },
    Case {
        event: "user.export_requested.v1",
        listener: "cart.export",
        run: |d| Box::pin(handed_over_by(d, Module::Cart)),
    },
    Case {
        event: "user.export_requested.v1",
        listener: "payment.export",
        run: |d| Box::pin(handed_over_by(d, Module::Payment)),
    },
    Case {
        event: "user.export_requested.v1",
        listener: "order.export",
        run: |d| Box::pin(handed_over_by(d, Module::Order)),
    },
    Case {
        event: "payment.succeeded.v1",
        listener: "order.settle",
        run: |d| Box::pin(payment_and_order(d, "succeeded")),
    },
    Case {
        event: "payment.authorized.v1",
        listener: "order.settle",
        run: |d| Box::pin(payment_and_order(d, "authorized")),
    },
    Case { event: "payment.cancelled.v1", listener: "order.voided", run: |d| Box::pin(hold_gone_and_order(d)) },
    Case { event: "order.placed.v1", listener: "order.finish", run: |d| Box::pin(placed_and_finished(d)) },
    Case { event: "order.cancelled.v1", listener: "order.undo", run: |d| Box::pin(cancelled_and_undone(d)) },
    Case { event: "order.lines_cancelled.v1", listener: "order.take_back", run: |d| Box::pin(lines_and_take_back(d)) },
    Case { event: "order.return_accepted.v1", listener: "order.take_back", run: |d| Box::pin(return_and_take_back(d)) },
    Case {
        event: "payment.refunded.v1",
        listener: "order.note_refund",
        run: |d| Box::pin(refund_and_order(d, "pm_card_visa", "succeeded")),
    },
    Case {
        event: "payment.refund_failed.v1",
        listener: "order.note_refund",
        run: |d| Box::pin(refund_and_order(d, "pm_card_refundFail", "failed")),
    },
    Case { event: "payment.released.v1", listener: "order.note_refund", run: |d| Box::pin(released_and_order(d)) },
];

/// A subscription that is added needs a case.
#[test]
fn every_event_with_a_listener_has_a_case() {
    let subscribed: BTreeSet<(&str, &str)> = Module::ALL
        .into_iter()
        .flat_map(Module::subscriptions)
        .flat_map(|subscription| subscription.events.iter().map(|event| (*event, subscription.listener)))
        .collect();
    let cases: BTreeSet<(&str, &str)> = CASES.iter().map(|case| (case.event, case.listener)).collect();
    assert_eq!(subscribed, cases);
}

#[tokio::test]
async fn none_is_lost_by_hand() {
    none_is_lost(Events::Local).await;
}

#[tokio::test]
async fn none_is_lost_by_sns() {
    none_is_lost(Events::Sns).await;
}

async fn none_is_lost(events: Events) {
    let _slot = slot().await;
    let manual =
        |case: &Case| ["payment.authorized.v1", "payment.cancelled.v1", "payment.released.v1"].contains(&case.event);
    for (arguments, wanted) in [(vec![], false), (vec!["--payment-capture", "manual"], true)] {
        let mut deployment = Deployment::start(Plan { events, arguments, ..Plan::of(Topology::five()) }).await;
        deployment.admin().await;
        for case in CASES.iter().filter(|case| manual(case) == wanted) {
            let started = Instant::now();
            (case.run)(&mut deployment).await;
            assert_taken(&deployment, case).await;
            eprintln!("{} to {} by {}: {:.1?}", case.event, case.listener, events.name(), started.elapsed());
        }
        deployment.is_told_all().await;
        assert_eq!(deployment.verify(), Vec::<Value>::new());
    }
}

/// The listener has taken in every such event, or had nothing to do for it.
async fn assert_taken(deployment: &Deployment, case: &Case) {
    let publisher = Module::parse(case.event.split('.').next().unwrap()).unwrap().schema();
    let open = format!("SELECT 1 FROM {publisher}.outbox WHERE remaining IS DISTINCT FROM 0 AND name = $1");
    deployment.until_none(&open, case.event).await;
    let dead = format!("SELECT 1 FROM {publisher}.outbox_deliveries WHERE dead_at IS NOT NULL AND listener = $1");
    let owner = deployment.db.owner().await;
    assert!(owner.query(&dead, &[&case.listener]).await.unwrap().is_empty(), "{} is a dead letter", case.event);
    let told = format!("SELECT 1 FROM {publisher}.outbox WHERE name = $1");
    assert!(!owner.query(&told, &[&case.event]).await.unwrap().is_empty(), "{} was never told", case.event);
}

/// While the listener's process is down, `tell` has an event told; then the publisher loses its power. Both come
/// back, the publisher first, so that it finds nobody to tell.
async fn through_a_crash<T>(
    deployment: &mut Deployment,
    (publisher, listener): (Module, Module),
    tell: impl AsyncFnOnce(&Deployment) -> T,
) -> T {
    deployment.process(listener).kill();
    let told = tell(deployment).await;
    deployment.process(publisher).kill();
    deployment.process(publisher).start();
    deployment.process(publisher).wait_until_ready().await;
    deployment.process(listener).start();
    deployment.process(listener).wait_until_ready().await;
    told
}

async fn cart_of(deployment: &Deployment, who: &str) -> String {
    let admin = deployment.admin().await;
    let shirt = deployment.product(&admin, "Linen Shirt", 4_900, 10).await;
    let me = [("authorization", who)];
    let cart = deployment.get("/api/v1/carts/mine", &me).await;
    let line = json!({"variant_id": shirt, "quantity": 1});
    let path = format!("/api/v1/carts/{}/items", id(&cart));
    deployment.send("POST", &path, &me, Some(line)).await.expect(201);
    id(&cart).to_owned()
}

async fn delete_account(deployment: &Deployment, who: &str) {
    let gone = deployment.send("DELETE", "/api/v1/users/me", &[("authorization", who)], None).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
}

async fn account_and_cart(deployment: &mut Deployment) {
    let ada = deployment.register(&deployment.email("ada")).await;
    let cart = cart_of(deployment, &ada).await;
    let pair = (Module::User, Module::Cart);
    through_a_crash(deployment, pair, async |deployment| delete_account(deployment, &ada).await).await;
    deployment.until_none("SELECT 1 FROM carts.carts WHERE id::text = $1", &cart).await;
}

async fn account_and_payments(deployment: &mut Deployment) {
    let ada = deployment.register(&deployment.email("ada")).await;
    let cart = cart_of(deployment, &ada).await;
    let me = [("authorization", ada.as_str()), ("idempotency-key", "one")];
    let order = json!({"cart_id": cart, "shipping_address": address(), "payment_method": "pm_card_visa"});
    let order = deployment.send("POST", "/api/v1/orders", &me, Some(order)).await.expect(201);
    through_a_crash(deployment, (Module::User, Module::Payment), async |d| delete_account(d, &ada).await).await;
    let remembered = "SELECT 1 FROM payments.payments WHERE id::text = $1 AND method IS NOT NULL";
    deployment.until_none(remembered, id(&order["payment"])).await;
}

/// Of a module that is away while its part is asked for.
async fn handed_over_by(deployment: &mut Deployment, module: Module) {
    let ada = deployment.register(&deployment.email("ada")).await;
    let me = [("authorization", ada.as_str())];
    let path = "/api/v1/users/me/export";
    let asked = async |d: &Deployment| d.send("GET", path, &me, None).await.status;
    assert_eq!(through_a_crash(deployment, (Module::User, module), asked).await, 503);
    let all = deployment.until(path, &me, |_| true).await;
    assert!(all[module.name()].is_object(), "{all}");
}

async fn account_and_orders(deployment: &mut Deployment) {
    let ada = deployment.register(&deployment.email("ada")).await;
    let cart = cart_of(deployment, &ada).await;
    let order = json!({"cart_id": cart, "shipping_address": address(), "payment_method": "pm_card_visa"});
    let headers = [("authorization", ada.as_str()), ("idempotency-key", "one")];
    let order = deployment.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
    let pair = (Module::User, Module::Order);
    through_a_crash(deployment, pair, async |deployment| delete_account(deployment, &ada).await).await;
    let named = "SELECT 1 FROM orders.orders WHERE id::text = $1 AND email <> 'deleted@customer.invalid'";
    deployment.until_none(named, id(&order)).await;
}

async fn payment_and_order(deployment: &mut Deployment, status: &str) {
    let admin = deployment.admin().await;
    let shirt = deployment.product(&admin, "Linen Shirt", 4_900, 10).await;
    let order = deployment.guest_order(&shirt, 1, None).await;
    let token = order["token"].as_str().unwrap();
    let path = format!("/api/v1/payments/{}/confirm", id(&order["payment"]));
    let pair = (Module::Payment, Module::Order);
    through_a_crash(deployment, pair, async |deployment| {
        let headers = [("x-order-token", token), ("idempotency-key", "pay")];
        let visa = json!({"payment_method": "pm_card_visa"});
        let paid = deployment.send("POST", &path, &headers, Some(visa)).await.expect(200);
        assert_eq!(paid["status"], status);
    })
    .await;
    let path = format!("/api/v1/orders/{}", id(&order));
    deployment.until(&path, &[("x-order-token", token)], |order| order["status"] == "paid").await;
}

/// The order hears its own event: the request that placed it dies before it could finish it.
async fn placed_and_finished(deployment: &mut Deployment) {
    let admin = deployment.admin().await;
    let shirt = deployment.product(&admin, "Linen Shirt", 4_900, 10).await;
    let (cart, token) = deployment.guest_cart(&[(&shirt, 2)]).await;
    let email = deployment.email("placed");
    deployment.process(Module::Payment).kill();
    let order = json!({"cart_id": cart, "email": email, "shipping_address": address()});
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "order")];
    let placed = deployment.send("POST", "/api/v1/orders", &headers, Some(order.clone())).await;
    assert!([201, 503].contains(&placed.status), "{}", placed.text);
    deployment.process(Module::Order).kill();
    let rows = deployment.db.owner().await;
    let rows = rows.query("SELECT 1 FROM orders.orders WHERE email = $1", &[&email]).await.unwrap();
    assert_eq!(rows.len(), 1, "the order was not written");
    for module in [Module::Order, Module::Payment] {
        deployment.process(module).start();
        deployment.process(module).wait_until_ready().await;
    }
    let path = format!("/api/v1/carts/{cart}");
    deployment.until(&path, &[("x-cart-token", &token)], |cart| cart["status"] == "ordered").await;
    let again = deployment.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
    assert_eq!(again["payment"]["status"], "requires_payment_method", "{again}");
}

/// Something is asked of an order that gives money and stock back, and the request itself cannot do that: who
/// would take them back is down, and then its own process dies.
async fn through_an_outage(deployment: &mut Deployment, path: &str, who: (&str, &str), body: Value) {
    deployment.process(Module::Payment).kill();
    deployment.process(Module::Product).kill();
    let answer = deployment.send("POST", path, &[who], Some(body)).await;
    assert!([200, 503].contains(&answer.status), "{}", answer.text);
    deployment.process(Module::Order).kill();
    for module in [Module::Order, Module::Payment, Module::Product] {
        deployment.process(module).start();
        deployment.process(module).wait_until_ready().await;
    }
}

/// An order of three shirts for 49.00: its path, its token, and the shirt.
async fn three_shirts(deployment: &Deployment, method: &str) -> (Value, String, String) {
    let admin = deployment.admin().await;
    let shirt = deployment.product(&admin, "Linen Shirt", 4_900, 10).await;
    let order = deployment.guest_order(&shirt, 3, Some(method)).await;
    let path = format!("/api/v1/orders/{}", id(&order));
    (order, path, shirt)
}

async fn assert_back(deployment: &Deployment, path: &str, token: &str, (minor, shirt, available): (i64, &str, i64)) {
    let money_back = |order: &Value| order["payment"]["refunded_amount"]["amount"] == minor;
    deployment.until(path, &[("x-order-token", token)], money_back).await;
    deployment.until(&format!("/api/v1/variants/{shirt}"), &[], |variant| variant["available"] == available).await;
}

async fn cancelled_and_undone(deployment: &mut Deployment) {
    let (order, path, shirt) = three_shirts(deployment, "pm_card_visa").await;
    let token = order["token"].as_str().unwrap();
    through_an_outage(deployment, &format!("{path}/cancel"), ("x-order-token", token), json!({})).await;
    assert_back(deployment, &path, token, (14_700, &shirt, 10)).await;
    assert_eq!(deployment.get(&path, &[("x-order-token", token)]).await["status"], "cancelled");
}

async fn lines_and_take_back(deployment: &mut Deployment) {
    let (order, path, shirt) = three_shirts(deployment, "pm_card_visa").await;
    let token = order["token"].as_str().unwrap();
    let items = json!({"items": [{"variant_id": shirt, "quantity": 2}]});
    through_an_outage(deployment, &format!("{path}/cancel"), ("x-order-token", token), items).await;
    assert_back(deployment, &path, token, (9_800, &shirt, 9)).await;
}

async fn return_and_take_back(deployment: &mut Deployment) {
    let (order, path, shirt) = three_shirts(deployment, "pm_card_visa").await;
    let (admin, token) = (deployment.admin().await, order["token"].as_str().unwrap());
    for to in ["shipped", "delivered"] {
        let change = Some(json!({"to": to}));
        let staff = [("authorization", admin.as_str())];
        deployment.send("POST", &format!("{path}/transitions"), &staff, change).await.expect(200);
    }
    let items = json!({"items": [{"variant_id": shirt, "quantity": 2}]});
    let headers = [("x-order-token", token), ("idempotency-key", "return")];
    let asked = deployment.send("POST", &format!("{path}/returns"), &headers, Some(items)).await.expect(201);
    let accept = format!("{path}/returns/{}/accept", id(&asked));
    through_an_outage(deployment, &accept, ("authorization", &admin), json!({})).await;
    assert_back(deployment, &path, token, (9_800, &shirt, 9)).await;
}

/// An admin refunds without the order's doing; it hears of it.
async fn refund_and_order(deployment: &mut Deployment, method: &str, status: &str) {
    let (order, path, _) = three_shirts(deployment, method).await;
    let admin = deployment.admin().await;
    let refunds = format!("/api/v1/payments/{}/refunds", id(&order["payment"]));
    let pair = (Module::Payment, Module::Order);
    through_a_crash(deployment, pair, async |deployment| {
        let key = deployment.unique("refund");
        let headers = [("authorization", admin.as_str()), ("idempotency-key", key.as_str())];
        let body = Some(json!({"amount": {"amount": 500, "currency": "USD"}}));
        deployment.send("POST", &refunds, &headers, body).await.expect(201);
    })
    .await;
    let token = order["token"].as_str().unwrap();
    deployment.until(&path, &[("x-order-token", token)], |order| order["refunds"][0]["status"] == status).await;
}

/// What is only held is let go of in part.
async fn released_and_order(deployment: &mut Deployment) {
    let (order, path, shirt) = three_shirts(deployment, "pm_card_visa").await;
    let token = [("x-order-token", order["token"].as_str().unwrap())];
    let items = json!({"items": [{"variant_id": shirt, "quantity": 2}]});
    let after = deployment.send("POST", &format!("{path}/cancel"), &token, Some(items)).await.expect(200);
    assert_eq!(
        (&after["payment"]["status"], &after["refunds"][0]["amount"]["amount"]),
        (&json!("authorized"), &json!(9_800))
    );
    deployment.until(&path, &token, |order| order["refunds"][0]["status"] == "succeeded").await;
    deployment.until(&format!("/api/v1/variants/{shirt}"), &[], |variant| variant["available"] == 9).await;
}

/// The gateway lets a hold go by itself: the order is not sent.
async fn hold_gone_and_order(deployment: &mut Deployment) {
    let (order, path, shirt) = three_shirts(deployment, "pm_card_visa").await;
    let token = [("x-order-token", order["token"].as_str().unwrap())];
    let payment = id(&order["payment"]);
    deployment.until(&path, &token, |order| order["status"] == "paid").await;
    let charge = "SELECT reference FROM payments.sandbox_charges WHERE payment_id::text = $1";
    let charge: String = deployment.db.owner().await.query_one(charge, &[&payment]).await.unwrap().get(0);
    let event = json!({
        "id": deployment.unique("evt"), "type": "payment_intent.canceled",
        "data": {"object": {"id": charge, "amount": 14_700, "metadata": {"payment_id": payment}}},
    });
    through_a_crash(deployment, (Module::Payment, Module::Order), async |deployment| {
        // The gateway's own books say the same.
        let gone = "UPDATE payments.sandbox_charges SET status = 'cancelled' WHERE reference = $1";
        deployment.db.owner().await.execute(gone, &[&charge]).await.unwrap();
        let told = webhook(deployment, "whsec_sandbox", &event).await;
        assert_eq!(told.status, 200, "{}", told.text);
    })
    .await;
    let cancelled = deployment.until(&path, &token, |order| order["status"] == "cancelled").await;
    assert_eq!(cancelled["cancel_reason"], "payment_voided");
    deployment.until(&format!("/api/v1/variants/{shirt}"), &[], |variant| variant["available"] == 10).await;
    let (admin, shipped) = (deployment.admin().await, Some(json!({"to": "shipped"})));
    let staff = [("authorization", admin.as_str())];
    let refused = deployment.send("POST", &format!("{path}/transitions"), &staff, shipped).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (409, Some("invalid_transition")));
}
