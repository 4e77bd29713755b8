//! A shop with a history of as many orders as one likes, made by SQL in all schemas at once and consistent: for
//! measuring what goes over everything, such as `eshopz verify`.
//!
//! Of twenty orders one was never paid and expired, one was paid and cancelled, one was refunded in part, and the
//! others were delivered. They are spread over four hundred days; events are there for the last week. A third are
//! guests'; of the others twenty each belong to a made-up account.
//!
//! What is made at once is a part: its ids, and what it sells, are its own, so that another part can be added.

use tokio_postgres::{Client, Error};
use uuid::Uuid;

/// What makes part `$part` with `$orders` orders, one statement after the other.
const STATEMENTS: [&str; 15] = [
    // Ids that sort as they were made, of kind `kind` and number `n`.
    "CREATE OR REPLACE FUNCTION pg_temp.made_id(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ \
        SELECT ('018f' || lpad(to_hex(16 * $part + kind), 4, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$",
    "CREATE TEMP TABLE made AS \
     SELECT n, pg_temp.made_id(1, n) AS id, pg_temp.made_id(2, n) AS cart_id, pg_temp.made_id(3, n) AS payment_id, \
            now() - interval '10 minutes' - ($orders - n) * (interval '400 days' / $orders) AS at, \
            CASE n % 20 WHEN 0 THEN 'expired' WHEN 1 THEN 'cancelled' WHEN 2 THEN 'refunded' ELSE 'delivered' END AS fate \
     FROM generate_series(1, $orders::bigint) n",
    "CREATE TEMP TABLE made_lines AS \
     SELECT m.id, m.n, p AS position, (m.n * 7 + p * 13) % greatest(100, $orders / 500) AS v, 1 + (m.n + p) % 3 AS quantity \
     FROM made m, generate_series(0, m.n % 3) p",
    "WITH v AS (SELECT generate_series(0, greatest(100, $orders / 500) - 1) AS v), product AS ( \
        INSERT INTO products.products (id, handle, title, price_min_minor, price_max_minor) \
        SELECT pg_temp.made_id(4, v), 'made-$part-' || v, 'Made ' || v, 1000 + v % 50 * 100, 1000 + v % 50 * 100 FROM v) \
     INSERT INTO products.variants (id, product_id, title, price_minor) \
     SELECT pg_temp.made_id(5, v), pg_temp.made_id(4, v), 'Default', 1000 + v % 50 * 100 FROM v",
    "INSERT INTO orders.orders (id, cart_id, customer_id, token_hash, status, email, currency, subtotal_minor, discount_minor, \
            shipping_minor, tax_minor, total_minor, shipping_address, billing_address, payment_id, cancel_reason, \
            placed_at, updated_at, finished_at, cancelled_at, undone_at) \
     SELECT m.id, m.cart_id, CASE WHEN m.n % 3 > 0 THEN pg_temp.made_id(10, m.n / 3 % greatest(1, $orders / 30)) END, \
            md5(m.n::text), CASE WHEN gone THEN 'cancelled' ELSE 'delivered' END, \
            'made-' || m.n / 3 % greatest(1, $orders / 30) || '@example.com', 'USD', l.total, 0, 0, 0, l.total, a.address, a.address, m.payment_id, CASE WHEN gone THEN m.fate END, \
            m.at, m.at, m.at, CASE WHEN gone THEN m.at END, CASE WHEN gone THEN m.at END \
     FROM (SELECT *, fate IN ('expired', 'cancelled') AS gone FROM made) m \
     CROSS JOIN (SELECT jsonb_build_object('name', 'Ada Lovelace', 'line1', '12 St James Square', 'city', 'London', \
            'postal_code', 'SW1Y 4JH', 'country', 'GB') AS address) a \
     JOIN (SELECT id, sum(quantity * (1000 + v % 50 * 100)) AS total FROM made_lines GROUP BY id) l USING (id)",
    "INSERT INTO orders.order_lines (order_id, position, variant_id, product_id, title, variant_title, quantity, \
            unit_price_minor, line_total_minor) \
     SELECT id, position, pg_temp.made_id(5, v), pg_temp.made_id(4, v), 'Made ' || v, 'Default', quantity, \
            1000 + v % 50 * 100, quantity * (1000 + v % 50 * 100) FROM made_lines",
    "INSERT INTO orders.order_timeline (order_id, at, from_status, to_status, event, actor) \
     SELECT m.id, m.at, s.before, s.after, s.event, 'system' \
     FROM made m JOIN (VALUES (1, 'placed', NULL, 'pending_payment', '{expired,cancelled,refunded,delivered}'::text[]), \
            (2, 'paid', 'pending_payment', 'paid', '{cancelled,refunded,delivered}'), \
            (3, 'processing', 'paid', 'processing', '{refunded,delivered}'), \
            (4, 'shipped', 'processing', 'shipped', '{refunded,delivered}'), \
            (5, 'delivered', 'shipped', 'delivered', '{refunded,delivered}'), \
            (6, 'cancelled', 'pending_payment', 'cancelled', '{expired}'), \
            (7, 'cancelled', 'paid', 'cancelled', '{cancelled}')) s (step, event, before, after, fates) \
        ON m.fate = ANY (s.fates) ORDER BY m.n, s.step",
    "INSERT INTO payments.payments (id, order_id, payer_token_hash, currency, amount_minor, captured_minor, \
            refunded_minor, gateway_refunded_minor, status, gateway, gateway_reference, undo_requested_at, secured_at, \
            created_at, updated_at) \
     SELECT m.payment_id, m.id, md5(m.n::text), 'USD', o.total_minor, CASE WHEN paid THEN o.total_minor ELSE 0 END, \
            back, back, CASE WHEN paid THEN 'succeeded' ELSE 'cancelled' END, 'sandbox', \
            CASE WHEN paid THEN 'ch_made_$part_' || m.n END, o.cancelled_at, CASE WHEN paid THEN m.at END, m.at, m.at \
     FROM (SELECT made.*, fate <> 'expired' AS paid FROM made) m JOIN orders.orders o USING (id), \
          LATERAL (SELECT CASE m.fate WHEN 'refunded' THEN 500 WHEN 'cancelled' THEN o.total_minor ELSE 0 END AS back) b",
    "INSERT INTO payments.transactions (id, payment_id, kind, status, amount_minor, currency, payment_method, \
            gateway_reference, charge_reference, created_at, tried_at, settled_at) \
     SELECT pg_temp.made_id(6, m.n), m.payment_id, 'charge', 'succeeded', p.captured_minor, 'USD', 'pm_card_visa', \
            p.gateway_reference, NULL, m.at, m.at, m.at \
     FROM made m JOIN payments.payments p ON p.id = m.payment_id WHERE m.fate <> 'expired' \
     UNION ALL \
     SELECT pg_temp.made_id(7, m.n), m.payment_id, 'refund', 'succeeded', p.refunded_minor, 'USD', NULL, \
            're_made_$part_' || m.n, p.gateway_reference, m.at, m.at, m.at \
     FROM made m JOIN payments.payments p ON p.id = m.payment_id WHERE p.refunded_minor > 0",
    "INSERT INTO orders.order_refunds (id, order_id, amount_minor, status, created_at, updated_at) \
     SELECT t.id, m.id, t.amount_minor, 'succeeded', m.at, m.at \
     FROM made m JOIN payments.transactions t ON t.id = pg_temp.made_id(7, m.n)",
    "INSERT INTO payments.sandbox_charges (reference, idempotency_key, payment_id, merchant_reference, amount_minor, \
            currency, captured_minor, refunded_minor, payment_method, captures, status, created_at) \
     SELECT gateway_reference, pg_temp.made_id(6, m.n), p.id, m.id::text, amount_minor, currency, captured_minor, \
            refunded_minor, 'pm_card_visa', true, 'succeeded', m.at \
     FROM made m JOIN payments.payments p ON p.id = m.payment_id WHERE m.fate <> 'expired'",
    "WITH reservation AS ( \
        INSERT INTO products.reservations (order_id, state, expires_at, created_at, updated_at) \
        SELECT id, CASE WHEN fate IN ('expired', 'cancelled') THEN 'released' ELSE 'sold' END, at, at, at FROM made) \
     INSERT INTO products.reservation_lines (order_id, variant_id, quantity) \
     SELECT id, pg_temp.made_id(5, v), quantity FROM made_lines",
    "WITH opening AS (SELECT DISTINCT v, 10 * $orders::bigint AS stock, now() - interval '401 days' AS at \
            FROM generate_series(0, greatest(100, $orders / 500) - 1) v), \
     movement AS ( \
        SELECT v, stock AS delta, 'set' AS kind, NULL::uuid AS order_id, at FROM opening \
        UNION ALL SELECT v, -quantity, 'sale', id, at FROM made_lines JOIN made USING (id) WHERE fate <> 'expired' \
        UNION ALL SELECT v, quantity, 'return', id, at + interval '1 second' \
            FROM made_lines JOIN made USING (id) WHERE fate = 'cancelled') \
     INSERT INTO products.stock_movements (variant_id, delta, on_hand_after, kind, order_id, actor, created_at) \
     SELECT pg_temp.made_id(5, v), delta, sum(delta) OVER (PARTITION BY v ORDER BY at, order_id NULLS FIRST), kind, \
            order_id, 'order', at FROM movement",
    "INSERT INTO products.stock_levels (variant_id, on_hand) \
     SELECT variant_id, sum(delta) FROM products.stock_movements m \
     WHERE NOT EXISTS (SELECT FROM products.stock_levels s WHERE s.variant_id = m.variant_id) GROUP BY variant_id",
    "INSERT INTO carts.carts (id, status, token_hash, currency, order_id, created_at, updated_at, expires_at, closed_at) \
     SELECT cart_id, 'ordered', sha256(n::text::bytea), 'USD', id, at, at, at + interval '30 days', at FROM made",
];

