//! What is held on a buyer: handed over, and forgotten when the account is deleted.

use chrono::Utc;
use eshopz_cart_api::CartOwner;
use eshopz_user_api::{ExportRequested, UserDeleted};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::shop::{Shop, order_of, paid_order_of, path, text};

/// SHA-256 in hex.
fn hash(email: &str) -> Option<String> {
    Some(Sha256::digest(email).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[tokio::test]
async fn words_and_a_guests_orders_are_forgotten_too() {
    let shop = Shop::open().await;
    let (user, bearer) = shop.customer();
    let mug = shop.near.variant(1_000, 20);
    let me = vec![("authorization", bearer.as_str()), ("idempotency-key", "mine")];
    let cart = shop.near.cart(CartOwner::Customer(user), &[(mug, 2)]);
    let order = shop.place("k", &vec![("authorization", &bearer)], paid_order_of(cart)).await.json();
    let admin = shop.app.identity.admin();
    let staff = vec![("authorization", admin.as_str()), ("idempotency-key", "staff")];
    let part = json!({"items": [{"variant_id": mug, "quantity": 1}], "reason": "Ada is ill"});
    assert_eq!(shop.post(&path(&order, "/cancel"), &staff, part).await.status, 200);
    assert_eq!(shop.post(&path(&order, "/cancel"), &me, json!({"reason": "Ada moved"})).await.status, 200);
    let place = async |key: &str, email: &str| {
        let mut body = order_of(shop.guest_cart(&[(mug, 1)]));
        body["email"] = json!(email);
        shop.place_as_guest(key, body).await.json()
    };
    let (same, others) = (place("g1", "ADA@BÜCHER.example").await, place("g2", "adam@example.com").await);
    // As an account's is kept.
    assert_eq!(text(&same, "email"), "ADA@xn--bcher-kva.example");
    // And found as it was typed.
    let found = shop.get("/api/v1/orders?email=ada%40b%C3%BCcher.example", &staff).await.json();
    assert_eq!((found["items"].as_array().unwrap().len(), &found["items"][0]["id"]), (1, &same["id"]));

    let unproven = UserDeleted { user_id: eshopz_kernel::UserId::new(), email_hash: None, at: Utc::now() };
    shop.deliver(&unproven).await;
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE email LIKE 'deleted%'").await, 0);
    shop.deliver(&UserDeleted { user_id: user, email_hash: hash("ada@xn--bcher-kva.example"), at: Utc::now() }).await;
    let seen = shop.get(&path(&order, ""), &staff).await.json();
    assert_eq!((text(&seen, "email"), &seen["cancel_reason"]), ("deleted@customer.invalid", &Value::Null));
    assert_eq!((&seen["totals"], &seen["status"]), (&order["totals"], &json!("cancelled")));
    // Once more, as it comes some minutes later: what was placed meanwhile is forgotten, the others stay as they are.
    let late = shop.near.cart(CartOwner::Customer(user), &[(mug, 1)]);
    let late = shop.place("late", &vec![("authorization", &bearer)], order_of(late)).await.json();
    shop.deliver(&UserDeleted { user_id: user, email_hash: None, at: Utc::now() }).await;
    assert_eq!(text(&shop.get(&path(&late, ""), &staff).await.json(), "email"), "deleted@customer.invalid");
    assert_eq!(shop.get(&path(&order, ""), &staff).await.json()["updated_at"], seen["updated_at"]);
    let timeline = shop.get(&path(&order, "/timeline"), &staff).await;
    assert!(!timeline.text.contains("Ada"), "{}", timeline.text);
    assert_eq!(text(&shop.get(&path(&same, ""), &staff).await.json(), "email"), "deleted@customer.invalid");
    assert_eq!(text(&shop.get(&path(&others, ""), &staff).await.json(), "email"), "adam@example.com");
    let kept = "SELECT count(*) FROM orders.idempotency_keys";
    assert_eq!(shop.count(kept).await, 1, "neither theirs, nor what staff was told of theirs");
    for table in ["order_reversals", "order_refunds", "order_timeline"] {
        let words = format!("SELECT count(*) FROM orders.{table} t WHERE t::text LIKE '%Ada%'");
        assert_eq!(shop.count(&words).await, 0, "{table}");
    }
}

/// What opens a guest's order is nowhere to be read, not in the answers that are kept for repetitions either.
#[tokio::test]
async fn a_guests_token_is_kept_as_a_hash_only() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 20);
    let mut tokens = Vec::new();
    for (key, method, status) in [("paid", "pm_card_visa", 201), ("declined", "pm_card_chargeDeclined", 402)] {
        let mut body = order_of(shop.guest_cart(&[(mug, 1)]));
        body["payment_method"] = json!(method);
        let first = shop.place_as_guest(key, body.clone()).await;
        let again = shop.place_as_guest(key, body).await;
        assert_eq!((first.status, again.status), (status, status), "{}", first.text);
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(first.json(), again.json());
        let answer = first.json();
        let order = if status == 201 { &answer } else { &answer["order"] };
        let token = text(order, "token").to_owned();
        let seen = shop.get(&path(order, ""), &vec![("x-order-token", &token)]).await;
        assert_eq!(seen.status, 200, "{}", seen.text);
        tokens.push(token);
    }
    assert_ne!(tokens[0], tokens[1]);
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'orders'";
    assert!(shop.count(tables).await > 5);
    for token in tokens {
        let everywhere = format!(
            "SELECT count(*) FROM pg_tables t WHERE schemaname = 'orders' AND \
                query_to_xml(format('SELECT * FROM orders.%I', tablename), true, true, '')::text LIKE '%{token}%'"
        );
        assert_eq!(shop.count(&everywhere).await, 0, "{token}");
    }
}

