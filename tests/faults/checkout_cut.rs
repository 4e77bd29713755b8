//! A client that hangs up, at every byte of what it sends and in the middle of what it is told: its order is there
//! once and whole, or not at all, and who asks again gets it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::order;
use crate::support::{Deployment, Plan, Shop, Topology, id};
use crate::topologies::slot;

/// How a client leaves.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    /// It closes in good order.
    Closed,
    /// It is gone: what it was sent is refused.
    Reset,
}

/// A request as it goes over the wire.
fn bytes(path: &str, headers: &[(&str, &str)], body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    format!(
        "POST {path} HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends these bytes, reads so many of the answer, and leaves.
async fn cut(port: u16, sent: &[u8], read: usize, leaving: Leaving) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = vec![0; read];
    if read > 0 {
        stream.read_exact(&mut answer).await.unwrap();
    }
    if matches!(leaving, Leaving::Reset) {
        stream.set_zero_linger().unwrap();
    }
}

/// What the database has of a cart's order: its id, lines, and whether payment and cart are settled.
async fn orders_of(shop: &Shop, cart: &str) -> Vec<(String, i64)> {
    let query = "SELECT o.id::text, (SELECT count(*) FROM orders.order_lines l WHERE l.order_id = o.id) \
                 FROM orders.orders o WHERE o.cart_id::text = $1";
    let rows = shop.db.owner().await.query(query, &[&cart]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_hangs_up_at_every_byte_of_an_order() {
    let _slot = slot().await;
    let deployment = Deployment::start(Plan::of(Topology::combined())).await;
    let (shop, port) = (&deployment.shop, deployment.processes[0].port);
    let admin = shop.admin().await;
    let things = [shop.product(&admin, "Left", 1_000, 1_000).await, shop.product(&admin, "Right", 500, 1_000).await];
    let lines = [(things[0].as_str(), 1), (things[1].as_str(), 2)];

    // Half a request has no effect.
    let (cart, token) = shop.guest_cart(&lines).await;
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "one")];
    let request = bytes("/api/v1/orders", &headers, &order(&cart, "pm_card_visa"));
    for at in 0..request.len() {
        let leaving = if at % 2 == 0 { Leaving::Closed } else { Leaving::Reset };
        cut(port, &request[..at], 0, leaving).await;
    }
    assert_eq!(orders_of(shop, &cart).await, []);

    // A whole one has all of it or none; and the same again gets the same.
    let mut seen = BTreeSet::new();
    let reads = [0, 0, 0, 0, 1, 2, 15, 16, 17, 60, 200, 400];
    for (round, read) in reads.into_iter().cycle().take(36).enumerate() {
        let leaving = if round % 2 == 0 { Leaving::Reset } else { Leaving::Closed };
        let (cart, token) = shop.guest_cart(&lines).await;
        let key = format!("whole-{round}");
        let headers = [("x-cart-token", token.as_str()), ("idempotency-key", key.as_str())];
        let body = order(&cart, "pm_card_visa");
        cut(port, &bytes("/api/v1/orders", &headers, &body), read, leaving).await;
        let began = orders_of(shop, &cart).await;
        assert!(began.len() <= 1 && began.iter().all(|(_, lines)| *lines == 2), "{began:?}");
        assert!(read == 0 || began.len() == 1, "it was told of an order that is not there");
        let again = loop {
            let again = shop.send("POST", "/api/v1/orders", &headers, Some(body.clone())).await;
            if again.status != 409 {
                break again.expect(201);
            }
            assert_eq!(again.body["code"], "idempotency_in_progress", "{}", again.text);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        assert_eq!(again["status"], "paid");
        let kept = orders_of(shop, &cart).await;
        assert_eq!(kept, [(id(&again).to_owned(), 2)]);
        assert!(began.is_empty() || began == kept);
        seen.insert(id(&again).to_owned());
    }
    assert_eq!(seen.len(), 36);
    shop.is_told_all().await;
    shop.assert_available(&things[0], 1_000 - 36).await;
    shop.assert_available(&things[1], 1_000 - 72).await;
    assert_eq!(shop.verify(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_hangs_up_while_it_pays() {
    let _slot = slot().await;
    let deployment = Deployment::start(Plan::of(Topology::combined())).await;
    let (shop, port) = (&deployment.shop, deployment.processes[0].port);
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 1_000).await;
    for (round, read) in [0, 0, 0, 0, 0, 0, 1, 16, 200].into_iter().cycle().take(27).enumerate() {
        let placed = shop.guest_order(&shirt, 1, None).await;
        let (token, payment) = (placed["token"].as_str().unwrap(), id(&placed["payment"]));
        let path = format!("/api/v1/payments/{payment}/confirm");
        let key = format!("pay-{round}");
        let headers = [("x-order-token", token), ("idempotency-key", key.as_str())];
        let body = json!({"payment_method": "pm_card_visa"});
        let request = bytes(&path, &headers, &body);
        // Here and there in the body, too.
        let sent = if round % 9 == 5 { &request[..request.len() - 1 - round % 7] } else { &request[..] };
        cut(port, sent, read, if round % 2 == 0 { Leaving::Reset } else { Leaving::Closed }).await;
        loop {
            let again = shop.send("POST", &path, &headers, Some(body.clone())).await;
            if again.status == 200 && again.body["status"] == "succeeded" {
                break;
            }
            assert!([200, 409].contains(&again.status), "{} {}", again.status, again.text);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let of_order = [("x-order-token", token)];
        shop.until(&format!("/api/v1/orders/{}", id(&placed)), &of_order, |order| order["status"] == "paid").await;
        let paid = shop.get(&format!("/api/v1/payments/{payment}"), &of_order).await;
        assert_eq!(
            (&paid["captured_amount"]["amount"], &paid["refunded_amount"]["amount"]),
            (&json!(4_900), &json!(0))
        );
    }
    let charges = "SELECT count(*) FROM payments.sandbox_charges WHERE captured_minor > 0";
    let charged: i64 = shop.db.owner().await.query_one(charges, &[]).await.unwrap().get(0);
    assert_eq!(charged, 27, "somebody was charged twice");
    shop.is_told_all().await;
    assert_eq!(shop.verify(), Vec::<Value>::new());
}
