//! Phase three of a checkout: the payment is made and the cart is closed. A request does it at once;
//! the listener of `order.placed.v1` and a job do it for a request that did not get there.

use std::time::Instant;

use diesel_async::AsyncConnection as _;
use eshopz_kernel::{CartId, OrderId};
use eshopz_payment_api::{CreatePayment, PaymentSummary};

use super::settle::COUNTED;
use super::{Delivery, OrderService};
use crate::domain::{OrderStatus, now};
use crate::error::OrderError;
use crate::store::{self, OrderRow};

#[eshopz_crash::crash_points]
impl OrderService {
    /// Finishes a placed order; cheap when that is done. Answers with the payment when it was made now.
    ///
    /// # Errors
    /// Those of payment and cart; all of it can be repeated.
    pub async fn finish(
        &self,
        order: OrderRow,
        via: Option<Delivery>,
    ) -> Result<(OrderRow, Option<PaymentSummary>), OrderError> {
        if order.finished_at.is_some() {
            return Ok((order, None));
        }
        let payment = self.bind(&order).await?;
        let free = order.total_minor == 0 && order.status == OrderStatus::PendingPayment;
        let mut order = if free { self.settle(order.order_id(), None).await? } else { order };
        let (id, at) = (order.order_id(), now());
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                if Delivery::claim(via, conn).await? {
                    store::set_finished(conn, id, at).await?;
                }
                Ok::<_, OrderError>(())
            })
            .await?;
        order.finished_at = Some(at);
        Ok((order, Some(payment)))
    }

    /// Makes the order's payment and closes its cart.
    pub(super) async fn bind(&self, order: &OrderRow) -> Result<PaymentSummary, OrderError> {
        let closing = self.carts.close(CartId(order.cart_id), order.order_id());
        let (payment, closed) = futures::join!(self.payments.create(payment_of(order)), closing);
        closed?;
        Ok(payment?)
    }

    /// The same for the news that it was placed, unless the request that did so is at it still.
    ///
    /// # Errors
    /// [`OrderError::Tended`]; those of payment and cart.
    pub async fn finish_told(&self, id: OrderId, via: Delivery) -> Result<(), OrderError> {
        let order = self.known(id).await?;
        if order.finished_at.is_none() && self.is_tended(&order).await? {
            return Err(OrderError::Tended);
        }
        self.finish(order, Some(via)).await.map(drop)
    }

    /// Notes that a new order is not paid, and with `finished` that its payment exists and its cart is closed.
    pub(super) async fn leave_unpaid(
        &self,
        mut order: OrderRow,
        finished: bool,
        began: Instant,
    ) -> Result<OrderRow, OrderError> {
        let at = now();
        let mut conn = self.db.conn().await?;
        store::leave_unpaid(&mut conn, order.order_id(), at, finished, began.elapsed() < COUNTED).await?;
        order.finished_at = finished.then_some(at);
        Ok(order)
    }
}

/// The payment that an order is to have.
pub(super) fn payment_of(order: &OrderRow) -> CreatePayment {
    CreatePayment {
        payment_id: order.payment(),
        order_id: order.order_id(),
        amount: order.money(order.total_minor),
        customer_id: order.customer(),
        payer_token_hash: order.token_hash.clone(),
    }
}
