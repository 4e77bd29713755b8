//! `eshopz payments reconcile`: the gateway's books beside ours, by hand.

use serde_json::{Value, json};

use crate::support::{Server, address, run, text};

async fn paid_order(shop: &Server) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 1)]).await;
    let order = json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address(),
        "payment_method": "pm_card_visa"});
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "one")];
    shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
}

#[tokio::test]
async fn it_settles_what_is_open_and_names_what_differs() {
    let shop = Server::start(&[]).await;
    paid_order(&shop).await;
    let url = &shop.db.url;
    let clean = run(url, &["payments", "reconcile"], "");
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean));
    let told = String::from_utf8(clean.stdout).unwrap();
    assert!(told.contains("1 charges of the gateway's compared, 0 differ"), "{told}");
    assert!(!String::from_utf8(clean.stderr).unwrap().contains("charges"), "no progress in a pipe");

    let owner = shop.db.owner().await;
    owner.batch_execute("UPDATE payments.sandbox_charges SET refunded_minor = 100").await.unwrap();
    let differs = run(url, &["payments", "reconcile", "--since", "1h"], "");
    assert_eq!(differs.status.code(), Some(1), "{}", text(&differs));
    assert!(text(&differs).contains("there it is Succeeded, captured 4900, refunded 100"), "{}", text(&differs));
    let report = run(url, &["payments", "reconcile", "--json"], "");
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["findings"][0]["check"], "gateway_charges");

    // An attempt whose process died before the gateway heard of it.
    owner
        .batch_execute(
            "UPDATE payments.sandbox_charges SET refunded_minor = 0; \
             INSERT INTO payments.payments (id, order_id, currency, amount_minor, status, gateway, attempt_id, attempts, \
                processing_since) SELECT id, id, 'USD', 100, 'processing', 'sandbox', id, 1, now() - interval '1 hour' \
                FROM (SELECT gen_random_uuid() AS id) AS new; \
             INSERT INTO payments.transactions (id, payment_id, kind, status, amount_minor, currency, tried_at) \
                SELECT id, id, 'charge', 'pending', 100, 'USD', now() - interval '1 hour' FROM payments.payments \
                WHERE status = 'processing'",
        )
        .await
        .unwrap();
    assert_eq!(run(url, &["payments", "reconcile"], "").status.code(), Some(0));
    let open = owner.query_one("SELECT count(*) FROM payments.transactions WHERE status = 'pending'", &[]).await;
    assert_eq!(open.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn it_waits_for_no_due_time_and_says_what_stays_open() {
    let shop = Server::start(&[]).await;
    paid_order(&shop).await;
    let url = &shop.db.url;
    let owner = shop.db.owner().await;
    // The gateway was silent a moment ago, and again and again an hour ago.
    let attempt = |id: &str, tried: &str| {
        format!(
            "INSERT INTO payments.payments (id, order_id, currency, amount_minor, status, gateway, attempt_id, attempts, \
                processing_since) VALUES ({id}, {id}, 'USD', 100, 'processing', 'sandbox', {id}, 1, now()); \
             INSERT INTO payments.transactions (id, payment_id, kind, status, amount_minor, currency, tries, tried_at, \
                due_at) VALUES ({id}, {id}, 'charge', 'pending', 100, 'USD', 12, {tried}, now() + interval '1 hour')"
        )
    };
    let (first, second) = ("md5('1')::uuid", "md5('2')::uuid");
    let both = [attempt(first, "now()"), attempt(second, "now() - interval '1 minute'")].join(";");
    owner.batch_execute(&both).await.unwrap();
    let settled = run(url, &["payments", "reconcile"], "");
    assert_eq!(settled.status.code(), Some(0), "{}", text(&settled));
    assert!(text(&settled).contains("2 open at the gateway, 0 stay open"), "{}", text(&settled));
    let open = owner.query_one("SELECT count(*) FROM payments.payments WHERE status = 'processing'", &[]).await;
    assert_eq!(open.unwrap().get::<_, i64>(0), 0);

    // The bank does not take the money back.
    owner
        .batch_execute(
            "UPDATE payments.sandbox_charges SET payment_method = 'pm_card_refundFail'; \
             UPDATE payments.payments SET undo_requested_at = now() WHERE status = 'succeeded'",
        )
        .await
        .unwrap();
    let stays = run(url, &["payments", "reconcile"], "");
    assert_eq!(stays.status.code(), Some(1), "{}", text(&stays));
    assert!(text(&stays).contains("undoing of payment"), "{}", text(&stays));
}

#[test]
fn a_wrong_time_is_a_wrong_call() {
    for since in ["yesterday", "0h", "-1d", "24"] {
        let output = run("", &["payments", "reconcile", "--since", since], "");
        assert_eq!(output.status.code(), Some(2), "{since}: {}", text(&output));
    }
}
