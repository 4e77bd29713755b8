//! Handing over what the module holds on a person: his payments, with every attempt, capture and refund.

use eshopz_kernel::Fault;
use eshopz_platform::db::StoreError;
use eshopz_user_api::{ExportPart, ExportRequested, UserApi};
use serde_json::json;
use uuid::Uuid;

use crate::service::PaymentService;
use crate::store;

/// Payments in a part.
const PAGE: i64 = 100;

impl PaymentService {
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
            after = page.last().map_or(after, |payment| payment.id);
            let payments: Vec<_> = page.into_iter().map(|payment| payment.document).collect();
            let (export_id, module, document) =
                (request.export_id, "payment".to_owned(), json!({"payments": payments}));
            users.deliver_export(ExportPart { export_id, module, number, is_last, document }).await?;
            if is_last {
                break;
            }
        }
        Ok(())
    }
}
