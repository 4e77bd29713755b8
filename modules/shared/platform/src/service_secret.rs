//! The secret that the processes of a shop share when the operator has set none: made by the first
//! migration that needed it, read by every module's role, and by no one else.

use diesel::QueryableByName;
use diesel::sql_types::Text;

use crate::db::{Db, Single as _, StoreError};

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    secret: String,
}

/// Reads the secret of the database behind a module's pool, 64 random hex digits. Modules on different
/// databases see different ones.
///
/// # Errors
/// When the database cannot be reached, or is not migrated.
pub async fn read(db: &Db) -> Result<String, StoreError> {
    let mut conn = db.conn().await?;
    let row: Row = diesel::sql_query("SELECT secret FROM service.secrets").single(&mut conn).await?;
    Ok(row.secret)
}
