//! What can go wrong around the shop: its database, its gateway, its clock, its clients. Whatever it is, nobody is
//! told anything but the truth or a clean 503, the books balance, and the shop is back by itself.

mod checkout_cut;
mod clock;
mod database;
mod disk;
mod gateway;
mod idle;
mod neighbour;
mod pool;

use std::time::{Duration, Instant};

use eshopz_testkit::db::TestDb;
use eshopz_testkit::postgres::Postgres;
use serde_json::{Value, json};

use crate::support::{Answer, Deployment, Folder, Load, MODULES, Plan, Shop, Tally, address};

/// A deployment on a PostgreSQL of its own. The order of the fields is that in which it ends.
struct Own {
    deployment: Deployment,
    postgres: Postgres,
    _folder: Folder,
}

impl Own {
    async fn start(plan: Plan) -> Self {
        let folder = Folder::new();
        let postgres = Postgres::start(&folder.0).await.unwrap();
        let db = TestDb::on(postgres.url().to_owned(), &MODULES).await;
        Self { deployment: Deployment::start_on(db, plan).await, postgres, _folder: folder }
    }
}

/// A 503 that tells a program what it is, and when to come again.
fn is_clean_503(answer: &Answer) -> bool {
    answer.status == 503
        && answer.header("content-type") == "application/problem+json"
        && !answer.header("retry-after").is_empty()
}

/// A guest's order.
fn order(cart: &str, method: &str) -> Value {
    json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address(), "payment_method": method})
}

/// Orders that are not paid, and should be. One need not be whose charge was broken off before the sandbox, which
/// has its books in the same database, had committed it: its payer is told so, and may try again.
const UNPAID: &str = "SELECT 1 FROM orders.orders o WHERE o.status <> 'paid' AND $1 = '' AND NOT EXISTS ( \
    SELECT FROM payments.payments p WHERE p.order_id = o.id \
    AND p.status IN ('requires_payment_method', 'failed') AND p.failure_code IN ('gateway_timeout', 'gateway_unavailable') \
    AND NOT EXISTS (SELECT FROM payments.sandbox_charges c WHERE c.payment_id = p.id))";

/// Ends the load: nobody met with anything but a clean 503, every order, `others` included, was paid at once or a
/// little later, none is lost or doubled, and the books balance.
async fn assert_all_well(shop: &Shop, load: Load, others: &[String]) -> Tally {
    let mut tally = load.stop().await;
    tally.orders.extend_from_slice(others);
    // The gateway's word was lost on the way: the order is answered unpaid, and its payment looked after.
    tally.failures.retain(|failure| !failure.starts_with("an order is answered that is not paid"));
    assert!(tally.failures.is_empty(), "{tally}\n{}", tally.failures.join("\n"));
    shop.until_none(UNPAID, "").await;
    tally.assert_orders(shop).await;
    shop.is_told_all().await;
    assert_eq!(shop.verify(), Vec::<Value>::new());
    tally
}

/// Asks until it goes well, and gives how long that took; until then there are clean 503s.
async fn back_after(shop: &Shop, path: &str, at_most: Duration) -> Duration {
    let since = Instant::now();
    loop {
        let answer = shop.send("GET", path, &[], None).await;
        if answer.status == 200 {
            return since.elapsed();
        }
        assert!(is_clean_503(&answer), "{path}: {} {}", answer.status, answer.text);
        assert!(since.elapsed() < at_most, "{path} is not back after {at_most:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
