//! Handing over what the module holds on a person: his carts.

use eshopz_kernel::Fault;
use eshopz_platform::db::StoreError;
use eshopz_user_api::{ExportPart, ExportRequested, UserApi};
use serde_json::json;
use uuid::Uuid;

use crate::service::CartService;
use crate::store;

/// Carts in a part; each can have a thousand lines.
const PAGE: i64 = 10;

impl CartService {
    /// Hands all of it over. Nothing is changed here, and the same part again is the same there, so the event may come
    /// any number of times.
    ///
    /// # Errors
    /// The database's, and those of the user module.
    pub(crate) async fn export(&self, request: &ExportRequested, users: &dyn UserApi) -> Result<(), Fault> {
        let mut after = Uuid::nil();
        for number in 0_u32.. {
            let page = {
                let mut conn = self.db.conn().await?;
                let page = store::export::exported(&mut conn, request.user_id.uuid(), after, PAGE).await;
                page.map_err(StoreError::from)?
            };
            let is_last = i64::try_from(page.len()).is_ok_and(|length| length < PAGE);
            after = page.last().map_or(after, |cart| cart.id);
            let carts: Vec<_> = page.into_iter().map(|cart| cart.document).collect();
            let (export_id, module, document) = (request.export_id, "cart".to_owned(), json!({"carts": carts}));
            users.deliver_export(ExportPart { export_id, module, number, is_last, document }).await?;
            if is_last {
                break;
            }
        }
        Ok(())
    }
}
