//! Waking a relay when an event is committed, so that it need not wait for its next look.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::db::Db;
use crate::notices::{self, Notice};

/// Listens for ever, on a connection of its own. While there is none, the relay's regular look does.
pub(super) async fn listen(db: Db, wake: Arc<Notify>) {
    let channel = format!("eshopz_outbox_{}", db.schema());
    notices::listen(&db, &channel, |notice| match notice {
        // At the start for what was committed while nobody listened.
        Notice::Listening | Notice::Heard(_) => wake.notify_one(),
        Notice::Deaf => {}
    })
    .await;
}
