//! `eshopz verify` for the catalogue: whether stock, ledger and reservations agree.
//!
//! Each rule is one statement, so it sees one moment, however busy the shop is.

use diesel::result::Error as DieselError;
use diesel_async::AsyncPgConnection;
use eshopz_platform::books::Report;
use eshopz_platform::events::health;

const MODULE: &str = "product";

/// A rule, the table whose rows it is about, and the query for the rows that break it.
struct Rule {
    check: &'static str,
    table: &'static str,
    broken: &'static str,
}

const RULES: [Rule; 8] = [
    Rule {
        check: "stock_ledger",
        table: "stock_levels",
        broken: "SELECT s.variant_id::text AS subject, format('on_hand is %s, its movements sum up to %s', s.on_hand, \
                        coalesce(m.total, 0)) AS detail \
                 FROM stock_levels s LEFT JOIN ( \
                    SELECT variant_id, sum(delta) AS total FROM stock_movements GROUP BY variant_id \
                 ) m USING (variant_id) WHERE s.on_hand <> coalesce(m.total, 0)",
    },
    Rule {
        check: "stock_reserved",
        table: "stock_levels",
        broken: "SELECT variant_id::text AS subject, format('reserved is %s, orders hold %s', \
                        coalesce(s.reserved, 0), coalesce(h.total, 0)) AS detail \
                 FROM stock_levels s FULL JOIN ( \
                    SELECT l.variant_id, sum(l.quantity) AS total \
                    FROM reservation_lines l JOIN reservations r USING (order_id) \
                    WHERE r.state = 'held' GROUP BY l.variant_id \
                 ) h USING (variant_id) WHERE coalesce(s.reserved, 0) <> coalesce(h.total, 0)",
    },
    Rule {
        check: "stock_not_oversold",
        table: "stock_levels",
        broken: "SELECT variant_id::text AS subject, format('reserved is %s of %s on hand', reserved, on_hand) AS detail \
                 FROM stock_levels WHERE NOT backorder AND reserved > on_hand",
    },
    Rule {
        check: "stock_sold",
        table: "reservations",
        broken: "SELECT order_id::text AS subject, format('%s of %s: its reservation says %s, its movements %s', \
                        coalesce(l.quantity, 0), variant_id, coalesce(l.quantity, 0), coalesce(-m.total, 0)) AS detail \
                 FROM (SELECT l.order_id, l.variant_id, l.quantity FROM reservation_lines l \
                       JOIN reservations r USING (order_id) WHERE r.state = 'sold') l \
                 FULL JOIN (SELECT order_id, variant_id, sum(delta) AS total FROM stock_movements \
                            WHERE order_id IS NOT NULL GROUP BY order_id, variant_id HAVING sum(delta) <> 0) m \
                 USING (order_id, variant_id) WHERE coalesce(l.quantity, 0) <> coalesce(-m.total, 0) \
                    AND EXISTS (SELECT FROM stock_levels s WHERE s.variant_id = coalesce(l.variant_id, m.variant_id))",
    },
    Rule {
        check: "stock_given_back",
        table: "reservation_returns",
        broken: "SELECT order_id::text AS subject, format('%s of %s was given back, its movements say %s', \
                        coalesce(r.quantity, 0), variant_id, coalesce(m.total, 0)) AS detail \
                 FROM (SELECT order_id, id, variant_id, quantity FROM reservation_returns WHERE sold) r \
                 FULL JOIN (SELECT order_id, return_id AS id, variant_id, sum(delta) AS total FROM stock_movements \
                            WHERE return_id IS NOT NULL GROUP BY order_id, return_id, variant_id) m \
                 USING (order_id, id, variant_id) WHERE coalesce(r.quantity, 0) <> coalesce(m.total, 0) \
                    AND EXISTS (SELECT FROM stock_levels s WHERE s.variant_id = coalesce(r.variant_id, m.variant_id))",
    },
    Rule {
        check: "stock_of_every_variant",
        table: "variants",
        broken: "SELECT v.id::text AS subject, 'has no stock level' AS detail \
                 FROM variants v LEFT JOIN stock_levels s ON s.variant_id = v.id WHERE s.variant_id IS NULL",
    },
    Rule {
        check: "price_range",
        table: "products",
        broken: "SELECT p.id::text AS subject, format('prices from %s to %s, its variants from %s to %s', \
                        p.price_min_minor, p.price_max_minor, v.lowest, v.highest) AS detail \
                 FROM products p LEFT JOIN ( \
                    SELECT product_id, min(price_minor) AS lowest, max(price_minor) AS highest \
                    FROM variants GROUP BY product_id \
                 ) v ON v.product_id = p.id \
                 WHERE (p.price_min_minor, p.price_max_minor) IS DISTINCT FROM (coalesce(v.lowest, 0), coalesce(v.highest, 0))",
    },
    Rule {
        // The job that frees them runs every ten seconds.
        check: "reservations_freed",
        table: "reservations",
        broken: "SELECT order_id::text AS subject, format('is still held, its time was up at %s', expires_at) AS detail \
                 FROM reservations WHERE state = 'held' AND expires_at < now() - interval '15 minutes'",
    },
];

/// Checks the catalogue and the module's events.
pub async fn books(conn: &mut AsyncPgConnection) -> Result<Report, DieselError> {
    let mut report = Report::default();
    for Rule { check, table, broken } in RULES {
        report.check(conn, MODULE, check, (table, broken)).await?;
    }
    report.merge(health::audit(conn, MODULE).await?);
    Ok(report)
}