#[tokio::test]
async fn why_the_shop_itself_cancelled_is_no_persons_word() {
    let shop = Shop::open().await;
    let (user, bearer) = shop.customer();
    let cart = shop.near.cart(CartOwner::Customer(user), &[(shop.near.variant(1_000, 5), 1)]);
    let order = shop.place("k", &vec![("authorization", &bearer)], order_of(cart)).await.json();
    shop.sql("UPDATE orders.orders SET placed_at = placed_at - interval '1 hour'").await;
    shop.work_until_none("SELECT 1 FROM orders.orders WHERE status <> 'cancelled'").await;
    shop.deliver(&UserDeleted { user_id: user, email_hash: None, at: Utc::now() }).await;
    let admin = shop.app.identity.admin();
    let seen = shop.get(&path(&order, ""), &vec![("authorization", &admin)]).await.json();
    assert_eq!((text(&seen, "email"), text(&seen, "cancel_reason")), ("deleted@customer.invalid", "expired"));
}

#[tokio::test]
async fn a_buyers_orders_are_handed_over_in_parts() {
    let shop = Shop::open().await;
    let (user, bearer) = shop.customer();
    let cart = shop.near.cart(CartOwner::Customer(user), &[(shop.near.variant(1_000, 5), 2)]);
    let order = shop.place("k", &vec![("authorization", &bearer)], paid_order_of(cart)).await.json();
    shop.place_as_guest("g", order_of(shop.guest_cart(&[(shop.near.variant(1_000, 5), 1)]))).await;
    // A few more of the kind.
    shop.sql(
        "INSERT INTO orders.orders SELECT (jsonb_populate_record(o, jsonb_build_object('id', gen_random_uuid(), \
            'number', 'EZ-' || n, 'cart_id', gen_random_uuid(), 'payment_id', gen_random_uuid()))).* \
         FROM orders.orders o, generate_series(1, 100) n WHERE o.customer_id IS NOT NULL",
    )
    .await;
    let request = ExportRequested {
        export_id: Uuid::now_v7(),
        user_id: user,
        email_hash: hash("guest@example.com"),
        at: Utc::now(),
    };
    shop.deliver(&request).await;
    let parts = std::mem::take(&mut shop.near.world().exported);
    let told: Vec<_> = parts.iter().map(|part| (part.module.as_str(), part.number, part.is_last)).collect();
    assert_eq!(told, [("order", 0, false), ("order", 1, true)]);
    let orders: Vec<&Value> = parts.iter().flat_map(|part| part.document["orders"].as_array().unwrap()).collect();
    assert_eq!(orders.len(), 102, "his own, and what he bought as a guest");
    let mine = orders.iter().find(|one| one["id"] == order["id"]).unwrap();
    assert_eq!((&mine["email"], &mine["items"][0]["quantity"]), (&json!("ada@example.com"), &json!(2)));
    assert_eq!(mine["shipping_address"]["name"], "Ada Lovelace");
    assert!(mine["timeline"].as_array().unwrap().iter().any(|entry| entry["event"] == "paid"), "{mine}");
    assert!(orders.iter().any(|one| one["email"] == "guest@example.com"));
    assert!(!parts.iter().any(|part| part.document.to_string().contains("token_hash")));
}
