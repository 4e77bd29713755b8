//! Two who want different things of one cart, order or payment at the same moment: one of them gets it, and the
//! other is told.

use std::time::{Duration, Instant};

use chrono::Utc;
use eshopz_payment::gateway::signature;
use eshopz_testkit::load::Dice;
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::support::{Answer, Deployment, Plan, Shop, Topology, address, id};
use crate::topologies::slot;

async fn pause(millis: usize) {
    tokio::time::sleep(Duration::from_millis(u64::try_from(millis).unwrap())).await;
}

async fn three_processes() -> Deployment {
    Deployment::start(Plan::of(Topology::replicas(3))).await
}

async fn assert_books_balance(shop: &Shop) {
    shop.is_told_all().await;
    assert_eq!(shop.verify(), Vec::<Value>::new());
}

/// Variants and quantities of a cart or an order.
fn lines(of: &Value) -> Vec<(String, i64)> {
    let line = |line: &Value| (line["variant_id"].as_str().unwrap().to_owned(), line["quantity"].as_i64().unwrap());
    let mut lines: Vec<_> = of["items"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

/// A cart of two of the first thing is ordered while it gets three of it, one of the second, or nothing. Gives
/// what was sold.
async fn edited_while_ordered(shop: &Shop, things: &[String; 2], seed: u64) -> [i64; 2] {
    let mut dice = Dice::new(seed);
    let (cart, token) = shop.guest_cart(&[(&things[0], 2)]).await;
    let path = format!("/api/v1/carts/{cart}");
    let of_cart = [("x-cart-token", token.as_str())];
    let before = shop.get(&path, &of_cart).await;
    let line = format!("{path}/items/{}", id(&before["items"][0]));
    let (method, edited, body, total) = match dice.below(3) {
        0 => ("PATCH", line, Some(json!({"quantity": 3})), 3_000),
        1 => ("POST", format!("{path}/items"), Some(json!({"variant_id": things[1], "quantity": 1})), 2_500),
        _ => ("DELETE", line, None, 0),
    };
    let mut order = json!({
        "cart_id": cart, "email": "guest@example.com", "shipping_address": address(), "payment_method": "pm_card_visa",
    });
    let agreed = [None, Some(2_000), Some(total)][dice.below(3)];
    if let Some(agreed) = agreed {
        order["expected_total"] = json!({"amount": agreed, "currency": "USD"});
    }
    let (first, second) = (dice.below(8), dice.below(45));
    let headers = [of_cart[0], ("idempotency-key", "order")];
    let (edit, placed) = futures::join!(
        async {
            pause(first).await;
            shop.send(method, &edited, &of_cart, body).await
        },
        async {
            pause(second).await;
            shop.send("POST", "/api/v1/orders", &headers, Some(order)).await
        },
    );
    assert!([200, 201, 409].contains(&edit.status), "seed {seed}: {} {}", edit.status, edit.text);
    if placed.status == 409 {
        let code = placed.body["code"].as_str().unwrap();
        let fits = (code == "cart_empty" && total == 0) || (code == "cart_changed" && agreed.is_some());
        assert!(fits, "seed {seed}: {}", placed.text);
        return [0, 0];
    }
    let placed = placed.expect(201);
    let old = lines(&before);
    let new = if edit.status < 300 { lines(&edit.body) } else { old.clone() };
    let ordered = lines(&placed);
    let paid = placed["totals"]["total"]["amount"].as_i64().unwrap();
    let is_old = ordered == old && paid == 2_000;
    let is_new = ordered == new && paid == total;
    assert!(is_old || is_new, "seed {seed}: {ordered:?} for {paid}, neither {old:?} nor {new:?}");
    assert!(agreed.is_none_or(|agreed| agreed == paid), "seed {seed}: {paid} instead of {agreed:?}");
    let payment = &placed["payment"];
    assert_eq!((&payment["status"], &payment["amount"]["amount"]), (&json!("succeeded"), &json!(paid)), "seed {seed}");
    let sold = |thing: &String| ordered.iter().filter(|(variant, _)| variant == thing).map(|(_, n)| *n).sum();
    [sold(&things[0]), sold(&things[1])]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cart_is_edited_while_it_is_ordered() {
    let _slot = slot().await;
    let deployment = three_processes().await;
    let shop = &deployment.shop;
    let admin = shop.admin().await;
    let things = [shop.product(&admin, "Left", 1_000, 10_000).await, shop.product(&admin, "Right", 500, 10_000).await];
    let races = stream::iter(1..=150).map(|seed| edited_while_ordered(shop, &things, seed)).buffer_unordered(6);
    let sold = races.fold([0, 0], async |sum, sold| [sum[0] + sold[0], sum[1] + sold[1]]).await;
    eprintln!("carts edited while ordered, seeds 1 to 150: {sold:?} sold");
    assert!(sold[0] > 100 && sold[1] > 0, "one side always wins: {sold:?}");
    for (thing, sold) in things.iter().zip(sold) {
        shop.assert_available(thing, 10_000 - sold).await;
    }
    assert_books_balance(shop).await;
}

/// How long shipping takes here, in milliseconds: both sides have to be late by as much for the other to win.
async fn time_to_ship(shop: &Shop, admin: &str, shirt: &str) -> usize {
    let placed = shop.guest_order(shirt, 1, Some("pm_card_visa")).await;
    let path = format!("/api/v1/orders/{}/transitions", id(&placed));
    let began = Instant::now();
    shop.send("POST", &path, &[("authorization", admin)], Some(json!({"to": "shipped"}))).await.expect(200);
    usize::try_from(began.elapsed().as_millis()).unwrap()
}

/// Gives whether it was shipped. Each side waits for less than `reach` milliseconds before it begins.
async fn cancelled_while_shipped(shop: &Shop, admin: &str, shirt: &str, reach: usize, seed: u64) -> bool {
    let mut dice = Dice::new(seed);
    let placed = shop.guest_order(shirt, 1, Some("pm_card_visa")).await;
    let of_order = [("x-order-token", placed["token"].as_str().unwrap())];
    let path = format!("/api/v1/orders/{}", id(&placed));
    let (first, second) = (dice.below(reach), dice.below(reach));
    let (cancelled, shipped) = futures::join!(
        async {
            pause(first).await;
            shop.send("POST", &format!("{path}/cancel"), &of_order, Some(json!({}))).await
        },
        async {
            pause(second).await;
            let to = Some(json!({"to": "shipped"}));
            shop.send("POST", &format!("{path}/transitions"), &[("authorization", admin)], to).await
        },
    );
    let outcome = (cancelled.status, shipped.status);
    assert!([(200, 409), (409, 200)].contains(&outcome), "seed {seed}: {} {}", cancelled.text, shipped.text);
    let was_shipped = shipped.status == 200;
    let (status, back) = if was_shipped { ("shipped", 0) } else { ("cancelled", 4_900) };
    let right = |order: &Value| order["payment"]["refunded_amount"]["amount"] == back;
    let read = shop.until(&path, &of_order, right).await;
    assert_eq!(read["status"], status, "seed {seed}");
    was_shipped
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_cancelled_while_it_is_shipped() {
    let _slot = slot().await;
    let deployment = three_processes().await;
    let shop = &deployment.shop;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10_000).await;
    let reach = (time_to_ship(shop, &admin, &shirt).await * 3).max(8);
    let races = stream::iter(1..=240).map(|seed| cancelled_while_shipped(shop, &admin, &shirt, reach, seed));
    let shipped = races.buffer_unordered(6).filter(|shipped| std::future::ready(*shipped)).count().await;
    eprintln!("cancelled while shipped, within {reach} ms, seeds 1 to 240: {shipped} shipped");
    assert!((5..=235).contains(&shipped), "one side always wins: {shipped}");
    shop.assert_available(&shirt, 10_000 - 1 - i64::try_from(shipped).unwrap()).await;
    let both = "SELECT 1 FROM orders.orders o JOIN payments.sandbox_charges c ON c.payment_id = o.payment_id \
                WHERE $1 = '' AND ((o.status = 'shipped') <> (c.refunded_minor = 0))";
    shop.until_none(both, "").await;
    assert_books_balance(shop).await;
}

async fn told_by_the_gateway(shop: &Shop, event: &Value) -> Answer {
    let body = event.to_string();
    let signature = signature::sign("whsec_sandbox", Utc::now().timestamp(), &body);
    let headers = [("sandbox-signature", signature.as_str()), ("content-type", "application/json")];
    shop.raw("POST", "/api/v1/payments/webhooks/sandbox", &headers, body.into_bytes()).await
}

/// An order whose payment waits for the payer's bank.
struct Waiting {
    placed: Value,
    /// The gateway's name of the charge.
    reference: Value,
}

async fn waiting(shop: &Shop, shirt: &str) -> Waiting {
    let placed = shop.guest_order(shirt, 1, Some("pm_card_authenticationRequired")).await;
    let of_order = [("x-order-token", placed["token"].as_str().unwrap())];
    let payment = shop.get(&format!("/api/v1/payments/{}", id(&placed["payment"])), &of_order).await;
    Waiting { reference: payment["next_action"]["reference"].clone(), placed }
}

/// The payer's bank has approved the first attempt, the payer makes a second, and the order becomes too old.
async fn paid_told_and_expired(shop: &Shop, Waiting { placed, reference }: &Waiting, seed: u64) {
    let mut dice = Dice::new(seed);
    let of_order = [("x-order-token", placed["token"].as_str().unwrap()), ("idempotency-key", "again")];
    let payment = format!("/api/v1/payments/{}", id(&placed["payment"]));
    let event = json!({
        "id": shop.unique("evt"), "type": "payment_intent.succeeded",
        "data": {"object": {
            "id": reference, "amount": 4_900, "amount_received": 4_900,
            "metadata": {"payment_id": id(&placed["payment"])},
        }},
    });
    let pauses = [dice.below(40), dice.below(40), dice.below(40)];
    let (confirmed, told, _) = futures::join!(
        async {
            pause(pauses[0]).await;
            let method = ["pm_card_visa", "pm_card_chargeDeclined"][dice.below(2)];
            let method = Some(json!({"payment_method": method}));
            shop.send("POST", &format!("{payment}/confirm"), &of_order, method).await
        },
        async {
            pause(pauses[1]).await;
            told_by_the_gateway(shop, &event).await
        },
        async {
            // As the job does, whose turn cannot be told to the millisecond.
            pause(pauses[2]).await;
            let path = format!("/api/v1/orders/{}/cancel", id(placed));
            if seed.is_multiple_of(2) { Some(shop.send("POST", &path, &of_order, Some(json!({}))).await) } else { None }
        },
    );
    assert!([200, 402, 409].contains(&confirmed.status), "seed {seed}: {} {}", confirmed.status, confirmed.text);
    assert_eq!(told.status, 200, "seed {seed}: {}", told.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_confirmed_told_and_expired() {
    const ORDERS: u64 = 60;
    let _slot = slot().await;
    let deployment = three_processes().await;
    let (shop, owner) = (&deployment.shop, deployment.db.owner().await);
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10_000).await;
    for round in 0..3 {
        let placed: Vec<Waiting> =
            stream::iter(0..ORDERS).map(|_| waiting(shop, &shirt)).buffer_unordered(6).collect().await;
        // All are too old from now on; the job comes within five seconds, in the middle of them.
        let older = "UPDATE orders.orders SET placed_at = placed_at - interval '31 minutes' \
                     WHERE status = 'pending_payment'";
        owner.batch_execute(older).await.unwrap();
        let seeds = 1 + round * ORDERS..;
        let races = placed.iter().zip(seeds).enumerate().map(|(n, (order, seed))| async move {
            pause(n * 90).await;
            paid_told_and_expired(shop, order, seed).await;
        });
        join_all(races).await;
    }
    // Each is paid once, or cancelled with nothing kept.
    let open = "SELECT 1 FROM orders.orders WHERE status NOT IN ('paid', 'cancelled') AND $1 = ''";
    shop.until_none(open, "").await;
    let wrong = "SELECT o.number, o.status, coalesce(sum(c.captured_minor - c.refunded_minor), 0)::bigint \
         FROM orders.orders o LEFT JOIN payments.sandbox_charges c ON c.payment_id = o.payment_id \
         WHERE $1 = '' GROUP BY o.id \
         HAVING coalesce(sum(c.captured_minor - c.refunded_minor), 0) <> CASE o.status WHEN 'paid' THEN 4900 ELSE 0 END";
    shop.until_none(wrong, "").await;
    let paid = "SELECT count(*) FROM orders.orders WHERE status = 'paid'";
    let paid: i64 = owner.query_one(paid, &[]).await.unwrap().get(0);
    eprintln!("confirmed, told and expired, seeds 1 to {}: {paid} paid", 3 * ORDERS);
    assert!(paid > 10 && paid < 175, "one side always wins: {paid}");
    shop.assert_available(&shirt, 10_000 - paid).await;
    assert_books_balance(shop).await;
}
