//! Buyers of the same two things in opposite order, at three processes, while the gateway does not answer some
//! of them: what is sold is what there was, nobody sees a deadlock, and no transaction waits for a gateway.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eshopz_testkit::load::Dice;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Deployment, Plan, Shop, Topology, address};
use crate::topologies::slot;

const BUYERS: usize = 90;
const THINGS: i64 = 30;
const ROUNDS: u64 = 3;
/// How long the gateway's silence lasts for those whom it does not answer.
const SILENCE: &str = "4000";
/// No transaction of the shop takes this long, nor a third of it with nothing to do: one that waited for the gateway
/// would.
const LONGEST: f64 = 3.0;

/// What was seen of the shop's transactions.
#[derive(Debug, Default)]
struct Seen {
    looks: u32,
    /// Looks at which the gateway had not answered somebody.
    while_it_hung: u32,
    /// Seconds.
    oldest: f64,
    idlest: f64,
}

/// Looks again and again until it is told to stop.
async fn watch(shop: &Shop, stop: &AtomicBool) -> Seen {
    let owner = shop.db.owner().await;
    let ages = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8, \
            coalesce(max(extract(epoch FROM clock_timestamp() - state_change)) \
                FILTER (WHERE state LIKE 'idle in transaction%'), 0)::float8, \
            (SELECT count(*) FROM payments.transactions \
                WHERE status = 'pending' AND created_at < clock_timestamp() - interval '1 second') \
         FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'eshopz-%'";
    let mut seen = Seen::default();
    while !stop.load(Ordering::SeqCst) {
        let row = owner.query_one(ages, &[]).await.unwrap();
        seen.looks += 1;
        seen.while_it_hung += u32::from(row.get::<_, i64>(2) > 0);
        seen.oldest = seen.oldest.max(row.get(0));
        seen.idlest = seen.idlest.max(row.get(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    seen
}

async fn buy(shop: &Shop, cart: &(String, String), key: String, method: &str) -> Answer {
    let headers = [("x-cart-token", cart.1.as_str()), ("idempotency-key", key.as_str())];
    let order = json!({
        "cart_id": cart.0, "email": "guest@example.com", "shipping_address": address(), "payment_method": method,
    });
    shop.send("POST", "/api/v1/orders", &headers, Some(order)).await
}

/// A crowd for two things of which there are a third as many.
async fn round(shop: &Shop, admin: &str, dice: &mut Dice) {
    let left = shop.product(admin, "Left Shoe", 1_000, THINGS).await;
    let right = shop.product(admin, "Right Shoe", 1_000, THINGS).await;
    let (there, back) = ([(left.as_str(), 1), (right.as_str(), 1)], [(right.as_str(), 1), (left.as_str(), 1)]);
    let carts = join_all((0..BUYERS).map(|n| shop.guest_cart(if n % 2 == 0 { &there } else { &back }))).await;
    let methods: Vec<&str> =
        carts.iter().map(|_| ["pm_card_visa", "pm_card_visa", "pm_sandbox_timeout"][dice.below(3)]).collect();
    let buying = carts.iter().zip(&methods).enumerate();
    let answers = join_all(buying.map(|(n, (cart, method))| buy(shop, cart, shop.unique(&format!("key-{n}")), method)));
    let answers = answers.await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    let things = usize::try_from(THINGS).unwrap();
    assert_eq!((count(201), count(409)), (things, BUYERS - things), "{answers:?}");
    let refused = answers.iter().filter(|answer| answer.status == 409);
    assert!(refused.clone().all(|answer| answer.body["code"] == "insufficient_stock"), "{answers:?}");
    for variant in [&left, &right] {
        shop.assert_available(variant, 0).await;
        let sold = "SELECT coalesce(sum(quantity), 0)::bigint FROM orders.order_lines WHERE variant_id::text = $1";
        let sold: i64 = shop.db.owner().await.query_one(sold, &[variant]).await.unwrap().get(0);
        assert_eq!(sold, THINGS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exact_sales_and_no_transaction_across_a_gateway_call() {
    let _slot = slot().await;
    let arguments = vec!["--gateway-timeout-ms", SILENCE];
    let deployment = Deployment::start(Plan { arguments, ..Plan::of(Topology::replicas(3)) }).await;
    let (shop, stop) = (&deployment.shop, AtomicBool::new(false));
    let admin = shop.admin().await;
    let crowds = async {
        for seed in 1..=ROUNDS {
            eprintln!("carts in opposite order: seed {seed}");
            round(shop, &admin, &mut Dice::new(seed)).await;
        }
        stop.store(true, Ordering::SeqCst);
    };
    let ((), seen) = futures::join!(crowds, watch(shop, &stop));
    assert!(seen.while_it_hung > 20, "the gateway answered everybody: {seen:?}");
    assert!(seen.oldest < LONGEST && seen.idlest < LONGEST / 3.0, "a transaction waits for somebody: {seen:?}");
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let deadlocks: i64 = shop.db.owner().await.query_one(deadlocks, &[]).await.unwrap().get(0);
    assert_eq!(deadlocks, 0);
    shop.is_told_all().await;
    assert_eq!(shop.verify(), Vec::<Value>::new());
}
