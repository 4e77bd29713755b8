//! `eshopz verify --repair` mends what is safe, says so in a ledger, and touches nothing else.

use serde_json::Value;
use tokio_postgres::Client;

use super::verify::{drop_checks, shop_with_history};
use crate::support::{Server, run, text};

/// An error that can be mended: what must notice it, what plants it, and what is there afterwards.
struct Plant {
    check: &'static str,
    sql: &'static str,
    /// Counts the entries that tell of the repair.
    entry: &'static str,
}

const TIMELINE: &str = "SELECT count(*) FROM orders.order_timeline t JOIN orders.orders o ON o.id = t.order_id \
    WHERE t.event = 'repaired' AND t.actor = 'system' AND t.reason = 'verify --repair' AND o.status = 'paid'";

const PLANTS: [Plant; 11] = [
    Plant {
        check: "order_settled",
        sql: "WITH o AS (UPDATE orders.orders SET status = 'pending_payment' WHERE status = 'paid' RETURNING id, payment_id), \
              t AS (DELETE FROM orders.order_timeline WHERE event = 'paid' AND order_id IN (SELECT id FROM o)), \
              r AS (UPDATE products.reservations SET state = 'held' WHERE order_id IN (SELECT id FROM o)), \
              m AS (DELETE FROM products.stock_movements WHERE kind = 'sale'), \
              s AS (UPDATE products.stock_levels SET on_hand = on_hand + 2, reserved = reserved + 2) \
              UPDATE payments.payments p SET updated_at = now() - interval '5 minutes' FROM o WHERE p.id = o.payment_id",
        entry: TIMELINE,
    },
    Plant {
        check: "order_finished",
        sql: "UPDATE orders.orders SET finished_at = NULL, placed_at = placed_at - interval '10 minutes' \
              WHERE status = 'paid'",
        entry: TIMELINE,
    },
    Plant {
        check: "order_stock_held",
        sql: "WITH r AS (UPDATE products.reservations SET state = 'held' WHERE state = 'sold'), \
              m AS (DELETE FROM products.stock_movements WHERE kind = 'sale') \
              UPDATE products.stock_levels SET on_hand = on_hand + 2, reserved = reserved + 2",
        entry: TIMELINE,
    },
    Plant {
        check: "order_cart",
        sql: "UPDATE carts.carts SET status = 'open', order_id = NULL, closed_at = NULL \
              WHERE order_id IN (SELECT id FROM orders.orders WHERE status = 'paid')",
        entry: TIMELINE,
    },
    Plant {
        check: "order_undone",
        sql: "UPDATE orders.orders SET undone_at = NULL, cancelled_at = now() - interval '10 minutes' \
              WHERE status = 'cancelled'",
        entry: "SELECT count(*) FROM orders.order_timeline WHERE event = 'repaired' AND to_status = 'cancelled'",
    },
    Plant {
        check: "stock_reserved",
        sql: "UPDATE products.stock_levels SET reserved = reserved + 1",
        entry: "SELECT count(*) FROM products.stock_movements WHERE delta = 0 AND reason = 'verify --repair' \
                AND actor = 'system'",
    },
    Plant {
        check: "stock_without_order",
        sql: "WITH r AS (INSERT INTO products.reservations (order_id, state, expires_at) \
                 VALUES ('00000000-0000-7000-8000-000000000001', 'held', now() - interval '20 minutes') RETURNING order_id), \
              l AS (INSERT INTO products.reservation_lines (order_id, variant_id, quantity) \
                 SELECT '00000000-0000-7000-8000-000000000001', variant_id, 1 FROM products.stock_levels) \
              UPDATE products.stock_levels SET reserved = reserved + 1",
        entry: "SELECT count(*) FROM products.stock_movements WHERE delta = 0 AND reason = 'verify --repair' \
                AND actor = 'system'",
    },
    Plant {
        check: "outbox_deliveries",
        sql: "UPDATE orders.outbox SET remaining = 1, published_at = NULL",
        entry: "SELECT count(*) FROM orders.order_timeline WHERE event = 'repaired' AND actor = 'system' \
                AND reason = 'verify --repair: order.placed.v1 is delivered again'",
    },
    Plant {
        check: "order_taken_back",
        sql: "WITH o AS (UPDATE orders.orders SET reversed_minor = 100 WHERE status = 'paid' RETURNING id), \
              l AS (UPDATE orders.order_lines SET cancelled_quantity = 1 FROM o WHERE order_id = o.id \
                 RETURNING order_id, variant_id), \
              f AS (INSERT INTO orders.order_refunds (id, order_id, amount_minor, status, created_at, updated_at) \
                 SELECT '00000000-0000-7000-8000-000000000002', id, 100, 'pending', now(), now() FROM o), \
              r AS (INSERT INTO orders.order_reversals (id, order_id, kind, status, restock, worth_minor, \
                    refund_minor, requested_at, updated_at) \
                 SELECT '00000000-0000-7000-8000-000000000002', id, 'cancellation', 'accepted', true, 100, 100, now(), \
                    now() - interval '10 minutes' FROM o) \
              INSERT INTO orders.order_reversal_lines \
              SELECT '00000000-0000-7000-8000-000000000002', variant_id, 1 FROM l",
        entry: TIMELINE,
    },
    // The gateway refused it and would not now.
    Plant {
        check: "order_part_refunded",
        sql: "WITH r AS (UPDATE orders.order_reversals SET updated_at = now() - interval '20 minutes' RETURNING id), \
              f AS (UPDATE orders.order_refunds f SET status = 'failed' FROM r WHERE f.id = r.id), \
              s AS (DELETE FROM payments.sandbox_operations s USING r WHERE s.idempotency_key = r.id \
                 RETURNING s.charge_reference), \
              c AS (UPDATE payments.sandbox_charges c SET refunded_minor = refunded_minor - 100 FROM s \
                 WHERE c.reference = s.charge_reference), \
              t AS (UPDATE payments.transactions t SET status = 'failed', created_at = now() - interval '20 minutes' \
                 FROM r WHERE t.id = r.id \
                 RETURNING t.payment_id) \
              UPDATE payments.payments p SET refunded_minor = refunded_minor - 100 FROM t WHERE p.id = t.payment_id",
        entry: TIMELINE,
    },
    Plant {
        check: "payments_undone",
        sql: "UPDATE payments.payments SET undo_requested_at = now() - interval '20 minutes', undo_reason = 'planted' \
              WHERE captured_minor > refunded_minor",
        entry: "SELECT count(*) FROM payments.transactions WHERE kind = 'refund' AND reason = 'planted'",
    },
];

