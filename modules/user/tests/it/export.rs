//! Handing out what is held on a person: gathered by events, waited for, and kept for no longer than needed.

use std::time::Duration;

use eshopz_user::{Limit, UserSettings};
use eshopz_user_api::ExportPart;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::shop::{Shop, settings};

const PATH: &str = "/users/me/export";

fn waiting(patience: Duration) -> UserSettings {
    UserSettings { export_from: vec!["cart", "order"], export_patience: patience, ..settings() }
}

fn part(export_id: Uuid, module: &str, number: u32, is_last: bool) -> ExportPart {
    let document = json!({"things": [format!("{module} {number}")]});
    ExportPart { export_id, module: module.to_owned(), number, is_last, document }
}

/// The export that was asked for last.
async fn asked(shop: &Shop) -> Uuid {
    let owner = shop.base.owner().await;
    let query =
        "SELECT payload ->> 'export_id' FROM users.outbox WHERE name = 'user.export_requested.v1' ORDER BY id DESC";
    loop {
        if let Some(row) = owner.query(query, &[]).await.unwrap().first() {
            return row.get::<_, String>(0).parse().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn it_waits_for_every_part_of_every_module() {
    let shop = Shop::open_with(waiting(Duration::from_secs(30))).await;
    let token = shop.customer("ann@example.com").await;
    let home = json!({"name": "Ann", "line1": "1 Harbour Street", "city": "Portland", "postal_code": "97201", "country": "US"});
    assert_eq!(shop.call("POST", "/users/me/addresses", &token, home).await.status, 201);
    let api = shop.module.api();
    let deliver = async {
        let id = asked(&shop).await;
        let parts = [("order", 1, true), ("cart", 0, true), ("payment", 0, false), ("order", 0, false)];
        for (module, number, is_last) in parts {
            assert!(shop.number("SELECT count(*) FROM users.exports").await == 1);
            api.deliver_export(part(id, module, number, is_last)).await.unwrap();
        }
        api.deliver_export(part(Uuid::now_v7(), "order", 0, true)).await.unwrap();
    };
    let (answer, ()) = tokio::join!(shop.call("GET", PATH, &token, Value::Null), deliver);
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"personal-data.json\"");
    assert_eq!(answer.header("cache-control"), "no-store");
    let all = answer.json();
    assert_eq!(all["order"], json!({"things": ["order 0", "order 1"]}));
    assert_eq!(all["cart"], json!({"things": ["cart 0"]}));
    assert_eq!(all["user"]["profile"]["email"], "ann@example.com");
    assert_eq!(
        (&all["user"]["addresses"][0]["city"], &all["user"]["sessions"][0]["current"]),
        (&json!("Portland"), &json!(true))
    );
    let noted: Vec<&str> =
        all["user"]["audit_log"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(noted, ["user.export_requested", "auth.signed_in"]);
    assert_eq!(shop.number("SELECT count(*) FROM users.exports").await, 0);
    assert_eq!(shop.number("SELECT count(*) FROM users.export_parts").await, 0);
}

#[tokio::test]
async fn what_has_come_is_kept_for_the_next_request() {
    let shop = Shop::open_with(waiting(Duration::from_millis(50))).await;
    let token = shop.customer("ann@example.com").await;
    let api = shop.module.api();
    let late = shop.call("GET", PATH, &token, Value::Null).await;
    assert_eq!((late.status, late.code().as_str(), late.header("retry-after").as_str()), (503, "unavailable", "5"));
    let id = asked(&shop).await;
    api.deliver_export(part(id, "order", 0, true)).await.unwrap();
    assert_eq!(shop.call("GET", PATH, &token, Value::Null).await.status, 503);
    assert_eq!(asked(&shop).await, id, "asked once");
    api.deliver_export(part(id, "cart", 0, true)).await.unwrap();
    let answer = shop.call("GET", PATH, &token, Value::Null).await;
    assert_eq!((answer.status, &answer.json()["order"]["things"]), (200, &json!(["order 0"])), "{}", answer.text);
    assert_eq!(shop.call("GET", PATH, &token, Value::Null).await.status, 503);
    assert_ne!(asked(&shop).await, id, "it is gathered anew");
}

#[tokio::test]
async fn parts_go_with_the_account_and_with_time() {
    let shop = Shop::open_with(waiting(Duration::from_millis(10))).await;
    let (ann, bob) = (shop.customer("ann@example.com").await, shop.customer("bob@example.com").await);
    let api = shop.module.api();
    for token in [&ann, &bob] {
        assert_eq!(shop.call("GET", PATH, token, Value::Null).await.status, 503);
        api.deliver_export(part(asked(&shop).await, "order", 0, true)).await.unwrap();
    }
    assert_eq!(shop.number("SELECT count(*) FROM users.export_parts").await, 2);
    assert_eq!(shop.call("DELETE", "/users/me", &ann, Value::Null).await.status, 204);
    assert_eq!(shop.number("SELECT count(*) FROM users.export_parts").await, 1);
    shop.sql("UPDATE users.exports SET requested_at = now() - interval '61 minutes'").await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let jobs: Vec<_> = shop
        .module
        .jobs()
        .into_iter()
        .map(|job| tokio::spawn(job.run(shop.base.db("users"), stopped.clone())))
        .collect();
    while shop.number("SELECT count(*) FROM users.export_parts").await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send(true).unwrap();
    for job in jobs {
        job.await.unwrap();
    }
}

#[tokio::test]
async fn the_others_are_told_of_a_deleted_account_once_more() {
    let shop = Shop::open().await;
    for email in ["ann@example.com", "bob@example.com"] {
        let token = shop.customer(email).await;
        assert_eq!(shop.call("DELETE", "/users/me", &token, Value::Null).await.status, 204);
    }
    // How often each was told of, whoever was deleted first being the first.
    let told = async || {
        let told = "SELECT count(*) FROM users.outbox WHERE name = 'user.deleted.v1' AND payload ->> 'user_id' = \
            (SELECT id::text FROM users.users WHERE deleted_at IS NOT NULL ORDER BY created_at LIMIT 1 OFFSET ";
        (shop.number(&format!("{told}0)")).await, shop.number(&format!("{told}1)")).await)
    };
    assert_eq!(told().await, (1, 1));
    // Not while what was under way may be.
    for (order, expected) in [("created_at", (2, 1)), ("created_at DESC", (2, 2))] {
        shop.sql(&format!(
            "DELETE FROM users.leases; UPDATE users.users SET deleted_at = deleted_at - interval '6 minutes' \
             WHERE id = (SELECT id FROM users.users WHERE deleted_at IS NOT NULL ORDER BY {order} LIMIT 1)"
        ))
        .await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let job = shop.module.jobs().into_iter().find(|job| job.name() == "repeat_erasures").unwrap();
        let job = tokio::spawn(job.run(shop.base.db("users"), stopped));
        let began = std::time::Instant::now();
        while told().await.0 + told().await.1 < expected.0 + expected.1 {
            assert!(began.elapsed() < Duration::from_secs(10), "nobody is told");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.send(true).unwrap();
        job.await.unwrap();
        assert_eq!(told().await, expected);
    }
}

#[tokio::test]
async fn nobody_asks_for_it_all_the_time() {
    let limited = UserSettings { exports_per_account: Limit::new(2, Duration::from_secs(3_600)), ..settings() };
    let shop = Shop::open_with(limited).await;
    let token = shop.customer("ann@example.com").await;
    for status in [200, 200, 429] {
        assert_eq!(shop.call("GET", PATH, &token, Value::Null).await.status, status);
    }
    assert_eq!(shop.call("GET", PATH, "", Value::Null).await.status, 401);
}
