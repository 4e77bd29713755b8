//! Handing over what the module holds on a person: his orders, with all that belongs to them.

use eshopz_kernel::Fault;
use eshopz_platform::db::StoreError;
use eshopz_user_api::{ExportRequested, Holding, hand_over};

use crate::service::OrderService;
use crate::store;

/// Orders.
const HOLDING: Holding = Holding { module: "order", list: "orders", page: 100 };

impl OrderService {
    /// Hands all of it over.
    ///
    /// # Errors
    /// The database's, and those of the user module.
    pub(crate) async fn export(&self, request: &ExportRequested) -> Result<(), Fault> {
        hand_over(self.users.as_ref(), request.export_id, HOLDING, |after| async move {
            let mut conn = self.db.conn().await?;
            let page = store::exported(&mut conn, request, after, HOLDING.page.into()).await;
            Ok(page.map_err(StoreError::from)?.into_iter().map(|row| (row.id, row.document)).collect())
        })
        .await
    }
}
