//! What the shop holds on a person, handed out to him, whichever way the modules run and events travel.

use serde_json::{Value, json};

use super::life::{EMAIL, PLANTED, lived};
use crate::support::{Deployment, Events, Plan, Server, Shop, Topology, is_problem};

const PATH: &str = "/api/v1/users/me/export";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_is_handed_out_by_one_process() {
    let shop = Server::start(&[]).await;
    is_handed_out(&shop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_is_handed_out_by_five_processes() {
    let deployment = Deployment::start(Plan::of(Topology::five())).await;
    is_handed_out(&deployment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_is_handed_out_by_queues() {
    let deployment = Deployment::start(Plan { events: Events::Sns, ..Plan::of(Topology::five()) }).await;
    is_handed_out(&deployment).await;
}

/// A module that is away is waited for, and the next request goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_comes_with_the_next_request() {
    let mut deployment = Deployment::start(Plan::of(Topology::five())).await;
    let ada = deployment.register(&deployment.email("ada")).await;
    let me = [("authorization", ada.as_str())];
    deployment.process(eshopz::modules::Module::Order).kill();
    let waited = deployment.send("GET", PATH, &me, None).await;
    is_problem(&waited, &[503], "unavailable");
    assert!(waited.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{waited:?}");
    let order = deployment.process(eshopz::modules::Module::Order);
    assert!(order.has_ended());
    order.start();
    order.wait_until_ready().await;
    let handed = deployment.until(PATH, &me, |_| true).await;
    assert_eq!((&handed["order"], &handed["cart"]), (&json!({"orders": []}), &json!({"carts": []})));
}

async fn is_handed_out(shop: &Shop) {
    let traces = lived(shop).await;
    let stranger = shop.register(&shop.email("bob")).await;
    shop.is_told_all().await;
    let me = [("authorization", traces.authorization.as_str())];
    let answer = shop.send("GET", PATH, &me, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.header("content-disposition").starts_with("attachment"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    for planted in PLANTED {
        // Idempotency keys and what a gateway told once are no longer of use to anybody.
        let is_used_up = planted.starts_with("planted-key") || planted == "PlantedBilling6cb7";
        assert!(answer.text.contains(planted) || is_used_up, "{planted} is not handed out: {}", answer.text);
    }
    for secret in ["password_hash", "token_hash", "$argon2"] {
        assert!(!answer.text.contains(secret), "{secret}");
    }
    let all = answer.body;
    assert_eq!(all["user"]["profile"]["email"], EMAIL);
    assert_eq!(all["user"]["addresses"][0]["name"], "PlantedLabel66e1");
    assert_eq!(all["user"]["sessions"][0]["user_agent"], "planted-agent-5d20");
    let mut orders: Vec<&str> =
        all["order"]["orders"].as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap()).collect();
    let mut expected: Vec<&str> = traces.orders.iter().map(String::as_str).collect();
    orders.sort_unstable();
    expected.sort_unstable();
    assert_eq!(orders, expected, "the guest's order is his as well");
    assert!(all["order"]["orders"][0]["timeline"].as_array().is_some_and(|timeline| timeline.len() > 1));
    assert_eq!(all["payment"]["payments"].as_array().unwrap().len(), 3);
    let moved = |payment: &Value| payment["transactions"].as_array().is_some_and(|rows| !rows.is_empty());
    assert!(all["payment"]["payments"].as_array().unwrap().iter().all(moved));
    assert!(all["cart"]["carts"].as_array().unwrap().iter().any(|cart| cart["items"][0]["quantity"] == 3));

    // Nothing of it is kept, and each sees his own.
    shop.until_none("SELECT 1 FROM users.export_parts WHERE $1 = ''", "").await;
    let theirs = shop.send("GET", PATH, &[("authorization", &stranger)], None).await;
    assert_eq!(theirs.status, 200, "{}", theirs.text);
    assert!(PLANTED.iter().all(|planted| !theirs.text.contains(planted)), "{}", theirs.text);
    assert_eq!(theirs.body["order"], json!({"orders": []}));
    is_problem(&shop.send("GET", PATH, &[], None).await, &[401], "unauthenticated");
    let twins = futures::future::join_all((0..4).map(|_| shop.send("GET", PATH, &me, None))).await;
    assert!(twins.iter().all(|twin| twin.status == 200 && twin.body["order"] == all["order"]), "{twins:?}");
}
