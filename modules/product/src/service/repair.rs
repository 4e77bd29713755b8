//! What `eshopz verify --repair` may do to the stock: what follows from the reservations, and nothing that only
//! somebody in the warehouse can know.

use diesel_async::AsyncConnection as _;
use eshopz_kernel::{OrderId, VariantId};
use uuid::Uuid;

use super::ProductService;
use crate::domain::{MovementKind, ReservationState};
use crate::error::ProductError;
use crate::store;
use crate::store::levels::Change;

impl ProductService {
    /// Frees what an order still holds, with a movement of nothing for each variant that says so; false when it
    /// holds nothing, or has bought it.
    ///
    /// # Errors
    /// The statements'.
    pub(crate) async fn free_held(&self, order: OrderId, reason: &str, actor: &str) -> Result<bool, ProductError> {
        let id = order.uuid();
        let mut conn = self.db.conn().await?;
        let freed = (*conn)
            .transaction(async |conn| {
                if store::reservations::lock(conn, id).await? != Some(ReservationState::Held) {
                    return Ok(None);
                }
                let variants: Vec<_> = store::reservations::lines(conn, id).await?.into_keys().collect();
                let locked = store::levels::lock(conn, &variants).await?;
                store::reservations::free(conn, &[id]).await?;
                for (variant, level) in &locked.levels {
                    store::levels::change(conn, &entry(*variant, level.on_hand, reason, actor)).await?;
                }
                Ok::<_, ProductError>(Some(locked.products))
            })
            .await?;
        drop(conn);
        let is_freed = freed.is_some();
        self.shelf.sold(freed.into_iter().flatten()).await;
        Ok(is_freed)
    }

    /// Counts anew how much of a variant is reserved, from what orders hold, with a movement of nothing that
    /// says so. False when it is right, or the variant has no stock.
    ///
    /// # Errors
    /// [`ProductError::StockReserved`] when orders hold more than there is.
    pub(crate) async fn count_reserved(
        &self,
        variant: VariantId,
        reason: &str,
        actor: &str,
    ) -> Result<bool, ProductError> {
        let id = variant.uuid();
        let mut conn = self.db.conn().await?;
        let counted = (*conn)
            .transaction(async |conn| {
                let locked = store::levels::lock(conn, &[id]).await?;
                let Some(level) = locked.levels.get(&id) else { return Ok(None) };
                if store::levels::count_reserved(conn, id).await? == 0 {
                    return Ok(None);
                }
                store::levels::change(conn, &entry(id, level.on_hand, reason, actor)).await?;
                Ok::<_, ProductError>(Some(locked.products))
            })
            .await
            .map_err(ProductError::by_constraint)?;
        drop(conn);
        let is_counted = counted.is_some();
        self.shelf.sold(counted.into_iter().flatten()).await;
        Ok(is_counted)
    }
}

/// A movement of nothing, for the ledger to say what was done.
const fn entry<'a>(variant_id: Uuid, on_hand: i64, reason: &'a str, actor: &'a str) -> Change<'a> {
    Change { variant_id, on_hand, delta: 0, kind: MovementKind::Adjustment, reason: Some(reason), actor }
}