/// What only people can decide.
const FOR_PEOPLE: [(&str, &str); 5] = [
    ("stock_ledger", "UPDATE products.stock_levels SET on_hand = on_hand + 1"),
    ("captured_sum", "UPDATE payments.payments SET captured_minor = captured_minor - 1 WHERE captured_minor > 0"),
    ("order_total", "UPDATE orders.order_lines SET line_total_minor = line_total_minor + 1"),
    ("order_stock", "UPDATE products.reservations SET state = 'released' WHERE state = 'sold'"),
    ("order_payment", "UPDATE payments.payments SET amount_minor = amount_minor + 1"),
];

fn verify(shop: &Server, arguments: &[&str]) -> (bool, Value) {
    let output = run(&shop.db.url, &[&["verify", "--json"], arguments].concat(), "");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    (output.status.success(), report)
}

/// Of these findings, those of a check.
fn of<'a>(report: &'a Value, list: &str, check: &str) -> Vec<&'a Value> {
    report[list].as_array().unwrap().iter().filter(|finding| finding["check"] == check).collect()
}

async fn count(owner: &Client, sql: &str) -> i64 {
    owner.query_one(sql, &[]).await.unwrap().get(0)
}

/// A shop that has stopped, so that none of its jobs mends anything: with a paid, an unpaid and a cancelled order.
async fn stopped_shop() -> Server {
    let mut shop = shop_with_history().await;
    let owner = shop.db.owner().await;
    let unpaid =
        owner.query_one("SELECT id::text FROM orders.orders WHERE status = 'pending_payment'", &[]).await.unwrap();
    let (id, admin): (String, String) = (unpaid.get(0), shop.admin().await);
    shop.send(
        "POST",
        &format!("/api/v1/orders/{id}/cancel"),
        &[("authorization", &admin)],
        Some(serde_json::json!({})),
    )
    .await
    .expect(200);
    shop.until_none("SELECT 1 FROM orders.orders WHERE $1 <> '' AND status = 'cancelled' AND undone_at IS NULL", "x")
        .await;
    shop.is_told_all().await;
    assert_eq!(shop.terminate().await, 0);
    shop
}

