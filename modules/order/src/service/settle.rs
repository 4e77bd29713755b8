//! An order whose payment is secured: its stock is sold and it is paid.

use diesel_async::AsyncConnection as _;
use eshopz_kernel::OrderId;

use super::{Delivery, OrderService, count, count_stockout, step};
use crate::domain::{Actor, OrderStatus};
use crate::error::OrderError;
use crate::store::{self, OrderRow};

#[eshopz_crash::crash_points]
impl OrderService {
    /// Marks an order as paid. It may be called for one payment any number of times, late and by several
    /// at once; an order that was cancelled meanwhile gives the money back.
    ///
    /// # Errors
    /// Those of the neighbours; all of it can be repeated.
    pub async fn settle(&self, id: OrderId, via: Option<Delivery>) -> Result<OrderRow, OrderError> {
        if !self.begin_sale(id).await? {
            let order = self.known(id).await?;
            return if order.status == OrderStatus::Cancelled { self.undo(order, via).await } else { Ok(order) };
        }
        match self.products.commit_reservation(id).await {
            Ok(()) => {}
            Err(fault) if fault.code == "insufficient_stock" => {
                count_stockout();
                return self.cancel_out_of_stock(id).await;
            }
            Err(fault) => return Err(fault.into()),
        }
        let order = self.mark_paid(id, via).await?;
        // Cancelled between the look and the lock: what was sold above goes back, and so does the money.
        if order.status == OrderStatus::Cancelled { self.undo(order, via).await } else { Ok(order) }
    }

    /// Whether the order is unpaid still; then it is written down that its stock is about to be sold. Whoever cancels
    /// it from now on undoes it again until that is over: what is sold behind the undoing goes back, even if the
    /// one who sold it dies.
    async fn begin_sale(&self, id: OrderId) -> Result<bool, OrderError> {
        let mut conn = self.db.conn().await?;
        Ok(store::begin_sale(&mut conn, id).await?)
    }

    async fn mark_paid(&self, id: OrderId, via: Option<Delivery>) -> Result<OrderRow, OrderError> {
        let mut conn = self.db.conn().await?;
        let (order, changed) = (*conn)
            .transaction(async |conn| {
                let order = store::lock(conn, id).await?.ok_or(OrderError::UnknownOrder(id.uuid()))?;
                store::end_sale(conn, id).await?;
                if order.status != OrderStatus::PendingPayment || !Delivery::claim(via, conn).await? {
                    return Ok((order, false));
                }
                let paid = step(conn, &order, OrderStatus::Paid, Actor::System, None, None).await?;
                Ok::<_, OrderError>((paid, true))
            })
            .await?;
        if changed {
            count(OrderStatus::Paid);
        }
        Ok(order)
    }
}