/// Every change of the last week with its event, long since delivered.
const EVENTS: [&str; 2] = [
    "INSERT INTO orders.outbox (id, name, payload, occurred_at, remaining, published_at) \
     SELECT pg_temp.made_id(8, id), 'order.' || event || '.v1', jsonb_build_object('order_id', order_id), at, 0, at \
     FROM orders.order_timeline WHERE at > now() - interval '8 days' AND order_id IN (SELECT id FROM made)",
    "INSERT INTO payments.outbox (id, name, payload, occurred_at, remaining, published_at) \
     SELECT pg_temp.made_id(9, row_number() OVER ()), \
            CASE kind WHEN 'charge' THEN 'payment.succeeded.v1' ELSE 'payment.refunded.v1' END, \
            jsonb_build_object('payment_id', payment_id) \
                || CASE kind WHEN 'refund' THEN jsonb_build_object('refund_id', id) ELSE '{}' END, created_at, 0, created_at \
     FROM payments.transactions \
     WHERE created_at > now() - interval '8 days' AND payment_id IN (SELECT payment_id FROM made)",
];

/// Makes so many orders, at least 1, in a database that has none.
///
/// # Errors
/// A statement's.
pub async fn fill(owner: &Client, orders: u32) -> Result<(), Error> {
    add(owner, 0, orders).await
}

/// Adds a part of so many orders, at least 1, that is not there yet. Of parts there are 4,096.
///
/// # Errors
/// A statement's.
pub async fn add(owner: &Client, part: u16, orders: u32) -> Result<(), Error> {
    // A trigger of the catalogue finds its tables by it.
    owner.batch_execute("SET search_path = products, public").await?;
    for statement in STATEMENTS.into_iter().chain(EVENTS) {
        let statement = statement.replace("$orders", &orders.to_string()).replace("$part", &part.to_string());
        owner.batch_execute(&statement).await?;
    }
    owner.batch_execute("DROP TABLE made, made_lines; RESET search_path; ANALYZE").await
}

/// A made-up account that has orders of a part.
#[must_use]
pub fn customer(part: u16) -> Uuid {
    let kind = 16 * u128::from(part) + 10;
    Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0000 | kind << 80)
}