/// Each is told of and left alone, then mended and noted, and then there is nothing left to do.
async fn assert_mended(shop: &Server, plants: &[Plant]) {
    let owner = shop.db.owner().await;
    assert_eq!(shop.verify(), Vec::<Value>::new());
    for Plant { check, sql, entry } in plants {
        let noted = count(&owner, entry).await;
        assert!(owner.execute(*sql, &[]).await.unwrap() > 0, "nothing planted by: {sql}");
        // Told of first, and left alone.
        let (balanced, told) = verify(shop, &[]);
        let found = of(&told, "findings", check);
        assert!(!balanced && !found.is_empty(), "{check}: {told:#}");
        assert!(found.iter().all(|finding| finding["repair"].is_string()), "{check}: {told:#}");
        assert_eq!(verify(shop, &[]).1["findings"], told["findings"], "{check}: only told, and yet changed");
        assert_eq!(count(&owner, entry).await, noted, "{check}: noted, and nothing was done");

        let (balanced, mended) = verify(shop, &["--repair"]);
        assert!(balanced, "{check}: {mended:#}");
        let repairs = of(&mended, "repairs", check);
        assert!(!repairs.is_empty() && repairs.iter().all(|repair| repair["failed"].is_null()), "{check}: {mended:#}");
        let entries = count(&owner, entry).await;
        assert!(entries > noted, "{check}: no entry");

        let (balanced, again) = verify(shop, &["--repair"]);
        assert!(balanced && again["repairs"].as_array().unwrap().is_empty(), "{check}: {again:#}");
        assert_eq!(count(&owner, entry).await, entries, "{check}: twice");
    }
}

#[tokio::test]
async fn what_is_safe_is_mended_and_noted() {
    assert_mended(&stopped_shop().await, &PLANTS).await;
}

