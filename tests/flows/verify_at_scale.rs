//! `eshopz verify` takes time in proportion to what it looks at, and no more.

use std::time::{Duration, Instant};

use eshopz_testkit::db::TestDb;
use eshopz_testkit::history;

use crate::support::{MODULES, run, text};

/// Makes so many orders and verifies them, for as long as it says.
async fn verified(orders: u32) -> Duration {
    let db = TestDb::new(&MODULES).await;
    history::fill(&db.owner().await, orders).await.unwrap();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        let output = run(&db.url, &["verify"], "");
        best = best.min(began.elapsed());
        let said = text(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.ends_with("the books balance\n") && !said.contains("rules checked"), "{said}");
        assert!(said.contains(&format!("order_payment                {orders:>9} rows  ok")), "{said}");
    }
    best
}

#[tokio::test]
async fn verifying_eight_times_the_orders_takes_no_more_than_so_much_longer() {
    let few = verified(2_500).await;
    let many = verified(20_000).await;
    println!("2500 orders in {few:?}, 20000 in {many:?}");
    // Eight times would be linear; some of the time is the program's start.
    assert!(many < few * 16, "{many:?} is more than in proportion to {few:?}");
}
