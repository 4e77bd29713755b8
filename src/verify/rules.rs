//! What must hold between the schemas of two modules. Each statement is one pass over what it compares, joined
//! by hash in the server, so that a million orders take seconds and no memory here.

/// A rule between modules: a statement that counts what it looks at, and one whose rows,
/// `(subject, detail)`, are each a finding.
pub(super) struct Rule {
    pub check: &'static str,
    pub count: &'static str,
    pub violations: &'static str,
}

/// Whether more of a variant of order `o` left the shelves than came back, whatever its reservation says.
macro_rules! truly_sold {
    () => {
        "EXISTS (
                    SELECT FROM products.reservation_lines l
                    JOIN products.stock_movements m ON m.variant_id = l.variant_id AND m.order_id = l.order_id
                    WHERE l.order_id = o.id GROUP BY l.variant_id HAVING sum(m.delta) < 0)"
    };
}

pub(super) const RULES: [Rule; 11] = [
    Rule {
        check: "order_payment",
        count: "SELECT count(*) FROM orders.orders",
        violations: "
            SELECT o.number, format('order is %s over %s, its payment is %s over %s, captured %s, refunded %s',
                                    o.status, o.total_minor, coalesce(p.status, 'missing'), p.amount_minor,
                                    p.captured_minor, p.refunded_minor)
            FROM orders.orders o LEFT JOIN payments.payments p ON p.id = o.payment_id AND p.order_id = o.id
            WHERE o.finished_at IS NOT NULL AND (
                p.id IS NULL OR p.amount_minor <> o.total_minor OR p.currency <> o.currency
                OR (o.status IN ('paid', 'processing', 'shipped', 'delivered') AND o.total_minor > 0
                    AND p.status NOT IN ('succeeded', 'authorized')
                    -- All of it came back before anything was collected.
                    AND NOT (p.status = 'cancelled' AND p.released_minor = p.amount_minor)
                    -- Nothing has left the house: see `order_voided`.
                    AND NOT (p.status = 'cancelled' AND o.status IN ('paid', 'processing'))))",
    },
    Rule {
        check: "order_voided",
        count: "SELECT count(*) FROM orders.orders WHERE status IN ('paid', 'processing')",
        violations: "
            SELECT o.number, format('order is %s, and its payment of %s was let go of at %s', o.status, p.amount_minor,
                                    p.updated_at)
            FROM orders.orders o JOIN payments.payments p ON p.id = o.payment_id AND p.order_id = o.id
            WHERE o.status IN ('paid', 'processing') AND o.total_minor > 0 AND p.status = 'cancelled'
                AND p.released_minor < p.amount_minor AND p.updated_at < now() - interval '1 minute'",
    },
    Rule {
        check: "order_settled",
        count: "SELECT count(*) FROM orders.orders WHERE status = 'pending_payment'",
        violations: "
            SELECT o.number, format('its payment is %s since %s, and it waits for it', p.status, p.secured_at)
            FROM orders.orders o JOIN payments.payments p ON p.id = o.payment_id AND p.order_id = o.id
            WHERE o.status = 'pending_payment' AND p.status IN ('succeeded', 'authorized')
                AND p.amount_minor = o.total_minor AND p.currency = o.currency
                AND p.updated_at < now() - interval '1 minute'",
    },
    Rule {
        check: "order_money_back",
        count: "SELECT count(*) FROM orders.orders WHERE undone_at IS NOT NULL",
        violations: "
            SELECT o.number, format('cancelled, and %s of %s are not given back', p.captured_minor - p.refunded_minor,
                                    p.captured_minor)
            FROM orders.orders o JOIN payments.payments p ON p.id = o.payment_id AND p.order_id = o.id
            WHERE o.undone_at IS NOT NULL AND p.captured_minor <> p.refunded_minor
                AND p.updated_at < now() - interval '1 minute'",
    },
    // What the payment module tells is on its way for a moment.
    Rule {
        check: "order_refund_paid",
        count: "SELECT count(*) FROM orders.order_refunds",
        violations: "
            SELECT o.number, format('refund %s of %s is %s; the payment has it as %s of %s', f.id, f.amount_minor,
                                    f.status, coalesce(t.status, 'missing'), coalesce(t.amount_minor, 0))
            FROM orders.order_refunds f JOIN orders.orders o ON o.id = f.order_id
            LEFT JOIN payments.transactions t
                ON t.id = f.id AND t.payment_id = o.payment_id AND t.kind IN ('refund', 'release', 'void')
            WHERE f.updated_at < now() - interval '5 minutes' AND (
                (f.status = 'succeeded'
                    AND (t.id IS NULL OR t.amount_minor <> f.amount_minor OR t.status <> 'succeeded'))
                OR (f.status IN ('pending', 'failed') AND t.status = 'succeeded'
                    AND t.settled_at < now() - interval '5 minutes')
                OR (f.status = 'pending' AND t.status = 'failed' AND t.settled_at < now() - interval '5 minutes'))",
    },
    // It is asked for again by itself, the first time after ten minutes. What staff gave back by hand since counts.
    Rule {
        check: "order_part_refunded",
        count: "SELECT count(*) FROM orders.order_refunds WHERE status = 'failed'",
        violations: "
            SELECT o.number, format('part %s is to refund %s, which failed at %s; the payment has so much left', r.id,
                                    f.amount_minor, f.updated_at)
            FROM orders.order_refunds f JOIN orders.order_reversals r ON r.id = coalesce(f.part_id, f.id)
            JOIN orders.orders o ON o.id = f.order_id
            JOIN payments.payments p ON p.id = o.payment_id AND p.order_id = o.id
            WHERE f.status = 'failed' AND o.status <> 'cancelled' AND r.updated_at < now() - interval '15 minutes'
                AND NOT EXISTS (SELECT FROM orders.order_refunds n WHERE n.part_id = r.id AND n.attempt > f.attempt)
                AND f.amount_minor <= CASE p.status WHEN 'succeeded' THEN p.captured_minor - p.refunded_minor
                                                    WHEN 'authorized' THEN p.amount_minor - p.released_minor
                                                    ELSE 0 END
                AND f.amount_minor <= (SELECT sum(a.refund_minor) FROM orders.order_reversals a
                                       WHERE a.order_id = o.id AND a.status = 'accepted')
                    - (SELECT coalesce(sum(b.amount_minor), 0) FROM orders.order_refunds b
                       WHERE b.order_id = o.id AND b.status <> 'failed' AND (
                           b.created_at >= (SELECT created_at FROM orders.order_refunds WHERE id = r.id)
                           OR EXISTS (SELECT FROM orders.order_reversals c WHERE c.id = coalesce(b.part_id, b.id))))",
    },
    Rule {
        check: "order_stock",
        count: "SELECT count(*) FROM products.reservations",
        violations: concat!(
            "
            SELECT coalesce(o.number, r.order_id::text),
                   format('order is %s, its stock is %s', coalesce(o.status, 'missing'),
                          coalesce(r.state, 'not reserved'))
            FROM orders.orders o FULL JOIN products.reservations r ON r.order_id = o.id
            WHERE r.state IS DISTINCT FROM 'held' AND (
                  (o.id IS NULL AND r.state = 'sold')
               OR (o.status = 'pending_payment' AND r.order_id IS NULL)
               OR (o.status IN ('paid', 'processing', 'shipped', 'delivered') AND r.state IS DISTINCT FROM 'sold')
               -- What was truly sold is for `order_stock_sold`.
               OR (o.undone_at IS NOT NULL AND r.state IS DISTINCT FROM 'released' AND NOT ",
            truly_sold!(),
            "))
            UNION ALL
            SELECT o.number, format('%s of variant %s are its, not so reserved', l.quantity, l.variant_id)
            FROM (SELECT l.order_id, l.variant_id, (l.quantity - coalesce(b.quantity, 0))::bigint AS quantity
                  FROM orders.order_lines l LEFT JOIN (
                      SELECT r.order_id, i.variant_id, sum(i.quantity) AS quantity
                      FROM orders.order_reversals r JOIN orders.order_reversal_lines i ON i.reversal_id = r.id
                      WHERE r.restock GROUP BY 1, 2
                  ) b USING (order_id, variant_id)
                  WHERE l.quantity > coalesce(b.quantity, 0)
                  EXCEPT SELECT order_id, variant_id, quantity FROM products.reservation_lines) l
            JOIN orders.orders o ON o.id = l.order_id
            WHERE NOT EXISTS (SELECT FROM orders.order_reversals r
                              WHERE r.order_id = o.id AND r.status = 'accepted' AND r.done_at IS NULL)"
        ),
    },
    // Somebody sold it for an order that was being cancelled, and died.
    Rule {
        check: "order_stock_sold",
        count: "SELECT count(*) FROM orders.orders WHERE undone_at IS NOT NULL",
        violations: concat!(
            "
            SELECT o.number, format('order is %s, its stock is sold', o.status)
            FROM orders.orders o JOIN products.reservations r ON r.order_id = o.id
            WHERE o.undone_at IS NOT NULL AND r.state = 'sold' AND ",
            truly_sold!()
        ),
    },
    // With movements, the reservation is what is wrong: the product module's own books show that.
    Rule {
        check: "order_stock_held",
        count: "SELECT count(*) FROM products.reservations WHERE state = 'held'",
        violations: "
            WITH held AS MATERIALIZED (
                SELECT o.id, o.number, o.status FROM products.reservations r JOIN orders.orders o ON o.id = r.order_id
                WHERE r.state = 'held' AND (o.undone_at IS NOT NULL
                    OR o.status IN ('paid', 'processing', 'shipped', 'delivered')))
            SELECT h.number, format('order is %s, its stock is still held', h.status)
            FROM held h WHERE NOT EXISTS (
                SELECT FROM products.reservation_lines l JOIN products.stock_movements m
                    ON m.variant_id = l.variant_id AND m.order_id = l.order_id WHERE l.order_id = h.id)",
    },
    Rule {
        check: "stock_without_order",
        count: "SELECT count(*) FROM products.reservations WHERE state = 'held'",
        violations: "
            SELECT r.order_id::text, format('held for an order that is not there, its time was up at %s', r.expires_at)
            FROM products.reservations r LEFT JOIN orders.orders o ON o.id = r.order_id
            WHERE o.id IS NULL AND r.state = 'held' AND r.expires_at < now() - interval '5 minutes'",
    },
    Rule {
        check: "order_cart",
        count: "SELECT count(*) FROM orders.orders",
        violations: "
            SELECT o.number, format('its cart %s is %s', c.id, c.status)
            FROM orders.orders o JOIN carts.carts c ON c.id = o.cart_id
            WHERE o.finished_at IS NOT NULL AND c.status = 'open'",
    },
];
