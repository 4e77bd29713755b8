//! What time does: unpaid orders are cancelled, and orders that a crash has left half done are done.

use chrono::{DateTime, TimeDelta, Utc};
use eshopz_kernel::{Fault, UserId};
use eshopz_payment_api::{PaymentStatus, PaymentSummary};

use diesel_async::AsyncConnection as _;

use super::{Delivery, OrderService};
use crate::error::OrderError;
use crate::store::{self, OrderRow, Position};

/// Orders per batch.
const BATCH: i64 = 100;
/// Seconds after which an order that is not finished, or not undone, counts as left behind.
const LEFT_BEHIND: i64 = 30;

impl OrderService {
    /// Cancels the orders that were not paid in time. Those whose payment is secured become paid instead;
    /// those whose payment may yet turn out well wait until that is known.
    ///
    /// # Errors
    /// When the orders or their payments cannot be read; the next run goes on.
    pub async fn expire_unpaid(&self) -> Result<(), Fault> {
        let before = Utc::now() - self.settings.unpaid_expiry;
        let mut after = Position::start();
        loop {
            let due = {
                let mut conn = self.db.conn().await?;
                store::expirable(&mut conn, before, after, BATCH).await.map_err(OrderError::from)?
            };
            let Some(last) = due.last() else { return Ok(()) };
            after = Position { at: last.placed_at, id: last.id };
            let payments = self.payments_of(&due).await?;
            for order in &due {
                note(order, self.expire(order, payments.get(&order.order_id())).await);
            }
        }
    }

    async fn expire(&self, order: &OrderRow, payment: Option<&PaymentSummary>) -> Result<(), OrderError> {
        match payment.map(|payment| payment.status) {
            Some(PaymentStatus::Processing) => Ok(()),
            Some(status) if status.is_secured() => self.settle(order.order_id(), None).await.map(drop),
            _ => self.cancel_expired(order.order_id()).await,
        }
    }

    /// Finishes and undoes what neither a request nor a listener has.
    ///
    /// # Errors
    /// When the orders cannot be read; the next run goes on.
    pub async fn pick_up_left_behind(&self) -> Result<(), Fault> {
        let before = Utc::now() - TimeDelta::seconds(LEFT_BEHIND);
        self.finish_left_behind(before).await?;
        self.undo_left_behind(before).await
    }

    async fn finish_left_behind(&self, before: DateTime<Utc>) -> Result<(), Fault> {
        let mut after = Position::start();
        loop {
            let due = {
                let mut conn = self.db.conn().await?;
                store::unfinished(&mut conn, before, after, BATCH).await.map_err(OrderError::from)?
            };
            let Some(last) = due.last() else { return Ok(()) };
            after = Position { at: last.placed_at, id: last.id };
            for order in due {
                let finished = self.finish(order.clone(), None).await.map(drop);
                note(&order, finished);
            }
        }
    }

    async fn undo_left_behind(&self, before: DateTime<Utc>) -> Result<(), Fault> {
        let mut after = Position::start();
        loop {
            let due = {
                let mut conn = self.db.conn().await?;
                store::not_undone(&mut conn, before, after, BATCH).await.map_err(OrderError::from)?
            };
            let Some(last) = due.last() else { return Ok(()) };
            after = Position { at: last.cancelled_at.unwrap_or(last.updated_at), id: last.id };
            for order in due {
                let undone = self.undo(order.clone(), None).await.map(drop);
                note(&order, undone);
            }
        }
    }

    /// Makes the orders of a deleted account anonymous.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_customer(&self, user: UserId, via: Delivery) -> Result<(), OrderError> {
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                if Delivery::claim(Some(via), conn).await? {
                    store::forget_customer(conn, user).await?;
                    store::forget_keys(conn, user).await?;
                }
                Ok(())
            })
            .await
    }
}

/// One order that cannot be done does not keep the others waiting.
fn note(order: &OrderRow, outcome: Result<(), OrderError>) {
    if let Err(error) = outcome {
        tracing::warn!(order = %order.number, %error, "cannot be done now; the next run tries again");
    }
}
