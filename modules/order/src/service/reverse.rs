//! What an accepted part of an order comes to: its things go back to the catalogue and its money to the payer,
//! each once, however often it is tried. The request does it at once; the listener of the part's event and a
//! job do it for a request that did not get there.

use diesel_async::AsyncConnection as _;
use eshopz_kernel::{Fault, OrderId, RefundId, VariantId};
use eshopz_payment_api::{RefundPayment, RefundStatus};
use eshopz_product_api::{GiveBackStock, StockLine};
use uuid::Uuid;

use super::{Delivery, OrderService};
use crate::domain::{RefundState, now};
use crate::error::OrderError;
use crate::store::{self, OrderRow, RefundNews, ReversalRow};

#[eshopz_crash::crash_points]
impl OrderService {
    /// Carries out an accepted part, also when that was done before.
    ///
    /// # Errors
    /// Those of the neighbours; all of it can be repeated.
    pub(super) async fn carry_out(&self, part: &ReversalRow, via: Option<Delivery>) -> Result<(), OrderError> {
        // Neither waits for the other: stock goes back even if the money cannot yet.
        let (stock, money) = futures::join!(self.give_stock_back(part), self.give_money_back(part));
        stock?;
        money?;
        let at = now();
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                if Delivery::claim(via, conn).await? {
                    store::set_reversal_done(conn, part.id, at).await?;
                }
                Ok(())
            })
            .await
    }

    /// The same, but what cannot be done now is no error.
    pub(super) async fn try_carry_out(&self, part: &ReversalRow) {
        if part.done_at.is_some() {
            return;
        }
        if let Err(error) = self.carry_out(part, None).await {
            tracing::warn!(part = %part.id, %error, "taken back, but stock or money is not; a listener will");
        }
    }

    /// Carries out the part that an event tells of.
    ///
    /// # Errors
    /// As [`Self::carry_out`].
    pub(crate) async fn carry_out_told(&self, id: Uuid, via: Delivery) -> Result<(), OrderError> {
        let part = self.part(id).await?;
        if part.done_at.is_none() { self.carry_out(&part, Some(via)).await } else { Ok(()) }
    }

    /// The part with this id; somebody who must know says that it exists.
    pub(super) async fn part(&self, id: Uuid) -> Result<ReversalRow, OrderError> {
        let mut conn = self.db.conn().await?;
        store::reversal(&mut conn, id).await?.ok_or(OrderError::UnknownReversal(id))
    }

    /// Carries out every part of an order that is not done: what is undone after it is the rest.
    pub(super) async fn carry_out_all(&self, order: &OrderRow) -> Result<(), OrderError> {
        let open = {
            let mut conn = self.db.conn().await?;
            store::open_reversals_of(&mut conn, order.order_id()).await?
        };
        for part in open {
            self.carry_out(&part, None).await?;
        }
        Ok(())
    }

    async fn give_stock_back(&self, part: &ReversalRow) -> Result<(), OrderError> {
        if part.restock != Some(true) {
            return Ok(());
        }
        let lines = {
            let mut conn = self.db.conn().await?;
            store::reversal_lines(&mut conn, &[part.id]).await?
        };
        let line = |line: store::ReversalLineRow| StockLine {
            variant_id: VariantId(line.variant_id),
            quantity: line.quantity,
        };
        let lines = lines.into_iter().map(line).collect();
        Ok(self.products.give_back(GiveBackStock { order_id: part.order(), id: part.id, lines }).await?)
    }

    /// Asks for the part's refund, the latest when one failed before, and notes how far it has come.
    pub(super) async fn give_money_back(&self, part: &ReversalRow) -> Result<(), OrderError> {
        let amount_minor = match part.refund_minor {
            Some(amount) if amount > 0 => amount,
            _ => return Ok(()),
        };
        let order = self.known(part.order()).await?;
        let latest = {
            let mut conn = self.db.conn().await?;
            store::refunds_of_parts(&mut conn, &[part.id]).await?.pop()
        };
        let id = RefundId(latest.map_or(part.id, |refund| refund.id));
        let status = self.ask_for_refund(&order, part, id).await?.unwrap_or(RefundStatus::Failed);
        self.note_refund(order.order_id(), id, amount_minor, status, None).await
    }

    /// Asks for a part's refund under an id; `None` when it was not begun, since the payment has nothing to give.
    pub(super) async fn ask_for_refund(
        &self,
        order: &OrderRow,
        part: &ReversalRow,
        id: RefundId,
    ) -> Result<Option<RefundStatus>, OrderError> {
        let command = RefundPayment {
            order_id: order.order_id(),
            refund_id: id,
            amount: order.money(part.refund_minor.unwrap_or(0)),
            reason: order.words_for_others(part.reason.as_deref()).map(str::to_owned),
        };
        match self.payments.refund(command).await {
            Ok(refund) => Ok(Some(refund.status)),
            // What another one takes may be there again: it can fail.
            Err(fault) if fault.code == EXCEEDS && self.older_are_pending(order, id).await? => {
                Ok(Some(RefundStatus::Pending))
            }
            Err(fault) if is_refused(&fault) => {
                tracing::warn!(order = %order.number, part = %part.id, %fault, "a refund was refused");
                Ok(None)
            }
            Err(fault) => Err(fault.into()),
        }
    }

    async fn older_are_pending(&self, order: &OrderRow, than: RefundId) -> Result<bool, OrderError> {
        let mut conn = self.db.conn().await?;
        Ok(store::older_are_pending(&mut conn, order.order_id(), than.uuid()).await?)
    }

    /// Notes how far a refund of an order's payment has come, one that somebody else asked for included.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn note_refund(
        &self,
        order: OrderId,
        refund: RefundId,
        amount_minor: i64,
        status: RefundStatus,
        via: Option<Delivery>,
    ) -> Result<(), OrderError> {
        if status == RefundStatus::Succeeded {
            self.look_again(refund.uuid()).await?;
        }
        let (order, id, status, at) = (order.uuid(), refund.uuid(), RefundState(status), now());
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                if Delivery::claim(via, conn).await? {
                    store::note_refund(conn, &RefundNews { id, order, amount_minor, reason: None, status, at }).await?;
                }
                Ok(())
            })
            .await
    }
}

/// There is not so much to give back.
const EXCEEDS: &str = "refund_exceeds_captured";

/// Whether it was refused for now: the money went back in another way, or never came.
fn is_refused(fault: &Fault) -> bool {
    [EXCEEDS, "payment_not_refundable"].contains(&fault.code.as_ref())
}
