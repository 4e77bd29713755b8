//! A deleted account leaves nothing of the person in any table of any module, and the books as they were.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::life::{EMAIL, PLANTED, Traces, lived};
use crate::support::{Deployment, Plan, Server, Shop, Topology};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_person_is_left_in_one_process() {
    let shop = Server::start(&[]).await;
    is_forgotten(&shop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_person_is_left_in_five_processes() {
    let deployment = Deployment::start(Plan::of(Topology::five())).await;
    is_forgotten(&deployment).await;
}

async fn is_forgotten(shop: &Shop) {
    let other = shop.register(&shop.email("ada")).await;
    let traces = lived(shop).await;
    shop.is_told_all().await;
    let before = found(shop).await;
    for planted in PLANTED {
        // What is in no table cannot be missing from it later. A webhook was applied before.
        let kept = before.iter().any(|line| line.starts_with(&format!("{planted} ")));
        assert!(kept || planted == "PlantedBilling6cb7", "{planted} was planted nowhere: {before:#?}");
    }
    let books = books(shop, &traces).await;

    let me = [("authorization", traces.authorization.as_str())];
    assert_eq!(shop.send("DELETE", "/api/v1/users/me", &me, None).await.status, 204);
    let since = Instant::now();
    loop {
        let left = found(shop).await;
        if left.is_empty() {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(45), "still there: {left:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shop.is_told_all().await;
    assert_eq!(found(shop).await, Vec::<String>::new());
    assert_eq!(self::books(shop, &traces).await, books, "sums, states and movements stand");
    assert_eq!(shop.verify(), Vec::<Value>::new());
    assert_eq!(shop.get("/api/v1/users/me", &[("authorization", &other)]).await["full_name"], "Ada Lovelace");
    shop.register(EMAIL).await;
}

/// Where a planted text is: every row of every table as text, whatever its columns. Bytes are written in hex.
async fn found(shop: &Shop) -> Vec<String> {
    let owner = shop.db.owner().await;
    let tables = owner
        .query(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
             WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
            &[],
        )
        .await
        .unwrap();
    let mut found = Vec::new();
    for table in tables {
        let table: String = table.get(0);
        for row in owner.query(&format!("SELECT t::text FROM {table} t"), &[]).await.unwrap() {
            let row: String = row.get(0);
            let small = row.to_lowercase();
            for planted in PLANTED {
                let text = planted.to_lowercase();
                let hex: String = planted.bytes().map(|byte| format!("{byte:02x}")).collect();
                if small.contains(&text) || small.contains(&hex) {
                    found.push(format!("{planted} in {table}: {row}"));
                }
            }
        }
    }
    found
}

/// What must stand whatever becomes of the person.
async fn books(shop: &Shop, traces: &Traces) -> Value {
    let staff = [("authorization", traces.admin.as_str())];
    let mut books = Vec::new();
    for order in &traces.orders {
        let order = shop.get(&format!("/api/v1/orders/{order}"), &staff).await;
        assert_eq!(order["shipping_address"]["country"], "GB");
        let refunds: Vec<&Value> =
            order["refunds"].as_array().unwrap().iter().map(|refund| &refund["amount"]).collect();
        books.push(json!([
            order["number"],
            order["status"],
            order["totals"],
            order["items"],
            order["payment"],
            refunds
        ]));
    }
    let payment = shop.get(&format!("/api/v1/payments/{}", traces.payment), &staff).await;
    books.push(json!([payment["status"], payment["captured_amount"], payment["refunded_amount"]]));
    let path = format!("/api/v1/payments/{}/transactions?limit=100", traces.payment);
    let moved = shop.get(&path, &staff).await;
    let moved = moved["items"].as_array().unwrap().iter();
    books.extend(moved.map(|row| json!([row["kind"], row["status"], row["amount"], row["gateway_reference"]])));
    json!(books)
}
