//! What time does: unpaid orders are cancelled, and orders that a crash has left half done are done.

use std::fmt::Display;

use chrono::{DateTime, TimeDelta, Utc};
use eshopz_kernel::{Fault, UserId};
use eshopz_payment_api::{PaymentStatus, PaymentSummary};

use diesel_async::AsyncConnection as _;
use uuid::Uuid;

use super::{Delivery, OrderService};
use crate::error::OrderError;
use crate::store::{self, OrderRow, Position};

/// Orders per batch.
const BATCH: i64 = 100;
/// Seconds after which an order that is not finished, or not undone, counts as left behind.
const LEFT_BEHIND: i64 = 30;

#[eshopz_crash::crash_points]
impl OrderService {
    /// Cancels the orders that were not paid in time. Those whose payment is secured become paid instead;
    /// those whose payment may yet turn out well wait until that is known.
    ///
    /// # Errors
    /// When the orders or their payments cannot be read; the next run goes on.
    pub async fn expire_unpaid(&self) -> Result<(), Fault> {
        let before = self.clock().await? - self.settings.unpaid_expiry;
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
                note(&order.number, self.expire(order, payments.get(&order.order_id())).await);
            }
        }
    }

    /// Now, by the clock that orders are placed by: that of one process may be wrong.
    pub(super) async fn clock(&self) -> Result<DateTime<Utc>, OrderError> {
        let mut conn = self.db.conn().await?;
        Ok(store::clock(&mut conn).await?)
    }

    async fn expire(&self, order: &OrderRow, payment: Option<&PaymentSummary>) -> Result<(), OrderError> {
        match payment.map(|payment| payment.status) {
            Some(PaymentStatus::Processing) => Ok(()),
            Some(status) if status.is_secured() => self.settle(order.order_id(), None).await.map(drop),
            _ => self.cancel_expired(order.order_id()).await,
        }
    }

    /// Finishes, undoes and takes back what neither a request nor a listener has, and asks for the refunds that
    /// are on their way.
    ///
    /// # Errors
    /// When the orders cannot be read; the next run goes on.
    pub async fn pick_up_left_behind(&self) -> Result<(), Fault> {
        let before = Utc::now() - TimeDelta::seconds(LEFT_BEHIND);
        self.finish_left_behind(before).await?;
        self.undo_left_behind(before).await?;
        self.take_back_left_behind(before).await?;
        self.ask_for_refunds(before).await
    }

    async fn take_back_left_behind(&self, before: DateTime<Utc>) -> Result<(), Fault> {
        let mut after = Position::start();
        loop {
            let due = {
                let mut conn = self.db.conn().await?;
                store::open_reversals(&mut conn, before, after, BATCH).await.map_err(OrderError::from)?
            };
            let Some(last) = due.last() else { return Ok(()) };
            after = Position { at: last.updated_at, id: last.id };
            for part in due {
                note(part.id, self.carry_out(&part, None).await);
            }
        }
    }

    async fn ask_for_refunds(&self, before: DateTime<Utc>) -> Result<(), Fault> {
        let mut after = Uuid::nil();
        loop {
            let due = {
                let mut conn = self.db.conn().await?;
                store::unrefunded(&mut conn, before, after, BATCH).await.map_err(OrderError::from)?
            };
            let Some(last) = due.last() else { return Ok(()) };
            after = last.id;
            for part in due {
                note(part.id, self.give_money_back(&part).await);
            }
        }
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
                note(&order.number, finished);
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
                note(&order.number, undone);
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

/// One that cannot be done does not keep the others waiting.
fn note(what: impl Display, outcome: Result<(), OrderError>) {
    if let Err(error) = outcome {
        tracing::warn!(%what, %error, "cannot be done now; the next run tries again");
    }
}
