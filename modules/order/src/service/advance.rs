//! What staff do with a paid order: prepare it, ship it, see it arrive.

use diesel_async::AsyncConnection as _;
use eshopz_kernel::OrderId;

use super::{OrderService, audit_entry, count, note_if_admin, step};
use crate::domain::{Actor, OrderStatus, Tracking};
use crate::error::OrderError;
use crate::store::{self, OrderRow};

#[eshopz_crash::crash_points]
impl OrderService {
    /// Takes an order to another state, with every step in between; an order that is there stays as it is. One whose
    /// payment the gateway let go of is cancelled instead: nobody would pay for what is sent.
    ///
    /// # Errors
    /// `invalid_transition`; 404; 503 when nobody can say how its payment stands.
    pub async fn advance(
        &self,
        id: OrderId,
        to: OrderStatus,
        tracking: Option<Tracking>,
        actor: Actor,
    ) -> Result<OrderRow, OrderError> {
        if matches!(to, OrderStatus::Processing | OrderStatus::Shipped) {
            self.cancel_if_voided(id, None).await?;
        }
        let tracking = tracking.and_then(|tracking| serde_json::to_value(tracking).ok());
        let mut conn = self.db.conn().await?;
        let (order, steps) = (*conn)
            .transaction(async |conn| {
                let mut order = store::lock(conn, id).await?.ok_or(OrderError::NotFound("order"))?;
                if order.status == to {
                    return Ok((order, [].as_slice()));
                }
                let steps = order.status.steps_to(to);
                if steps.is_empty() {
                    return Err(OrderError::InvalidTransition { from: order.status });
                }
                let from = order.status;
                for next in steps {
                    let tracking = tracking.clone().filter(|_| *next == to);
                    order = step(conn, &order, *next, actor, None, tracking).await?;
                }
                let entry = audit_entry("order.transitioned", &order).with("from", from).with("to", to);
                note_if_admin(conn, actor, entry).await?;
                Ok((order, steps))
            })
            .await?;
        steps.iter().copied().for_each(count);
        Ok(order)
    }
}
