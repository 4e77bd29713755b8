//! The whole program with Stripe for a gateway, and localstripe for Stripe: more payments than a piece of its list has,
//! a decline, a lost answer, and then `eshopz payments reconcile`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eshopz_testkit::localstripe::{Localstripe, SECRET_KEY};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Server, address, run, text};

/// Stripe's test card that declines.
const DECLINED: &str = "4000000000000341";
/// More than a piece of the list has.
const PAID: usize = 102;

/// The way to a server, which loses answers when it is told to.
struct Line {
    url: String,
    loses: Arc<AtomicBool>,
}

impl Line {
    async fn to(endpoint: &str) -> Self {
        let upstream = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let loses = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&loses);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&upstream).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&told)));
            }
        });
        Self { url, loses }
    }
}

/// Passes on what both say. A lost answer never comes, and the connection stays: a client who saw it break would
/// ask again, and localstripe knows no idempotency keys.
async fn pass(client: TcpStream, server: TcpStream, loses: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut piece = vec![0; 65_536];
    while let Ok(length @ 1..) = from_server.read(&mut piece).await {
        if !loses.load(Ordering::SeqCst) && to_client.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_at_stripe_is_what_the_books_say() {
    let stripe = Localstripe::start();
    let line = Line::to(stripe.endpoint()).await;
    let flags = [
        "--payment-gateway",
        "stripe",
        "--stripe-url",
        &line.url,
        "--stripe-secret-key",
        SECRET_KEY,
        "--webhook-secret",
        "whsec_1",
        "--gateway-timeout-ms",
        "2000",
    ];
    let shop = Server::start(&flags).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 1_000).await;
    let paying = (0..PAID).map(|_| shop.guest_order(&shirt, 1, Some("pm_card_visa")));
    let orders: Vec<Value> = futures::stream::iter(paying).buffer_unordered(4).collect().await;
    assert!(orders.iter().all(|order| order["payment"]["status"] == "succeeded"), "{}", orders[0]);
    let (cart, token) = shop.guest_cart(&[(&shirt, 1)]).await;
    let order = json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address(),
        "payment_method": stripe.method(DECLINED).await});
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "order")];
    shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(402);
    line.loses.store(true, Ordering::SeqCst);
    let lost = shop.guest_order(&shirt, 1, Some("pm_card_visa")).await;
    assert_eq!(lost["payment"]["status"], "processing", "{lost}");
    line.loses.store(false, Ordering::SeqCst);

    // It blocks its thread, and the line needs one.
    let command = |command: &[&str]| run(&shop.db.url, &[command, &flags].concat(), "");
    let reconciled = command(&["payments", "reconcile"]);
    assert_eq!(reconciled.status.code(), Some(0), "{}", text(&reconciled));
    let compared = format!("{} charges of the gateway's compared, 0 differ", PAID + 2);
    assert!(text(&reconciled).contains(&compared), "{}", text(&reconciled));
    let owner = shop.db.owner().await;
    let paid = "SELECT count(*) FROM payments.payments WHERE status = 'succeeded'";
    let paid: i64 = owner.query_one(paid, &[]).await.unwrap().get(0);
    assert_eq!(usize::try_from(paid).unwrap(), PAID + 1, "the lost one is paid, and once");
    shop.is_told_all().await;
    let verified = command(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
}
