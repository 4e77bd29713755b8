//! A stop in the middle of an order whose buyer has hung up.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpStream;
use tokio_postgres::Client;

use crate::support::{Server, address};

const GRACE: Duration = Duration::from_secs(20);

async fn count(owner: &Client, what: &str) -> i64 {
    owner.query_one(&format!("SELECT count(*) FROM {what}"), &[]).await.unwrap().get(0)
}

async fn until(what: &str, mut right: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !right().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_order_whose_buyer_hung_up_is_whole_after_sigterm() {
    let mut shop = Server::start(&["--grace-seconds", &GRACE.as_secs().to_string()]).await;
    let admin = shop.admin().await;
    let mug = shop.product(&admin, "Mug", 1_000, 5).await;
    let (cart, token) = shop.guest_cart(&[(&mug, 2)]).await;
    let (owner, mut locking) = (shop.db.owner().await, shop.db.owner().await);
    let door = shop.base.trim_start_matches("http://").to_owned();

    // The order is held between its commit and its payment.
    let lock = locking.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE payments.payments IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let body = json!({
        "cart_id": cart, "email": "ada@example.com", "shipping_address": address(), "payment_method": "pm_card_visa",
    });
    let request = reqwest::Client::new()
        .post(format!("{}/api/v1/orders", shop.base))
        .header("x-cart-token", token)
        .header("idempotency-key", "k")
        .json(&body);
    let buyer = tokio::spawn(request.send());
    until("the order is placed", async || count(&owner, "orders.orders").await == 1).await;
    buyer.abort();
    assert!(buyer.await.unwrap_err().is_cancelled());

    let let_go = async {
        until("the doors are closed", async || TcpStream::connect(&door).await.is_err()).await;
        lock.commit().await.unwrap();
        Instant::now()
    };
    let (code, closed) = tokio::join!(shop.terminate(), let_go);
    assert_eq!(code, 0);
    assert!(closed.elapsed() < GRACE, "{:?}", closed.elapsed());
    assert_eq!(count(&owner, "orders.orders WHERE status = 'paid' AND finished_at IS NOT NULL").await, 1);
    assert_eq!(count(&owner, "orders.idempotency_keys WHERE key = 'k' AND status = 201").await, 1);
    assert_eq!(count(&owner, "payments.payments WHERE status = 'succeeded'").await, 1);
    assert_eq!(count(&owner, "products.reservations WHERE state = 'sold'").await, 1);
}
