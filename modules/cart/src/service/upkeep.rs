//! What happens to carts without a request: their time runs out, or their customer leaves.

use chrono::TimeDelta;
use diesel_async::AsyncConnection as _;
use eshopz_kernel::{EventId, UserId};
use eshopz_platform::events::inbox;

use super::CartService;
use crate::error::CartError;
use crate::store;

/// Rows per statement, so that none of them holds much for long.
const BATCH: i64 = 500;

/// How long a guest's abandoned cart can still be read.
const KEPT_ABANDONED: TimeDelta = TimeDelta::days(30);

impl CartService {
    /// Marks the open carts whose time is up as abandoned.
    ///
    /// # Errors
    /// [`CartError::Store`]; what was done before stays done.
    pub async fn abandon_expired(&self) -> Result<(), CartError> {
        let mut conn = self.db.conn().await?;
        loop {
            let done = store::carts::abandon_expired(&mut conn, BATCH).await?;
            let count = u64::try_from(done).unwrap_or(0);
            metrics::counter!("eshopz_carts_abandoned_total", "module" => "cart").increment(count);
            if i64::try_from(done).is_ok_and(|done| done < BATCH) {
                return Ok(());
            }
        }
    }

    /// Removes guests' carts that have been abandoned for long.
    ///
    /// # Errors
    /// [`CartError::Store`]; what was done before stays done.
    pub async fn delete_abandoned(&self) -> Result<(), CartError> {
        let mut conn = self.db.conn().await?;
        loop {
            let done = store::carts::delete_abandoned_guests(&mut conn, KEPT_ABANDONED, BATCH).await?;
            if i64::try_from(done).is_ok_and(|done| done < BATCH) {
                return Ok(());
            }
        }
    }

    /// Removes the carts of a customer who is gone, once per event.
    ///
    /// # Errors
    /// [`CartError::Store`].
    pub async fn forget_customer(&self, listener: &str, event: EventId, customer: UserId) -> Result<(), CartError> {
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                if inbox::claim(conn, listener, event).await? {
                    store::carts::delete_of_customer(conn, customer.uuid()).await?;
                }
                Ok(())
            })
            .await
    }
}
