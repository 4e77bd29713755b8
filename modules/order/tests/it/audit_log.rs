//! What admins do to orders leaves an entry each in the audit log; what buyers do to their own is in the timeline.

use eshopz_kernel::UserId;
use serde_json::{Value, json};

use crate::cancel_lines::{cancel, items, paid};
use crate::shop::{Shop, path, text};

/// As the same admin all the time.
async fn as_admin(shop: &Shop, admin: &str, path: &str, key: &str, body: Value, status: u16) -> Value {
    let headers = vec![("authorization", admin), ("idempotency-key", key), ("x-request-id", key)];
    let answer = shop.post(path, &headers, body).await;
    assert_eq!(answer.status, status, "{path}: {}", answer.text);
    answer.json()
}

async fn lines(shop: &Shop, admin: &str) -> Vec<String> {
    let all = shop.app.audit_log("/api/v1/orders/audit-log?limit=100", admin).await.unwrap();
    for entry in &all {
        assert_eq!((&entry["actor_role"], &entry["address"]), (&json!("admin"), &json!("127.0.0.1")), "{entry}");
        assert_eq!((&entry["subject_type"], &entry["actor"]), (&json!("order"), &all[0]["actor"]), "{entry}");
    }
    all.iter()
        .map(|entry| format!("{} {} {}", text(entry, "action"), text(entry, "subject_id"), text(entry, "request_id")))
        .collect()
}

#[tokio::test]
async fn an_admins_changes_are_noted_once() {
    let shop = Shop::open().await;
    let admin = shop.app.identity.admin();
    let (order, mug, _) = paid(&shop).await;
    let id = text(&order, "id");
    as_admin(&shop, &admin, &path(&order, "/cancel"), "a", items(&[(mug, 1)]), 200).await;
    as_admin(&shop, &admin, &path(&order, "/cancel"), "a", items(&[(mug, 1)]), 200).await;
    as_admin(&shop, &admin, &path(&order, "/transitions"), "b", json!({"to": "shipped"}), 200).await;
    as_admin(&shop, &admin, &path(&order, "/transitions"), "c", json!({"to": "shipped"}), 200).await;
    as_admin(&shop, &admin, &path(&order, "/cancel"), "d", json!({}), 409).await;
    as_admin(&shop, &admin, &path(&order, "/transitions"), "e", json!({"to": "delivered"}), 200).await;
    let asked = |quantity| json!({"items": [{"variant_id": mug, "quantity": quantity}], "reason": "chipped"});
    for (key, verb, body) in [("f", "accept", json!({})), ("g", "reject", json!({"reason": "worn"}))] {
        let who = vec![("x-order-token", text(&order, "token")), ("idempotency-key", key)];
        let made = shop.post(&path(&order, "/returns"), &who, asked(1)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let decided = format!("{}/{verb}", made.header("location"));
        for _ in 0..2 {
            as_admin(&shop, &admin, &decided, key, body.clone(), 200).await;
        }
    }
    let expected = [
        ("lines_cancelled", "a"),
        ("transitioned", "b"),
        ("transitioned", "e"),
        ("return_accepted", "f"),
        ("return_rejected", "g"),
    ];
    assert_eq!(lines(&shop, &admin).await, expected.map(|(action, key)| format!("order.{action} {id} {key}")));

    let (order, ..) = paid(&shop).await;
    for _ in 0..2 {
        as_admin(&shop, &admin, &path(&order, "/cancel"), "h", json!({"reason": "fraud"}), 200).await;
    }
    assert_eq!(lines(&shop, &admin).await.last().unwrap(), &format!("order.cancelled {} h", text(&order, "id")));
}

#[tokio::test]
async fn a_buyers_changes_are_not_in_it_and_others_do_not_read_it() {
    let shop = Shop::open().await;
    let (order, mug, _) = paid(&shop).await;
    assert_eq!(cancel(&shop, &order, &[], items(&[(mug, 1)])).await.status, 200);
    assert_eq!(cancel(&shop, &order, &[], json!({})).await.status, 200);
    assert_eq!(lines(&shop, &shop.app.identity.admin()).await.len(), 0);
    let customer = shop.app.identity.customer(UserId::new());
    let answer = shop.get("/api/v1/orders/audit-log", &vec![("authorization", &customer)]).await;
    assert_eq!(answer.status, 403);
    assert_eq!(shop.get("/api/v1/orders/audit-log", &Vec::new()).await.status, 401);
}
