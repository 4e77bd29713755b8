//! Periodic work: removing what has expired, and locking anew what is locked with a secret of before.

use std::sync::Arc;
use std::time::Duration;

use eshopz_platform::db::Db;
use eshopz_platform::jobs::Periodic;

use crate::error::UserError;
use crate::service::UserService;
use crate::store;

/// Rows per statement, so that none holds much.
const BATCH: i64 = 1_000;

/// The module's jobs.
pub fn all(service: &Arc<UserService>) -> Vec<Periodic> {
    let (sweeping, exporting) = (Arc::clone(service), Arc::clone(service));
    let (resealing, erasing) = (Arc::clone(service), Arc::clone(service));
    vec![
        Periodic::new("sweep_credentials", Duration::from_secs(600), move || {
            let service = Arc::clone(&sweeping);
            async move {
                sweep_credentials(&service.db).await?;
                Ok(service.keyring.sweep().await?)
            }
        }),
        Periodic::new("sweep_exports", Duration::from_secs(60), move || {
            let service = Arc::clone(&exporting);
            async move { Ok(service.sweep_exports().await?) }
        }),
        Periodic::new("reseal_second_factors", Duration::from_secs(120), move || {
            let service = Arc::clone(&resealing);
            async move { Ok(service.reseal_second_factors().await?) }
        }),
        Periodic::new("repeat_erasures", Duration::from_secs(60), move || {
            let service = Arc::clone(&erasing);
            async move { Ok(service.repeat_erasures().await?) }
        }),
    ]
}

/// Tokens go before their sessions: whoever refreshes takes the locks in the same order.
async fn sweep_credentials(db: &Db) -> Result<(), UserError> {
    let mut conn = db.conn().await?;
    while store::mailed_tokens::sweep(&mut conn, BATCH).await? > 0 {}
    while store::sessions::sweep_tokens(&mut conn, BATCH).await? > 0 {}
    while store::sessions::sweep(&mut conn, BATCH).await? > 0 {}
    Ok(())
}
