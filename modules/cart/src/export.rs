//! Handing over what the module holds on a person: his carts.

use eshopz_kernel::Fault;
use eshopz_platform::db::StoreError;
use eshopz_user_api::{ExportRequested, Holding, UserApi, hand_over};

use crate::service::CartService;
use crate::store;

/// Each cart can have a thousand lines.
const HOLDING: Holding = Holding { module: "cart", list: "carts", page: 10 };

impl CartService {
    /// Hands all of it over.
    ///
    /// # Errors
    /// The database's, and those of the user module.
    pub(crate) async fn export(&self, request: &ExportRequested, users: &dyn UserApi) -> Result<(), Fault> {
        hand_over(users, request.export_id, HOLDING, |after| async move {
            let mut conn = self.db.conn().await?;
            let page = store::export::exported(&mut conn, request.user_id.uuid(), after, HOLDING.page.into()).await;
            Ok(page.map_err(StoreError::from)?.into_iter().map(|row| (row.id, row.document)).collect())
        })
        .await
    }
}
