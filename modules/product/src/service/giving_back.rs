//! Parts of what an order holds or bought come back: lines that were cancelled, things that were returned.

use diesel_async::AsyncConnection as _;
use eshopz_product_api::GiveBackStock;

use super::ProductService;
use super::reserving::quantities;
use crate::domain::ReservationState;
use crate::error::ProductError;
use crate::store;

#[eshopz_crash::crash_points]
impl ProductService {
    /// Takes lines from what an order holds, once for each id. Nothing is left to do when all of it was
    /// released.
    ///
    /// # Errors
    /// [`ProductError::ExceedsHolding`]; [`ProductError::Field`] for quantities out of range.
    pub(crate) async fn give_back_stock(&self, command: GiveBackStock) -> Result<(), ProductError> {
        let lines = quantities(&command.lines)?;
        let (order, id) = (command.order_id.uuid(), command.id);
        let mut conn = self.db.conn().await?;
        let products = (*conn)
            .transaction(async |conn| {
                let sold = match store::reservations::lock(conn, order).await? {
                    None if lines.is_empty() => return Ok(Vec::new()),
                    None => return Err(ProductError::ExceedsHolding(command.order_id)),
                    Some(ReservationState::Released) => return Ok(Vec::new()),
                    Some(ReservationState::Held) => false,
                    Some(ReservationState::Sold) => true,
                };
                if store::returns::is_done(conn, order, id).await? {
                    return Ok(Vec::new());
                }
                let held = store::reservations::lines(conn, order).await?;
                if lines.iter().any(|(variant, quantity)| held.get(variant).is_none_or(|held| held < quantity)) {
                    return Err(ProductError::ExceedsHolding(command.order_id));
                }
                let variants: Vec<_> = lines.keys().copied().collect();
                let products = store::levels::lock(conn, &variants).await?.products;
                store::returns::give_back(conn, order, id, &lines, sold).await?;
                Ok::<_, ProductError>(products)
            })
            .await?;
        drop(conn);
        self.shelf.sold(products).await;
        Ok(())
    }
}
