//! A new version comes while people buy: each process in turn is told to end and is started again.

use serde_json::Value;

use super::every_slot;
use crate::support::{Deployment, Load, Plan, Tally, Topology};

/// Checkouts between two restarts.
const BETWEEN: u64 = 10;

async fn assert_whole(deployment: &Deployment, tally: &Tally) {
    assert!(tally.failures.is_empty(), "{tally}\n{}", tally.failures.join("\n"));
    assert!(tally.orders.len() > 10, "hardly anybody bought: {tally}");
    tally.assert_orders(deployment).await;
    deployment.is_told_all().await;
    assert_eq!(deployment.verify(), Vec::<Value>::new());
}

/// While the only process of a module restarts, there is nobody to ask: that is said cleanly, and trying again
/// mends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_processes_restart_under_load() {
    let _slot = every_slot().await;
    let mut deployment = Deployment::start(Plan { redis: true, ..Plan::of(Topology::five()) }).await;
    let load = Load::start(&deployment, 4, 4).await;
    for index in 0..deployment.processes.len() {
        load.go_on(BETWEEN).await;
        restart(&mut deployment, index).await;
    }
    load.go_on(BETWEEN).await;
    let tally = load.stop().await;
    eprintln!("rolling restart of five processes: {tally}");
    assert_whole(&deployment, &tally).await;
}

/// Of equal processes one is left out by the ingress before it ends, as a cluster does: nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_restart_without_anybody_noticing() {
    let _slot = every_slot().await;
    let mut deployment = Deployment::start(Plan { redis: true, ..Plan::of(Topology::replicas(3)) }).await;
    let load = Load::start(&deployment, 4, 4).await;
    for index in 0..deployment.processes.len() {
        load.go_on(BETWEEN).await;
        deployment.route_without(Some(index)).await;
        restart(&mut deployment, index).await;
        deployment.route_without(None).await;
    }
    load.go_on(BETWEEN).await;
    let tally = load.stop().await;
    eprintln!("rolling restart of three replicas: {tally}");
    assert_whole(&deployment, &tally).await;
    assert_eq!(tally.unavailable, 0, "{tally}");
}

async fn restart(deployment: &mut Deployment, index: usize) {
    let process = &mut deployment.processes[index];
    assert_eq!(process.terminate().await, 0, "{}: {}", process.name, process.said());
    process.start();
    process.wait_until_ready().await;
}
