//! Handing over what the module holds on a person: his orders, with all that belongs to them.

use eshopz_kernel::Fault;
use eshopz_platform::db::StoreError;
use eshopz_user_api::{ExportPart, ExportRequested};
use serde_json::json;
use uuid::Uuid;

use crate::service::OrderService;
use crate::store;

/// Orders in a part.
const PAGE: i64 = 100;

impl OrderService {
    /// Hands all of it over. Nothing is changed here, and the same part again is the same there, so the event may come
    /// any number of times.
    ///
    /// # Errors
    /// The database's, and those of the user module.
    pub(crate) async fn export(&self, request: &ExportRequested) -> Result<(), Fault> {
        let ExportRequested { export_id, user_id, email_hash, .. } = request;
        let mut after = Uuid::nil();
        for number in 0_u32.. {
            let page = {
                let mut conn = self.db.conn().await?;
                let page = store::exported(&mut conn, *user_id, email_hash.as_deref(), after, PAGE).await;
                page.map_err(StoreError::from)?
            };
            let is_last = i64::try_from(page.len()).is_ok_and(|length| length < PAGE);
            after = page.last().map_or(after, |order| order.id);
            let orders: Vec<_> = page.into_iter().map(|order| order.document).collect();
            let (export_id, module, document) = (*export_id, "order".to_owned(), json!({"orders": orders}));
            self.users.deliver_export(ExportPart { export_id, module, number, is_last, document }).await?;
            if is_last {
                break;
            }
        }
        Ok(())
    }
}
