//! Every connection of a module's pool is taken, by statements that hang.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::{back_after, is_clean_503};
use crate::support::{Answer, Deployment, Plan, Shop, Topology};
use crate::topologies::slot;

async fn timed(shop: &Shop, method: &str, path: &str, body: Option<Value>) -> (Answer, Duration) {
    let asked = Instant::now();
    let answer = shop.send(method, path, &[], body).await;
    (answer, asked.elapsed())
}

/// Memory that the process has, in MiB.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Nobody gets at the carts until this is rolled back.
async fn lock_carts(shop: &Shop) -> Client {
    let outside = shop.db.owner().await;
    outside.batch_execute("BEGIN; LOCK TABLE carts.carts IN ACCESS EXCLUSIVE MODE").await.unwrap();
    outside
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gets_no_connection_is_told_in_time() {
    let _slot = slot().await;
    let arguments = vec!["--database-pool", "2", "--database-wait-ms", "700"];
    let deployment = Deployment::start(Plan { arguments, ..Plan::of(Topology::combined()) }).await;
    let process = deployment.processes[0].id();
    let management = deployment.processes[0].management();
    let before = memory(process);
    let outside = lock_carts(&deployment).await;
    let health = reqwest::Client::new();
    for round in 0..3 {
        let shop = &deployment.shop;
        let carts = join_all((0..150).map(|_| timed(shop, "POST", "/api/v1/carts", Some(json!({})))));
        let healthy = join_all((0..10).map(|_| async {
            let asked = Instant::now();
            let answer = health.get(format!("{management}/health/ready")).send().await.unwrap();
            (answer.status().as_u16(), asked.elapsed())
        }));
        let others = join_all((0..10).map(|_| timed(shop, "GET", "/api/v1/products?limit=5", None)));
        let (carts, healthy, others) = futures::join!(carts, healthy, others);
        // Two have a connection each, and hang until the lock's time is up: the others wait for theirs.
        let mut took: Vec<Duration> = carts.iter().map(|(_, took)| *took).collect();
        took.sort_unstable();
        assert!(
            carts.iter().all(|(answer, _)| is_clean_503(answer)),
            "{:?}",
            carts.iter().map(|c| &c.0).collect::<Vec<_>>()
        );
        assert!(took[140] < Duration::from_secs(3), "round {round}: they wait {:?}", took[140]);
        assert!(took[149] < Duration::from_secs(14), "round {round}: somebody waits {:?}", took[149]);
        assert!(healthy.iter().all(|(status, took)| *status == 200 && *took < Duration::from_secs(2)), "{healthy:?}");
        assert!(others.iter().all(|(answer, _)| answer.status == 200), "another module is taken along");
    }
    let grown = memory(process).saturating_sub(before);
    assert!(grown < 60, "{grown} MiB more");
    outside.batch_execute("ROLLBACK").await.unwrap();
    let made = timed(&deployment, "POST", "/api/v1/carts", Some(json!({}))).await;
    assert!(made.0.status == 201 && made.1 < Duration::from_secs(2), "{made:?}");
    assert_eq!(deployment.verify(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_for_a_connection_has_an_end() {
    let _slot = slot().await;
    let arguments = vec!["--database-pool", "2", "--database-wait-ms", "8000"];
    let deployment = Deployment::start(Plan { arguments, ..Plan::of(Topology::combined()) }).await;
    let outside = lock_carts(&deployment).await;
    let asked = join_all((0..600).map(|_| timed(&deployment, "POST", "/api/v1/carts", Some(json!({}))))).await;
    assert!(asked.iter().all(|(answer, _)| is_clean_503(answer)));
    // Two hundred may wait; who comes after them would do so in vain.
    let at_once = asked.iter().filter(|(_, took)| *took < Duration::from_secs(6)).count();
    assert!(at_once >= 350, "only {at_once} were told at once");
    outside.batch_execute("ROLLBACK").await.unwrap();
    back_after(&deployment, "/api/v1/products?limit=1", Duration::from_secs(2)).await;
    deployment.send("POST", "/api/v1/carts", &[], Some(json!({}))).await.expect(201);
}
