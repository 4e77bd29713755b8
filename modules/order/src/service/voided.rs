//! Payments that the gateway let go of although nobody asked for it, such as a hold that ran out after a week.
//! Nothing can be collected any more, so what is still in the house does not leave it.

use diesel_async::AsyncConnection as _;
use eshopz_kernel::OrderId;
use eshopz_payment_api::PaymentStatus;

use super::{Delivery, OrderService, count, step};
use crate::domain::{Actor, OrderStatus};
use crate::error::OrderError;
use crate::store;

/// Why such an order is cancelled.
const REASON: &str = "payment_voided";

#[eshopz_crash::crash_points]
impl OrderService {
    /// Cancels an order that counts as paid and whose payment is cancelled. Nothing happens when the order was
    /// cancelled first, which is how we let a payment go, or when parts that were taken back left nothing of it.
    ///
    /// # Errors
    /// Those of the payment module. That stock cannot be given back now is no error: a listener sees to it.
    pub(crate) async fn cancel_if_voided(&self, id: OrderId, via: Option<Delivery>) -> Result<(), OrderError> {
        let order = self.known(id).await?;
        if !is_to_be_sent(order.status) {
            return Ok(());
        }
        // Its event may come late: what counts is how the payment stands.
        let payment = self.payments_of(std::slice::from_ref(&order)).await?.remove(&id);
        if payment.is_none_or(|payment| payment.status != PaymentStatus::Cancelled) {
            return Ok(());
        }
        self.cancel_voided(id, via).await
    }

    async fn cancel_voided(&self, id: OrderId, via: Option<Delivery>) -> Result<(), OrderError> {
        let mut conn = self.db.conn().await?;
        let cancelled = (*conn)
            .transaction(async |conn| {
                let order = store::lock(conn, id).await?.ok_or(OrderError::UnknownOrder(id.uuid()))?;
                let let_go = store::is_given_back(conn, id).await?;
                if !is_to_be_sent(order.status) || let_go || !Delivery::claim(via, conn).await? {
                    return Ok(None);
                }
                step(conn, &order, OrderStatus::Cancelled, Actor::System, Some(REASON), None).await.map(Some)
            })
            .await?;
        drop(conn);
        if let Some(order) = cancelled {
            tracing::warn!(order = %order.number, "the gateway let its payment go; the order is cancelled");
            count(OrderStatus::Cancelled);
            self.try_undo(order).await?;
        }
        Ok(())
    }
}

/// It counts as paid, and has not left the house.
const fn is_to_be_sent(status: OrderStatus) -> bool {
    matches!(status, OrderStatus::Paid | OrderStatus::Processing)
}
