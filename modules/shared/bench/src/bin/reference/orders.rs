//! What is committed: one row, and an order with all that belongs to it, statement by statement.

use std::error::Error;

use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::pool::{Pool, Writer};

/// Variants in stock, as `shop-bench` makes them.
const VARIANTS: u128 = 1_000;

pub struct Prepared {
    row: Statement,
    order: Statement,
    line: Statement,
    stock: Statement,
    payment: Statement,
    outbox: Statement,
}

impl Prepared {
    pub async fn new(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            row: client
                .prepare("INSERT INTO reference.rows (cart_id, variant_id, quantity) VALUES ($1, $2, 1)")
                .await?,
            order: client
                .prepare("INSERT INTO reference.orders (id, email, status, total) VALUES ($1, $2, 'paid', $3)")
                .await?,
            line: client
                .prepare(
                    "INSERT INTO reference.order_lines (order_id, position, variant_id, title, quantity, price) \
                     VALUES ($1, $2, $3, $4, 1, $5)",
                )
                .await?,
            stock: client
                .prepare("UPDATE reference.stock SET on_hand = on_hand - 1 WHERE variant_id = $1 AND on_hand > 0")
                .await?,
            payment: client
                .prepare(
                    "INSERT INTO reference.payments (id, order_id, status, amount) VALUES ($1, $2, 'captured', $3)",
                )
                .await?,
            outbox: client
                .prepare("INSERT INTO reference.outbox (id, name, payload) VALUES ($1, 'order.paid', $2)")
                .await?,
        })
    }
}

/// One row in a transaction of its own.
pub async fn commit(pool: &Pool) -> Result<(), Box<dyn Error>> {
    let mut lent = pool.writer().await?;
    let Some(Writer { client, prepared }) = lent.writer() else { return Err("no connection".into()) };
    client.execute(&prepared.row, &[&Uuid::now_v7(), &Uuid::now_v7()]).await?;
    Ok(())
}

/// An order of two lines in one transaction.
pub async fn place(pool: &Pool) -> Result<Uuid, Box<dyn Error>> {
    let mut lent = pool.writer().await?;
    let Some(Writer { client, prepared }) = lent.writer() else { return Err("no connection".into()) };
    let order = Uuid::now_v7();
    // In order, so that two never wait for each other.
    let dice = Uuid::new_v4().as_u128();
    let (one, other) = (dice % VARIANTS, (dice >> 64) % VARIANTS);
    let other = if one == other { (other + 1) % VARIANTS } else { other };
    let variants = [Uuid::from_u128(one.min(other)), Uuid::from_u128(one.max(other))];
    let transaction = client.transaction().await?;
    transaction.execute(&prepared.order, &[&order, &"ada@example.com", &3_000_i64]).await?;
    for (position, variant) in (1_i32..).zip(&variants) {
        transaction.execute(&prepared.line, &[&order, &position, variant, &"A thing to buy", &1_500_i64]).await?;
    }
    for variant in &variants {
        if transaction.execute(&prepared.stock, &[variant]).await? == 0 {
            return Err("sold out".into());
        }
    }
    transaction.execute(&prepared.payment, &[&Uuid::now_v7(), &order, &3_000_i64]).await?;
    let event = serde_json::json!({"order_id": order, "total": 3_000, "currency": "USD"});
    transaction.execute(&prepared.outbox, &[&Uuid::now_v7(), &event]).await?;
    transaction.commit().await?;
    Ok(order)
}
