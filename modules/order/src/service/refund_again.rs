//! Refunds of parts that failed: the payer is owed the money still. They are asked for again, a few times with
//! growing pauses, and by `eshopz verify --repair` whenever somebody wants it.

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::RefundId;
use eshopz_payment_api::RefundStatus;
use uuid::Uuid;

use super::OrderService;
use crate::domain::{OrderStatus, RefundState};
use crate::error::OrderError;
use crate::store::{self, OrderRow, RefundRow};

#[eshopz_crash::crash_points]
impl OrderService {
    /// Asks again for a refund that failed; false when nothing is owed, or nothing came of it.
    ///
    /// # Errors
    /// Those of the payment module; all of it can be repeated.
    pub(super) async fn refund_again(&self, id: Uuid) -> Result<bool, OrderError> {
        let failed = self.refund(id).await?;
        let (part, order) = (self.part(failed.part()).await?, self.known(failed.order_id.into()).await?);
        if !self.is_owed(&order, &failed).await? {
            return Ok(false);
        }
        // First under its own id: what was refused for a moment only was never begun, or somebody else began it.
        match self.ask_for_refund(&order, &part, RefundId(id)).await? {
            Some(RefundStatus::Failed) => {}
            Some(status) => return self.revive(id, RefundState(status)).await,
            None => return Ok(false),
        }
        if !self.begin_again(&order, &failed).await? {
            return Ok(false);
        }
        self.give_money_back(&part).await?;
        Ok(true)
    }

    /// News that a refund was paid which counts as failed here: either they are older than its failure, or it was begun
    /// after all, and whoever had it begun died before writing that down. The payment module knows.
    pub(super) async fn look_again(&self, id: Uuid) -> Result<(), OrderError> {
        let Some(failed) = self.failed_part(id).await? else { return Ok(()) };
        let (part, order) = (self.part(failed.part()).await?, self.known(failed.order_id.into()).await?);
        match self.ask_for_refund(&order, &part, RefundId(id)).await? {
            Some(RefundStatus::Failed) | None => Ok(()),
            Some(status) => self.revive(id, RefundState(status)).await.map(drop),
        }
    }

    /// A refund of a part, if it has failed.
    async fn failed_part(&self, id: Uuid) -> Result<Option<RefundRow>, OrderError> {
        let mut conn = self.db.conn().await?;
        let failed = store::refund(&mut conn, id).await?.filter(|row| row.status.0 == RefundStatus::Failed);
        let Some(failed) = failed else { return Ok(None) };
        Ok(store::reversal(&mut conn, failed.part()).await?.map(|_| failed))
    }

    /// The refund with this id.
    pub(super) async fn refund(&self, id: Uuid) -> Result<RefundRow, OrderError> {
        let mut conn = self.db.conn().await?;
        store::refund(&mut conn, id).await?.ok_or(OrderError::UnknownReversal(id))
    }

    async fn is_owed(&self, order: &OrderRow, failed: &RefundRow) -> Result<bool, OrderError> {
        let mut conn = self.db.conn().await?;
        is_owed(&mut conn, order, failed).await
    }

    async fn revive(&self, id: Uuid, status: RefundState) -> Result<bool, OrderError> {
        let mut conn = self.db.conn().await?;
        Ok(store::revive_refund(&mut conn, id, status).await? == 1)
    }

    /// Writes down the next refund of the part, before anybody is asked for it; false when somebody else has.
    async fn begin_again(&self, order: &OrderRow, failed: &RefundRow) -> Result<bool, OrderError> {
        let (id, part) = (order.order_id(), failed.part());
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let order = store::lock(conn, id).await?.ok_or(OrderError::UnknownOrder(id.uuid()))?;
                let latest = store::refunds_of_parts(conn, &[part]).await?.pop();
                let is_latest = latest.is_some_and(|row| row.id == failed.id && row.status == failed.status);
                if !is_latest || !is_owed(conn, &order, failed).await? {
                    return Ok(false);
                }
                store::insert_attempt(conn, failed, Uuid::now_v7()).await?;
                Ok(true)
            })
            .await
    }
}

/// Whether a failed refund is still owed: a cancelled order gives back all that is left by itself, and staff may
/// have refunded by hand what did not arrive.
#[eshopz_crash::crash_points]
async fn is_owed(conn: &mut AsyncPgConnection, order: &OrderRow, failed: &RefundRow) -> Result<bool, OrderError> {
    if order.status == OrderStatus::Cancelled {
        return Ok(false);
    }
    Ok(store::owed(conn, order.order_id(), failed.part()).await? >= failed.amount_minor)
}
