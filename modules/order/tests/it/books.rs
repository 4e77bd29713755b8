//! `verify` finds what somebody has bent.

use crate::shop::{Shop, order_of, paid_order_of};

#[tokio::test]
async fn each_planted_error_is_found() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 50);
    for number in 0..4 {
        let cart = shop.guest_cart(&[(mug, 1)]);
        let body = if number == 0 { order_of(cart) } else { paid_order_of(cart) };
        shop.place_as_guest(&format!("k{number}"), body).await;
    }
    shop.sql(
        "INSERT INTO orders.order_reversals (id, order_id, kind, status, restock, worth_minor, refund_minor, \
            requested_at, updated_at, done_at) \
         SELECT id, id, 'return', 'accepted', true, 0, 0, now(), now(), now() FROM orders.orders \
         WHERE number = 'EZ-100001'",
    )
    .await;
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
    for (planted, check, mended) in [
        (
            "UPDATE orders.orders SET subtotal_minor = 1001, total_minor = 1001 WHERE number = 'EZ-100001'",
            "order_total",
            "UPDATE orders.orders SET subtotal_minor = 1000, total_minor = 1000",
        ),
        (
            "ALTER TABLE orders.order_lines DROP CONSTRAINT order_lines_total; UPDATE orders.order_lines SET \
             unit_price_minor = 999 WHERE order_id = (SELECT id FROM orders.orders WHERE number = 'EZ-100001')",
            "order_line_total",
            "UPDATE orders.order_lines SET unit_price_minor = 1000",
        ),
        (
            "UPDATE orders.orders SET status = 'paid' WHERE number = 'EZ-100001'",
            "order_timeline",
            "UPDATE orders.orders SET status = 'pending_payment' WHERE number = 'EZ-100001'",
        ),
        (
            "UPDATE orders.outbox SET name = 'x.v1' WHERE name = 'order.placed.v1' AND payload ->> 'number' = 'EZ-100001'",
            "order_events",
            "UPDATE orders.outbox SET name = 'order.placed.v1' WHERE name = 'x.v1'",
        ),
        (
            "UPDATE orders.order_lines SET cancelled_quantity = 1 \
             WHERE order_id = (SELECT id FROM orders.orders WHERE number = 'EZ-100001')",
            "order_lines_taken_back",
            "UPDATE orders.order_lines SET cancelled_quantity = 0",
        ),
        (
            "UPDATE orders.orders SET reversed_minor = 1 WHERE number = 'EZ-100001'",
            "order_reversed",
            "UPDATE orders.orders SET reversed_minor = 0",
        ),
        (
            "INSERT INTO orders.order_refunds SELECT id, order_id, 5, NULL, 'succeeded', now(), now() \
             FROM orders.order_reversals",
            "order_refunds",
            "DELETE FROM orders.order_refunds",
        ),
        (
            "UPDATE orders.order_reversals SET done_at = NULL, updated_at = now() - interval '2 minutes'",
            "order_taken_back",
            "UPDATE orders.order_reversals SET done_at = now()",
        ),
    ] {
        shop.sql(planted).await;
        let found = shop.module.verify().await.unwrap().findings;
        assert_eq!(found.iter().map(|found| found.check).collect::<Vec<_>>(), [check], "{found:?}");
        assert_eq!(found[0].subject, "EZ-100001");
        shop.sql(mended).await;
    }
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

/// `table: columns` of a `schema.rs`.
fn tables(schema: &str) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for line in schema.lines().map(str::trim) {
        if let Some((column, _)) = line.split_once(" -> ") {
            let table = tables.last_mut().unwrap();
            *table = format!("{table} {column}");
        } else if let Some((table, _)) = line.split_once(" (").filter(|_| line.ends_with('{')) {
            tables.push(format!("{table}:"));
        }
    }
    tables.sort();
    tables
}

#[tokio::test]
async fn the_schema_that_the_code_knows_is_the_one_that_is_there() {
    let shop = Shop::open().await;
    let owner = shop.db.owner().await;
    let rows = owner.query(
        "SELECT format('%s: %s', table_name, string_agg(column_name, ' ' ORDER BY ordinal_position)) \
         FROM information_schema.columns WHERE table_schema = 'orders' AND table_name LIKE 'order%' \
         GROUP BY table_name ORDER BY table_name::text COLLATE \"C\"",
        &[],
    );
    let found: Vec<String> = rows.await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(tables(include_str!("../../src/schema.rs")), found);
}
