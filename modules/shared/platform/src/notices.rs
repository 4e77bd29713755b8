//! Listening on a channel of PostgreSQL, on a connection of its own.

use std::pin::{Pin, pin};
use std::time::Duration;

use futures::{Stream, TryStreamExt as _, stream};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use crate::db::{Db, encryption};

/// The first pause before the connection is tried again, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// How often the connection is tried out, and how long that may take: one whose other end is gone says
/// nothing, and that is no sign that nothing happens.
const TRIED_EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(3);

/// What a listener learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice<'a> {
    /// From now on everything is heard. What was said before may have been missed.
    Listening,
    /// The payload of a notification.
    Heard(&'a str),
    /// From now on nothing is heard.
    Deaf,
}

/// Listens for ever; while there is no connection, it tries to get one.
pub(crate) async fn listen(db: &Db, channel: &str, mut tell: impl FnMut(Notice<'_>)) {
    let [first, longest] = PAUSES;
    let mut pause = first;
    loop {
        let began = Instant::now();
        let moved = db.moved();
        let ended = tokio::select! {
            ended = session(db, channel, &mut tell) => Some(ended),
            // The database is elsewhere now, or its password is another.
            () = moved => None,
        };
        tell(Notice::Deaf);
        let Some(ended) = ended else { continue };
        if began.elapsed() > longest {
            pause = first;
        }
        tracing::warn!(channel, error = ?ended.err(), ?pause, "not listening to the database; connecting again");
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// One connection's life.
async fn session(db: &Db, channel: &str, tell: &mut impl FnMut(Notice<'_>)) -> Result<(), Ended> {
    let (client, mut connection) = encryption::connect(&db.session_config()).await?;
    let mut messages = pin!(stream::poll_fn(move |context| connection.poll_message(context)));
    let listen = format!("LISTEN {channel}");
    hear_during(async { Ok(client.batch_execute(&listen).await?) }, messages.as_mut(), tell).await?;
    tell(Notice::Listening);
    hear_during(stay(&client), messages, tell).await
}

/// Drives the connection, and tells what comes, until some work on it is done.
async fn hear_during(
    work: impl Future<Output = Result<(), Ended>>,
    mut messages: Pin<&mut impl Stream<Item = Result<AsyncMessage, tokio_postgres::Error>>>,
    tell: &mut impl FnMut(Notice<'_>),
) -> Result<(), Ended> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            message = messages.try_next() => {
                if let AsyncMessage::Notification(notification) = message?.ok_or(Ended::Closed)? {
                    tell(Notice::Heard(notification.payload()));
                }
            }
        }
    }
}

/// Tries the connection out until it does not answer.
async fn stay(client: &Client) -> Result<(), Ended> {
    loop {
        sleep(TRIED_EVERY).await;
        timeout(PATIENCE, client.batch_execute("")).await.map_err(|_| Ended::Silent)??;
    }
}

/// Why a connection was given up.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Failed(#[from] tokio_postgres::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server does not answer")]
    Silent,
}
