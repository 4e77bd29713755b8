//! Cancelling: first the order, in one transaction; then its money and its stock, each of which can be
//! given back any number of times.

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::OrderId;

use super::{Delivery, OrderService, count, step};
use crate::domain::{Actor, OrderStatus, now};
use crate::error::OrderError;
use crate::store::{self, OrderRow};

impl OrderService {
    /// Cancels an order that has not left the house; one that is cancelled stays as it is. The row's
    /// lock decides between this and a shipment at the same moment.
    ///
    /// # Errors
    /// `invalid_transition`. That money or stock cannot be given back now is no error: the listener of
    /// `order.cancelled.v1` sees to it.
    pub async fn cancel(&self, id: OrderId, actor: Actor, reason: Option<&str>) -> Result<OrderRow, OrderError> {
        let mut conn = self.db.conn().await?;
        let (order, changed) = (*conn)
            .transaction(async |conn| {
                let order = store::lock(conn, id).await?.ok_or(OrderError::UnknownOrder(id.uuid()))?;
                match order.status {
                    OrderStatus::Cancelled => Ok((order, false)),
                    from if from.is_cancellable() => {
                        Ok((step(conn, &order, OrderStatus::Cancelled, actor, reason, None).await?, true))
                    }
                    from => Err(OrderError::InvalidTransition { from }),
                }
            })
            .await?;
        drop(conn);
        if changed {
            count(OrderStatus::Cancelled);
        }
        self.try_undo(order).await
    }

    /// Cancels an order that nobody has paid in time; nothing when somebody is changing it just now, or
    /// it is no longer unpaid.
    pub(super) async fn cancel_expired(&self, id: OrderId) -> Result<(), OrderError> {
        let mut conn = self.db.conn().await?;
        let cancelled = (*conn)
            .transaction(async |conn| match store::lock_if_free(conn, id).await? {
                Some(order) => cancel_unpaid(conn, &order, "expired").await,
                None => Ok(None),
            })
            .await?;
        drop(conn);
        if let Some(order) = cancelled {
            count(OrderStatus::Cancelled);
            self.try_undo(order).await?;
        }
        Ok(())
    }

    /// Cancels an order that is being paid while its stock is gone: the reservation had run out, and
    /// others have bought what it held.
    pub(super) async fn cancel_out_of_stock(&self, id: OrderId) -> Result<OrderRow, OrderError> {
        let mut conn = self.db.conn().await?;
        let (order, changed) = (*conn)
            .transaction(async |conn| {
                let order = store::lock(conn, id).await?.ok_or(OrderError::UnknownOrder(id.uuid()))?;
                let cancelled = cancel_unpaid(conn, &order, "out_of_stock").await?;
                let changed = cancelled.is_some();
                Ok::<_, OrderError>((cancelled.unwrap_or(order), changed))
            })
            .await?;
        drop(conn);
        if changed {
            count(OrderStatus::Cancelled);
            return self.try_undo(order).await;
        }
        Ok(order)
    }

    async fn try_undo(&self, order: OrderRow) -> Result<OrderRow, OrderError> {
        if order.undone_at.is_some() {
            return Ok(order);
        }
        match self.undo(order.clone(), None).await {
            Ok(undone) => Ok(undone),
            Err(error) => {
                tracing::warn!(order = %order.number, %error, "cancelled, but not undone yet; a listener will");
                Ok(order)
            }
        }
    }

    /// Gives back the money and the stock of a cancelled order, also when that was done before: a payment
    /// may have come in since.
    ///
    /// # Errors
    /// Those of the neighbours; all of it can be repeated.
    pub async fn undo(&self, mut order: OrderRow, via: Option<Delivery>) -> Result<OrderRow, OrderError> {
        // A payment that does not exist could still be made, and paid, after this.
        if order.finished_at.is_none() {
            self.bind(&order).await?;
        }
        let id = order.order_id();
        let reason = order.cancel_reason.as_deref().unwrap_or("order_cancelled");
        // Neither waits for the other: stock goes back even if the money cannot yet.
        let (refunded, released) = futures::join!(self.payments.undo(id, reason), self.products.release(id));
        refunded?;
        released?;
        let at = now();
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                if Delivery::claim(via, conn).await? {
                    store::set_finished(conn, id, at).await?;
                    store::set_undone(conn, id, at).await?;
                }
                Ok::<_, OrderError>(())
            })
            .await?;
        order.finished_at = order.finished_at.or(Some(at));
        order.undone_at = order.undone_at.or(Some(at));
        Ok(order)
    }
}

/// Cancels a locked order if it is unpaid.
async fn cancel_unpaid(
    conn: &mut AsyncPgConnection,
    order: &OrderRow,
    reason: &str,
) -> Result<Option<OrderRow>, OrderError> {
    if order.status != OrderStatus::PendingPayment {
        return Ok(None);
    }
    step(conn, order, OrderStatus::Cancelled, Actor::System, Some(reason), None).await.map(Some)
}
