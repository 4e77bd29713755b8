//! `eshopz verify` finds a planted error of each kind.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Server, address, run};

/// The check that must notice, and the statements that plant the error.
const PLANTS: [(&str, &str); 12] = [
    ("stock_ledger", "UPDATE products.stock_levels SET on_hand = on_hand + 1"),
    ("stock_ledger", "DELETE FROM products.stock_movements WHERE kind = 'sale'"),
    ("stock_reserved", "UPDATE products.stock_levels SET reserved = reserved + 1"),
    ("captured_sum", "UPDATE payments.payments SET captured_minor = captured_minor - 1, refunded_minor = 0"),
    ("refunded_sum", "UPDATE payments.payments SET refunded_minor = refunded_minor + 1 WHERE refunded_minor > 0"),
    ("order_total", "UPDATE orders.orders SET total_minor = total_minor + 1"),
    ("order_total", "UPDATE orders.order_lines SET line_total_minor = line_total_minor + 1"),
    ("order_events", "DELETE FROM orders.outbox WHERE name = 'order.placed.v1'"),
    ("payment_events", "DELETE FROM payments.outbox WHERE name = 'payment.succeeded.v1'"),
    // What was never taken up the running relay would mend; a delivery that got lost it cannot know of.
    ("outbox_deliveries", "UPDATE orders.outbox SET remaining = 1, published_at = NULL"),
    ("order_stock", "UPDATE products.reservations SET state = 'released' WHERE state = 'sold'"),
    ("order_payment", "UPDATE payments.payments SET amount_minor = amount_minor + 1"),
];

pub(super) async fn shop_with_history() -> Server {
    let shop = Server::start(&[]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    for (key, method) in [("paid", Some("pm_card_visa")), ("unpaid", None)] {
        let (cart, token) = shop.guest_cart(&[(&shirt, 2)]).await;
        let mut order = json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address()});
        if let Some(method) = method {
            order["payment_method"] = json!(method);
        }
        let headers = [("x-cart-token", token.as_str()), ("idempotency-key", key)];
        let order = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
        if method.is_some() {
            let path = format!("/api/v1/payments/{}/refunds", order["payment"]["id"].as_str().unwrap());
            let headers = [("authorization", admin.as_str()), ("idempotency-key", "refund")];
            let refund = json!({"amount": {"amount": 100, "currency": "USD"}});
            shop.send("POST", &path, &headers, Some(refund)).await.expect(201);
        }
    }
    // What is on its way would change what is planted.
    shop.is_told_all().await;
    shop
}

#[tokio::test]
async fn every_planted_error_is_found() {
    let shop = shop_with_history().await;
    assert_eq!(shop.verify(), Vec::<Value>::new());
    let mut missed = Vec::new();
    for (check, plant) in PLANTS {
        let mut owner = shop.db.owner().await;
        // The error is planted and taken back by hand: `verify` is another process and needs it committed.
        let tables: Vec<String> = snapshot(&mut owner).await;
        // Constraints are the first wall; here it is taken down to see the second one hold.
        drop_checks(&mut owner).await;
        let rows = owner.execute(plant, &[]).await.unwrap();
        assert!(rows > 0, "nothing planted by: {plant}");
        let found = shop.verify();
        if !found.iter().any(|finding| finding["check"] == check) {
            missed.push(format!("{check}: {plant}: {found:?}"));
        }
        restore(&mut owner, &tables).await;
        assert_eq!(shop.verify(), Vec::<Value>::new(), "after {plant}");
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

const KEPT: [&str; 8] = [
    "products.stock_levels",
    "products.stock_movements",
    "payments.payments",
    "orders.orders",
    "orders.order_lines",
    "orders.outbox",
    "payments.outbox",
    "products.reservations",
];

async fn snapshot(owner: &mut tokio_postgres::Client) -> Vec<String> {
    for table in KEPT {
        let copy = table.replace('.', "_");
        let sql = format!("DROP TABLE IF EXISTS public.kept_{copy}; CREATE TABLE public.kept_{copy} AS TABLE {table}");
        owner.batch_execute(&sql).await.unwrap();
    }
    KEPT.iter().map(|table| (*table).to_owned()).collect()
}

async fn restore(owner: &mut tokio_postgres::Client, tables: &[String]) {
    for table in tables {
        let copy = table.replace('.', "_");
        let columns = owner
            .query_one(
                "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute \
                 WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
                &[table],
            )
            .await
            .unwrap();
        let columns: String = columns.get(0);
        let sql = format!(
            "SET session_replication_role = replica; DELETE FROM {table}; \
             INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM public.kept_{copy}; \
             SET session_replication_role = DEFAULT"
        );
        owner.batch_execute(&sql).await.unwrap();
    }
}

pub(super) async fn drop_checks(owner: &mut tokio_postgres::Client) {
    let constraints = owner
        .query(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint \
             WHERE contype = 'c' AND conrelid::regclass::text = ANY($1)",
            &[&KEPT.to_vec()],
        )
        .await
        .unwrap();
    for row in constraints {
        let (table, name): (String, String) = (row.get(0), row.get(1));
        owner.batch_execute(&format!("ALTER TABLE {table} DROP CONSTRAINT \"{name}\"")).await.unwrap();
    }
}

#[tokio::test]
async fn an_order_that_costs_nothing_balances() {
    let shop = Server::start(&[]).await;
    let admin = shop.admin().await;
    let sample = shop.product(&admin, "Sample", 0, 10).await;
    let (cart, token) = shop.guest_cart(&[(&sample, 1)]).await;
    let order = json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address()});
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "free")];
    let order = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
    assert_eq!(order["status"], "paid");
    assert_eq!(shop.verify(), Vec::<Value>::new());

    let well = problems(&shop);
    assert!(well.len() > 20 && well.values().all(|count| *count == 0), "{well:?}");
    let owner = shop.db.owner().await;
    owner.execute("UPDATE products.stock_levels SET on_hand = on_hand + 1", &[]).await.unwrap();
    let mut expected = well;
    *expected.get_mut("module=\"product\",rule=\"stock_ledger\"").unwrap() = 1;
    assert_eq!(problems(&shop), expected);
}

/// What `--metrics` says, by labels.
fn problems(shop: &Server) -> BTreeMap<String, u64> {
    let output = run(&shop.db.url, &["verify", "--metrics"], "");
    let said = String::from_utf8(output.stdout).unwrap();
    let lines = said.lines().filter(|line| !line.starts_with('#'));
    let counts: BTreeMap<String, u64> = lines
        .map(|line| {
            let (labels, count) = line.strip_prefix("eshopz_verify_problems{").unwrap().split_once("} ").unwrap();
            (labels.to_owned(), count.parse().unwrap())
        })
        .collect();
    assert_eq!(output.status.success(), counts.values().all(|count| *count == 0));
    counts
}
