//! Cancelling: first the order, or lines of it, in one transaction; then the money and the stock, each of
//! which can be given back any number of times.

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::OrderId;
use eshopz_platform::http::IfMatch;
use eshopz_platform::idempotency::{self, Claim};
use uuid::Uuid;

use super::cancel_lines::cancel_lines;
use super::{Delivery, OrderService, audit_entry, count, note_if_admin, step};
use crate::domain::{Actor, OrderStatus, Quantities, now};
use crate::error::OrderError;
use crate::store::{self, OrderRow, ReversalRow};

/// Cancel an order, or some of its lines.
#[derive(Clone, Debug)]
pub struct CancelOrder {
    pub order: OrderId,
    pub actor: Actor,
    pub reason: Option<String>,
    /// The whole order, when there are none.
    pub items: Option<Quantities>,
    pub if_match: IfMatch,
}

/// What a cancellation has come to.
enum Cancelled {
    /// Changed unless it was cancelled before.
    Whole {
        order: OrderRow,
        changed: bool,
    },
    Lines {
        order: OrderRow,
        part: ReversalRow,
    },
}

#[eshopz_crash::crash_points]
impl OrderService {
    /// Cancels an order that has not left the house, or lines of one that is paid. The row's lock decides
    /// between this and a shipment at the same moment. An order that is cancelled whole stays as it is.
    ///
    /// # Errors
    /// `invalid_transition`; for lines also `order_not_paid` and `exceeds_ordered`; 412. That money or stock
    /// cannot be given back now is no error: a listener sees to it.
    pub async fn cancel(&self, command: &CancelOrder, claim: Option<&Claim>) -> Result<OrderRow, OrderError> {
        let part = Uuid::now_v7();
        let mut conn = self.db.conn().await?;
        let cancelled = (*conn)
            .transaction(async |conn| {
                if let Some(claim) = claim
                    && !idempotency::record(conn, claim, part).await?
                {
                    return Err(OrderError::KeyInUse);
                }
                cancel_locked(conn, command, part).await
            })
            .await?;
        drop(conn);
        match cancelled {
            Cancelled::Whole { order, changed } => {
                if changed {
                    count(OrderStatus::Cancelled);
                }
                self.try_undo(order).await
            }
            Cancelled::Lines { order, part } => {
                self.try_carry_out(&part).await;
                Ok(order)
            }
        }
    }

    /// Goes on with a cancellation that broke off: what it decided stands, under this id.
    ///
    /// # Errors
    /// The database's.
    pub async fn resume_cancel(&self, order: OrderId, part_id: Uuid) -> Result<OrderRow, OrderError> {
        let (order, part) = {
            let mut conn = self.db.conn().await?;
            let order = store::by_id(&mut conn, order).await?.ok_or(OrderError::UnknownOrder(order.uuid()))?;
            (order, store::reversal(&mut conn, part_id).await?)
        };
        match part {
            Some(part) => {
                self.try_carry_out(&part).await;
                Ok(order)
            }
            None if order.status == OrderStatus::Cancelled => self.try_undo(order).await,
            None => Err(OrderError::UnknownReversal(part_id)),
        }
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
                store::end_sale(conn, id).await?;
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

    pub(super) async fn try_undo(&self, order: OrderRow) -> Result<OrderRow, OrderError> {
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
        // What was taken back before is refunded by itself; the rest is what is undone below.
        self.carry_out_all(&order).await?;
        // A payment that does not exist could still be made, and paid, after this.
        if order.finished_at.is_none() {
            self.bind(&order).await?;
        }
        let id = order.order_id();
        let reason = order.words_for_others(order.cancel_reason.as_deref()).unwrap_or("order_cancelled");
        // Neither waits for the other: stock goes back even if the money cannot yet.
        let (refunded, released) = futures::join!(self.payments.undo(id, reason), self.products.release(id));
        refunded?;
        released?;
        let at = now();
        let mut conn = self.db.conn().await?;
        let undone = (*conn)
            .transaction(async |conn| {
                if !Delivery::claim(via, conn).await? {
                    return Ok(false);
                }
                store::set_finished(conn, id, at).await?;
                Ok::<_, OrderError>(store::set_undone(conn, id, at).await? == 1)
            })
            .await?;
        order.finished_at = order.finished_at.or(Some(at));
        order.undone_at = order.undone_at.or(undone.then_some(at));
        Ok(order)
    }
}

/// Cancels an order or, under the id `part`, lines of it. All that is left of it is all of it.
#[eshopz_crash::crash_points]
async fn cancel_locked(
    conn: &mut AsyncPgConnection,
    command: &CancelOrder,
    part: Uuid,
) -> Result<Cancelled, OrderError> {
    let id = command.order;
    let order = store::lock(conn, id).await?.ok_or(OrderError::UnknownOrder(id.uuid()))?;
    command.if_match.check(order.version)?;
    if let Some(wanted) = &command.items
        && let Some((order, part)) = cancel_lines(conn, &order, command, wanted, part).await?
    {
        return Ok(Cancelled::Lines { order, part });
    }
    match order.status {
        OrderStatus::Cancelled => Ok(Cancelled::Whole { order, changed: false }),
        from if from.is_cancellable() => {
            let reason = command.reason.as_deref();
            let order = step(conn, &order, OrderStatus::Cancelled, command.actor, reason, None).await?;
            let entry = audit_entry("order.cancelled", &order).with("from", from);
            note_if_admin(conn, command.actor, entry).await?;
            Ok(Cancelled::Whole { order, changed: true })
        }
        from => Err(OrderError::InvalidTransition { from }),
    }
}

/// Cancels a locked order if it is unpaid.
#[eshopz_crash::crash_points]
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
