//! Waking a relay when an event is committed, so that it need not wait for its next look.

use std::sync::Arc;
use std::time::Duration;

use futures::{TryStreamExt as _, stream};
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, NoTls};

use crate::db::Db;

/// The longest pause before the connection is tried again.
const PAUSE_AT_MOST: Duration = Duration::from_secs(30);

/// Listens for ever, on a connection of its own. While there is none, the relay's regular look does.
pub(super) async fn listen(db: Db, wake: Arc<Notify>) {
    let mut pause = Duration::from_secs(1);
    loop {
        let began = tokio::time::Instant::now();
        let ended = session(&db, &wake).await;
        if began.elapsed() > PAUSE_AT_MOST {
            pause = Duration::from_secs(1);
        }
        tracing::warn!(
            module = db.schema(), error = ?ended.err(), ?pause, "not listening for events; connecting again"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_AT_MOST);
    }
}

/// One connection's life.
async fn session(db: &Db, wake: &Notify) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = db.session_config().connect(NoTls).await?;
    let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
    let subscribe = async {
        client.batch_execute(&format!("LISTEN eshopz_outbox_{}", db.schema())).await?;
        // For what was committed while nobody listened.
        wake.notify_one();
        Ok(())
    };
    let pump = async {
        while let Some(message) = messages.try_next().await? {
            if matches!(message, AsyncMessage::Notification(_)) {
                wake.notify_one();
            }
        }
        Ok(())
    };
    tokio::try_join!(subscribe, pump).map(|_| ())
}
