//! The shop's books against what the clients know, in SQL: stock, money, and what must not be there.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error};

use crate::ledger::Ledger;
use crate::shop::Capture;

/// What was on hand of each variant.
pub type Stock = BTreeMap<String, i64>;

/// Sold is what is in orders that are paid, but for what they have given back.
const SOLD: &str = "
    WITH sold AS (
        SELECT l.variant_id, l.quantity FROM orders.order_lines l JOIN orders.orders o ON o.id = l.order_id
        WHERE o.status IN ('paid', 'processing', 'shipped', 'delivered')
        UNION ALL
        SELECT l.variant_id, -l.quantity FROM orders.order_reversal_lines l
        JOIN orders.order_reversals r ON r.id = l.reversal_id JOIN orders.orders o ON o.id = r.order_id
        WHERE r.restock AND o.status IN ('paid', 'processing', 'shipped', 'delivered'))
    SELECT s.variant_id::text, (s.on_hand + coalesce(sum(sold.quantity), 0))::bigint
    FROM products.stock_levels s LEFT JOIN sold ON sold.variant_id = s.variant_id
    GROUP BY s.variant_id, s.on_hand";

/// What the gateway has of an order must be what was collected without what was refunded, or nothing. With $1 all
/// of it is collected at once.
const MONEY: &str = "
    SELECT o.number, o.status, coalesce(p.captured_minor, 0), coalesce(p.refunded_minor, 0),
           coalesce(sum(c.captured_minor), 0)::bigint, coalesce(sum(c.refunded_minor), 0)::bigint,
           count(*) FILTER (WHERE c.captured_minor > c.refunded_minor)
    FROM orders.orders o
    LEFT JOIN payments.payments p ON p.order_id = o.id
    LEFT JOIN payments.sandbox_charges c ON c.payment_id = p.id
    GROUP BY o.number, o.status, o.total_minor, p.captured_minor, p.refunded_minor
    HAVING count(*) FILTER (WHERE c.captured_minor > c.refunded_minor) > 1
        OR coalesce(sum(c.captured_minor), 0) - coalesce(sum(c.refunded_minor), 0) <>
           CASE WHEN o.status = 'cancelled' THEN 0
                ELSE coalesce(p.captured_minor, 0) - coalesce(p.refunded_minor, 0) END
        OR ($1 AND o.status <> 'cancelled' AND p.captured_minor IS DISTINCT FROM o.total_minor)";

/// What is on hand now.
pub async fn stock(database: &Client) -> Result<Stock, Error> {
    let rows = database.query("SELECT variant_id::text, on_hand FROM products.stock_levels", &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// How many orders there are in each state.
pub async fn orders(database: &Client) -> Result<BTreeMap<String, i64>, Error> {
    let rows = database.query("SELECT status, count(*) FROM orders.orders GROUP BY status", &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Everything that is wrong in the books.
pub async fn wrong(database: &Client, before: &Stock, ledger: &Ledger, capture: Capture) -> Result<Vec<String>, Error> {
    let mut wrong = stock_differences(database, before).await?;
    wrong.extend(money_differences(database, capture).await?);
    wrong.extend(refunds_missing(database, ledger).await?);
    let refused = "SELECT number, cart_id::text FROM orders.orders WHERE cart_id::text = ANY($1)";
    for row in database.query(refused, &[&ledger.refused]).await? {
        let (number, cart): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        wrong.push(format!("order {number} is there although the checkout of its cart {cart} was refused"));
    }
    Ok(wrong)
}

async fn stock_differences(database: &Client, before: &Stock) -> Result<Vec<String>, Error> {
    let mut wrong = Vec::new();
    for row in database.query(SOLD, &[]).await? {
        let (variant, now): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        let then = before.get(&variant).copied().unwrap_or(0);
        if now != then {
            wrong.push(format!("variant {variant}: {then} at first, now {now} with what is sold"));
        }
    }
    Ok(wrong)
}

async fn money_differences(database: &Client, capture: Capture) -> Result<Vec<String>, Error> {
    let rows = database.query(MONEY, &[&(capture == Capture::Automatic)]).await?;
    let told = rows.iter().map(|row| {
        let (number, status): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (captured, refunded): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
        let (collected, returned, charges): (i64, i64, i64) = (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
        Ok(format!(
            "order {number} is {status}, {captured} captured, {refunded} refunded; the gateway has collected \
             {collected} and given back {returned}, {charges} charges hold money"
        ))
    });
    told.collect()
}

async fn refunds_missing(database: &Client, ledger: &Ledger) -> Result<Vec<String>, Error> {
    let query =
        "SELECT id::text, amount_minor FROM payments.transactions WHERE kind = 'refund' AND status = 'succeeded'";
    let rows = database.query(query, &[]).await?;
    let done: BTreeMap<String, i64> =
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, Error>>()?;
    let told = ledger.orders.iter().flat_map(|order| {
        let order = order.borrow();
        order.refunds.iter().map(|refund| (order.id.clone(), refund.clone())).collect::<Vec<_>>()
    });
    let missing = told.filter(|(_, (id, amount))| done.get(id) != Some(amount));
    Ok(missing.map(|(order, (id, amount))| format!("refund {id} of {amount} for order {order} is not done")).collect())
}
