//! What `eshopz verify --repair` may do to an order: go on with what it decided, by the same steps that a listener
//! or a job would take, and say so in its timeline.

use diesel_async::AsyncConnection as _;
use eshopz_kernel::OrderId;

use super::{Change, OrderService, note_change};
use crate::domain::{Actor, OrderStatus, now};
use crate::error::OrderError;
use crate::store::{self, OrderRow};

/// What it is called in the timeline. No event tells it: nothing was decided.
const EVENT: &str = "repaired";

impl OrderService {
    /// Goes on with an order, wherever it stands. All of it can be repeated.
    ///
    /// # Errors
    /// Those of the neighbours.
    pub async fn repair(&self, number: &str, reason: &str) -> Result<bool, OrderError> {
        let Some(order) = self.of_number(number).await? else { return Ok(false) };
        let id = order.order_id();
        self.go_on(order).await?;
        self.note_repair(id, reason).await?;
        Ok(true)
    }

    /// Sells what a paid order still holds.
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn repair_sale(&self, number: &str, reason: &str) -> Result<bool, OrderError> {
        let Some(order) = self.of_number(number).await? else { return Ok(false) };
        match order.status {
            OrderStatus::Paid | OrderStatus::Processing | OrderStatus::Shipped | OrderStatus::Delivered => {
                self.products.commit_reservation(order.order_id()).await?;
            }
            OrderStatus::Cancelled => self.products.release(order.order_id()).await?,
            OrderStatus::PendingPayment => return Ok(false),
        }
        self.note_repair(order.order_id(), reason).await?;
        Ok(true)
    }

    async fn of_number(&self, number: &str) -> Result<Option<OrderRow>, OrderError> {
        let mut conn = self.db.conn().await?;
        Ok(store::by_number(&mut conn, number).await?)
    }

    async fn go_on(&self, order: OrderRow) -> Result<(), OrderError> {
        let id = order.order_id();
        if order.status == OrderStatus::Cancelled {
            self.carry_out_all(&order).await?;
            return self.undo(order, None).await.map(drop);
        }
        let payment = match self.finish(order.clone(), None).await? {
            (_, Some(payment)) => payment,
            // Also when that was done: its payment is found, its cart closed again.
            (order, None) => self.bind(&order).await?,
        };
        if order.status == OrderStatus::PendingPayment && payment.status.is_secured() {
            self.settle(id, None).await?;
        }
        self.carry_out_all(&order).await
    }

    async fn note_repair(&self, id: OrderId, reason: &str) -> Result<(), OrderError> {
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let order = store::lock(conn, id).await?.ok_or(OrderError::UnknownOrder(id.uuid()))?;
                let change = Change { event: EVENT, actor: Actor::System, reason: Some(reason), worth: 0, at: now() };
                note_change(conn, &order, change).await?;
                Ok(())
            })
            .await
    }
}
