//! A module's process hangs: a request waits for it once, and not anew with each of its calls.

use std::time::{Duration, Instant};

use eshopz::modules::Module;
use serde_json::{Value, json};

use super::is_clean_503;
use crate::support::{Deployment, Plan, Topology, id};
use crate::topologies::slot;

/// The patience of a call that changes something, and a little.
const BOUND: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_payment_module_delays_a_cancellation_once() {
    let _slot = slot().await;
    let mut deployment = Deployment::start(Plan::of(Topology::five())).await;
    let admin = deployment.admin().await;
    let shirt = deployment.product(&admin, "Linen Shirt", 4_900, 5).await;
    let placed = deployment.guest_order(&shirt, 2, Some("pm_card_visa")).await;
    let of_order = [("x-order-token", placed["token"].as_str().unwrap())];
    let path = format!("/api/v1/orders/{}", id(&placed));

    deployment.process(Module::Payment).signal("STOP");
    let asked = Instant::now();
    let answer = deployment.send("POST", &format!("{path}/cancel"), &of_order, Some(json!({}))).await;
    let took = asked.elapsed();
    deployment.process(Module::Payment).signal("CONT");
    assert!(answer.status == 200 || is_clean_503(&answer), "{} {}", answer.status, answer.text);
    assert!(took < BOUND, "{took:?} for {} {}", answer.status, answer.text);

    // It was cancelled all the same, and what it owes follows.
    let money_back = |order: &Value| order["payment"]["refunded_amount"]["amount"] == 9_800;
    let read = deployment.until(&path, &of_order, money_back).await;
    assert_eq!(read["status"], "cancelled");
    deployment.until(&format!("/api/v1/variants/{shirt}"), &[], |variant| variant["available"] == 5).await;
    deployment.is_told_all().await;
    assert_eq!(deployment.verify(), Vec::<Value>::new());
}