/// What needs an order that was paid and cancelled, and one that is unpaid.
const OF_CANCELLED: [Plant; 4] = [
    Plant {
        check: "reservations_freed",
        sql: "UPDATE products.reservations SET expires_at = now() - interval '20 minutes' WHERE state = 'held'",
        entry: "SELECT count(*) FROM products.stock_movements WHERE delta = 0 AND reason = 'verify --repair'",
    },
    Plant {
        check: "order_stock_sold",
        sql: "WITH r AS (UPDATE products.reservations r SET state = 'sold' FROM orders.orders o \
                 WHERE o.id = r.order_id AND o.status = 'cancelled' RETURNING r.order_id), \
              l AS (SELECT l.* FROM products.reservation_lines l JOIN r USING (order_id)), \
              m AS (INSERT INTO products.stock_movements (variant_id, delta, on_hand_after, kind, order_id, actor) \
                 SELECT variant_id, -l.quantity, on_hand - l.quantity, 'sale', order_id, 'order' \
                 FROM l JOIN products.stock_levels USING (variant_id)) \
              UPDATE products.stock_levels s SET on_hand = on_hand - l.quantity FROM l WHERE s.variant_id = l.variant_id",
        entry: "SELECT count(*) FROM orders.order_timeline WHERE event = 'repaired' AND to_status = 'cancelled'",
    },
    Plant {
        check: "order_money_back",
        sql: "WITH p AS (UPDATE payments.payments p SET refunded_minor = 0, undo_requested_at = NULL, undo_reason = NULL, \
                    updated_at = now() - interval '5 minutes' FROM orders.orders o \
                 WHERE o.payment_id = p.id AND o.status = 'cancelled' RETURNING p.id, p.order_id), \
              f AS (DELETE FROM orders.order_refunds f USING p WHERE f.order_id = p.order_id), \
              t AS (DELETE FROM payments.transactions t USING p WHERE t.payment_id = p.id AND t.kind = 'refund' \
                 RETURNING t.id), \
              s AS (DELETE FROM payments.sandbox_operations s USING t WHERE s.idempotency_key = t.id) \
              UPDATE payments.sandbox_charges c SET refunded_minor = 0 FROM p WHERE c.payment_id = p.id",
        entry: "SELECT count(*) FROM orders.order_timeline WHERE event = 'repaired' AND to_status = 'cancelled'",
    },
    Plant {
        check: "order_voided",
        sql: "WITH o AS (UPDATE orders.orders SET status = 'paid', cancelled_at = NULL, undone_at = NULL, \
                    cancel_reason = NULL, selling_at = NULL WHERE status = 'pending_payment' RETURNING id, payment_id), \
              t AS (INSERT INTO orders.order_timeline (order_id, at, from_status, to_status, event, actor) \
                 SELECT id, now() - interval '8 days', 'pending_payment', 'paid', 'paid', 'system' FROM o), \
              r AS (UPDATE products.reservations r SET state = 'sold' FROM o WHERE r.order_id = o.id RETURNING order_id), \
              l AS (SELECT l.* FROM products.reservation_lines l JOIN r USING (order_id)), \
              m AS (INSERT INTO products.stock_movements (variant_id, delta, on_hand_after, kind, order_id, actor) \
                 SELECT variant_id, -l.quantity, on_hand - l.quantity, 'sale', order_id, 'order' \
                 FROM l JOIN products.stock_levels USING (variant_id)), \
              s AS (UPDATE products.stock_levels s SET on_hand = on_hand - l.quantity FROM l \
                 WHERE s.variant_id = l.variant_id) \
              UPDATE payments.payments p SET status = 'cancelled', updated_at = now() - interval '5 minutes' FROM o \
              WHERE p.id = o.payment_id",
        entry: "SELECT count(*) FROM orders.order_timeline WHERE event = 'repaired' AND to_status = 'cancelled'",
    },
];

#[tokio::test]
async fn what_a_cancelled_order_has_still_is_given_back_and_noted() {
    let mut shop = shop_with_history().await;
    let owner = shop.db.owner().await;
    let paid = owner.query_one("SELECT id::text FROM orders.orders WHERE status = 'paid'", &[]).await.unwrap();
    let (id, admin): (String, String) = (paid.get(0), shop.admin().await);
    let cancel = format!("/api/v1/orders/{id}/cancel");
    shop.send("POST", &cancel, &[("authorization", &admin)], Some(serde_json::json!({}))).await.expect(200);
    shop.until_none("SELECT 1 FROM orders.orders WHERE $1 <> '' AND status = 'cancelled' AND undone_at IS NULL", "x")
        .await;
    shop.is_told_all().await;
    assert_eq!(shop.terminate().await, 0);
    assert_mended(&shop, &OF_CANCELLED).await;
}

#[tokio::test]
async fn what_is_not_safe_is_left_to_people() {
    let shop = stopped_shop().await;
    let mut owner = shop.db.owner().await;
    drop_checks(&mut owner).await;
    for (check, sql) in FOR_PEOPLE {
        assert!(owner.execute(sql, &[]).await.unwrap() > 0, "nothing planted by: {sql}");
        let (_, told) = verify(&shop, &[]);
        let (balanced, mended) = verify(&shop, &["--repair"]);
        assert!(!balanced && !of(&mended, "findings", check).is_empty(), "{check}: {mended:#}");
        assert!(
            of(&mended, "findings", check).iter().all(|finding| finding["repair"].is_null()),
            "{check}: {mended:#}"
        );
        assert_eq!(of(&mended, "findings", check), of(&told, "findings", check), "{check}");
        assert!(of(&mended, "repairs", check).is_empty(), "{check}: {mended:#}");
    }
    let text = text(&run(&shop.db.url, &["verify"], ""));
    assert!(text.contains("[needs a human]"), "{text}");
}
