//! PostgreSQL goes away under load, politely or not, and comes back.

use std::time::Duration;

use super::{Own, assert_all_well, back_after};
use crate::support::{Load, Plan, Topology};
use crate::topologies::every_slot;

/// From PostgreSQL's first word to the shop's.
const BACK: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_restarted_under_load() {
    let _slot = every_slot().await;
    let plan = Plan { arguments: vec!["--gateway-timeout-ms", "2000"], ..Plan::of(Topology::replicas(3)) };
    let mut own = Own::start(plan).await;
    let load = Load::start(&own.deployment, 4, 4).await;
    let mut back = Vec::new();
    for at_once in [true, false, true] {
        load.go_on(8).await;
        if at_once {
            own.postgres.stop_at_once();
        } else {
            own.postgres.kill();
        }
        own.postgres.ended().await.unwrap();
        own.postgres.start_again().await.unwrap();
        back.push(back_after(&own.deployment, "/api/v1/products?limit=5", BACK).await);
    }
    load.go_on(12).await;
    let tally = assert_all_well(&own.deployment, load, &[]).await;
    eprintln!("PostgreSQL stopped at once, killed, stopped at once: {tally}; back after {back:.0?}");
    assert!(tally.unavailable > 0, "nobody has noticed");
    let Own { deployment, postgres, _folder } = own;
    drop(deployment);
    postgres.stop().await.unwrap();
}
