//! An order whose payment is secured: its stock is sold and it is paid.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use diesel_async::AsyncConnection as _;
use eshopz_kernel::OrderId;
use eshopz_order_api::OrderPaid;
use eshopz_platform::events::outbox::Entry;

use super::{Delivery, OrderService, count, count_stockout, step};
use crate::domain::{Actor, OrderStatus, now};
use crate::error::OrderError;
use crate::store::{self, OrderRow};

/// So many seconds the news about an order wait for the request that is at work on it. It takes far less; what comes
/// after it is for a request that broke off.
pub const TENDED: u32 = 3;
/// After so long a request that is about to sell says so again.
const SAID_ENOUGH: Duration = Duration::from_secs(10);
/// For so long it is certainly among those that are counted: after half a minute others may count anew.
pub(super) const COUNTED: Duration = Duration::from_secs(25);

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
        match self.sell(id).await? {
            Some(cancelled) => Ok(cancelled),
            None => self.conclude_sale(id, via).await,
        }
    }

    /// The same for the news that the payment is secured, unless the request that had it paid is at it still.
    ///
    /// # Errors
    /// [`OrderError::Tended`]; those of the neighbours.
    pub async fn settle_told(&self, id: OrderId, via: Delivery) -> Result<(), OrderError> {
        let order = self.known(id).await?;
        match order.status {
            // Who pays later than by placing it has written nothing down.
            OrderStatus::PendingPayment if order.sellers > 0 && self.is_tended(&order).await? => {
                Err(OrderError::Tended)
            }
            OrderStatus::PendingPayment | OrderStatus::Cancelled => self.settle(id, Some(via)).await.map(drop),
            OrderStatus::Paid | OrderStatus::Processing | OrderStatus::Shipped | OrderStatus::Delivered => Ok(()),
        }
    }

    /// The same for an order whose row says since it was placed, at `began`, that its stock is about to be sold; with
    /// `finished` its payment exists and its cart is closed.
    pub(super) async fn settle_new(
        &self,
        order: &OrderRow,
        finished: bool,
        began: Instant,
    ) -> Result<OrderRow, OrderError> {
        let id = order.order_id();
        // What the row says holds for half a minute; the gateway may have taken its time.
        if began.elapsed() > SAID_ENOUGH {
            return self.settle(id, None).await;
        }
        if let Some(cancelled) = self.sell(id).await? {
            return Ok(cancelled);
        }
        let at = now().max(order.updated_at);
        let event = Entry::of(&OrderPaid { order_id: id, number: order.number.clone(), at })?;
        let paid = {
            let mut conn = self.db.conn().await?;
            store::pay(&mut conn, id, at, finished, &event).await?
        };
        match paid {
            Some(paid) => {
                count(OrderStatus::Paid);
                Ok(paid)
            }
            None => self.conclude_sale(id, None).await,
        }
    }

    /// Whether the request that placed an unpaid order may be at work on it still: it was placed only just now.
    pub(super) async fn is_tended(&self, order: &OrderRow) -> Result<bool, OrderError> {
        let unpaid = order.status == OrderStatus::PendingPayment;
        Ok(unpaid && self.db.clock().await? - order.placed_at < TimeDelta::seconds(TENDED.into()))
    }

    /// Sells the stock of a paid order; the order when it had to be cancelled, since others have taken its stock.
    async fn sell(&self, id: OrderId) -> Result<Option<OrderRow>, OrderError> {
        match self.products.commit_reservation(id).await {
            Ok(()) => Ok(None),
            Err(fault) if fault.code == "insufficient_stock" => {
                count_stockout();
                self.cancel_out_of_stock(id).await.map(Some)
            }
            Err(fault) => Err(fault.into()),
        }
    }

    async fn conclude_sale(&self, id: OrderId, via: Option<Delivery>) -> Result<OrderRow, OrderError> {
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
