//! Telling every process of a module that something has changed, by `NOTIFY` on the module's database:
//! whoever can commit a change can also tell of it, with or without Redis.
//!
//! What is told at about the same time goes out together. It is told after the commit, for a `NOTIFY` in
//! the transaction itself would make all commits queue up behind one lock. So a crash between the two
//! tells nobody: what is told here may only be what ages by itself.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::sql_types::{Array, Text};
use diesel_async::RunQueryDsl as _;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::db::{Db, StoreError};
use crate::notices::{self, Notice};
use crate::prepared::prepared;

/// Keys of one notification: its payload has to stay below 8,000 bytes.
const KEYS_AT_ONCE: usize = 150;
/// The longest payload.
const PAYLOAD_AT_MOST: usize = 7_900;
/// Notifications of one batch; with more to tell, "everything" is told.
const NOTIFICATIONS_AT_ONCE: usize = 20;
/// How long the teller waits until it is out, and then until this process has heard it.
const OUT_WITHIN: Duration = Duration::from_secs(1);
const HEARD_WITHIN: Duration = Duration::from_millis(100);
/// How often and after which pause it is tried again.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// What a process learns about the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// From now on it hears of every change. It may have missed some before.
    Listening,
    /// From now on it hears of none.
    Deaf,
    /// Another process has changed these.
    Changed {
        keys: Vec<String>,
        /// That process could not clean up in Redis.
        unclean: bool,
    },
    /// Another process has changed more than it could name.
    ChangedEverything,
}

/// A channel on which the processes of a module tell each other of changes. Clones share it.
#[derive(Clone)]
pub struct Broadcast(Arc<Shared>);

struct Shared {
    db: Db,
    channel: String,
    /// Tells this process from the others.
    origin: String,
    pending: Mutex<Pending>,
    /// The last batch that is out, and the last that was heard here; batches count from 1.
    out: watch::Sender<u64>,
    heard: watch::Sender<u64>,
    listening: watch::Sender<bool>,
}

#[derive(Default)]
struct Pending {
    keys: BTreeSet<String>,
    unclean: bool,
    /// Batches that were begun.
    begun: u64,
    sending: bool,
}

/// A payload.
#[derive(Debug, Serialize, Deserialize)]
struct Message {
    from: String,
    batch: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unclean: bool,
    /// `None`: everything.
    keys: Option<Vec<String>>,
}

impl std::fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broadcast").field("channel", &self.0.channel).finish_non_exhaustive()
    }
}

impl Broadcast {
    /// The channel `eshopz_<name>_<schema>`.
    #[must_use]
    pub fn new(db: Db, name: &str) -> Self {
        let channel = format!("eshopz_{name}_{}", db.schema());
        let origin = format!("{:016x}", rand::random::<u64>());
        Self(Arc::new(Shared {
            db,
            channel,
            origin,
            pending: Mutex::default(),
            out: watch::Sender::new(0),
            heard: watch::Sender::new(0),
            listening: watch::Sender::new(false),
        }))
    }

    /// Tells the others, and waits until it is out and this process itself has heard it, so that the
    /// others are about to; within bounds, and without failing. `unclean`: Redis still has what changed.
    pub async fn tell(&self, keys: impl IntoIterator<Item = String>, unclean: bool) {
        let Some(batch) = self.add(keys, unclean) else { return };
        let mut out = self.0.out.subscribe();
        let told = timeout(OUT_WITHIN, out.wait_for(|out| *out >= batch)).await.is_ok();
        if told && *self.0.listening.borrow() {
            let mut heard = self.0.heard.subscribe();
            // Late is not lost: it is on its way.
            let _ = timeout(HEARD_WITHIN, heard.wait_for(|heard| *heard >= batch)).await;
        }
    }

    /// Tells the others soon, without waiting.
    pub fn tell_later(&self, keys: impl IntoIterator<Item = String>, unclean: bool) {
        let _ = self.add(keys, unclean);
    }

    /// Whether this process hears of the others' changes.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        *self.0.listening.borrow()
    }

    /// Listens until it is told to stop.
    pub async fn run(self, on: impl Fn(News) + Send + Sync, mut shutdown: watch::Receiver<bool>) {
        let shared = &self.0;
        let listening = notices::listen(&shared.db, &shared.channel, |notice| {
            if let Some(news) = shared.understand(notice) {
                on(news);
            }
        });
        tokio::select! {
            () = listening => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
        shared.listening.send_replace(false);
        on(News::Deaf);
    }

    /// Puts keys into the next batch; its number, unless there is nothing to tell.
    fn add(&self, keys: impl IntoIterator<Item = String>, unclean: bool) -> Option<u64> {
        let mut pending = self.0.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.keys.extend(keys);
        if pending.keys.is_empty() {
            return None;
        }
        pending.unclean |= unclean;
        if !mem::replace(&mut pending.sending, true) {
            drop(self.0.db.tasks().spawn(Arc::clone(&self.0).send()));
        }
        Some(pending.begun.saturating_add(1))
    }
}

impl Shared {
    fn understand(&self, notice: Notice<'_>) -> Option<News> {
        match notice {
            Notice::Listening => {
                self.listening.send_replace(true);
                Some(News::Listening)
            }
            Notice::Deaf => {
                self.listening.send_replace(false);
                Some(News::Deaf)
            }
            // What a newer version says in another way may be anything.
            Notice::Heard(payload) => {
                serde_json::from_str(payload).map_or(Some(News::ChangedEverything), |message| self.take_in(message))
            }
        }
    }

    fn take_in(&self, message: Message) -> Option<News> {
        if message.from == self.origin {
            self.heard.send_if_modified(|heard| {
                let news = message.batch > *heard;
                *heard = message.batch.max(*heard);
                news
            });
            return None;
        }
        Some(match message.keys {
            Some(keys) => News::Changed { keys, unclean: message.unclean },
            None => News::ChangedEverything,
        })
    }

    /// Sends one batch after the other until nothing is pending.
    async fn send(self: Arc<Self>) {
        while let Some((batch, payloads)) = self.next() {
            for attempt in 1..=TRIES {
                match self.notify(&payloads).await {
                    Ok(()) => break,
                    Err(error) if attempt == TRIES => {
                        tracing::warn!(channel = self.channel, %error, "the others were not told of a change");
                    }
                    Err(_) => sleep(PAUSE).await,
                }
            }
            self.out.send_replace(batch);
        }
    }

    fn next(&self) -> Option<(u64, Vec<String>)> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.keys.is_empty() {
            pending.sending = false;
            return None;
        }
        pending.begun = pending.begun.saturating_add(1);
        let keys: Vec<String> = mem::take(&mut pending.keys).into_iter().collect();
        let unclean = mem::take(&mut pending.unclean);
        Some((pending.begun, self.payloads(pending.begun, &keys, unclean)))
    }

    fn payloads(&self, batch: u64, keys: &[String], unclean: bool) -> Vec<String> {
        let message = |keys: Option<&[String]>| {
            let keys = keys.map(<[String]>::to_vec);
            serde_json::to_string(&Message { from: self.origin.clone(), batch, unclean, keys }).unwrap_or_default()
        };
        let payloads: Vec<String> = keys.chunks(KEYS_AT_ONCE).map(|some| message(Some(some))).collect();
        // What is not clean has to be named, however much it is: the others look after just that.
        let too_many = payloads.len() > NOTIFICATIONS_AT_ONCE && !unclean;
        let too_much = too_many || payloads.iter().any(|payload| payload.len() > PAYLOAD_AT_MOST);
        if too_much { vec![message(None)] } else { payloads }
    }

    /// In one statement, whose commit nobody waits for: what is not on disk after a crash was heard by
    /// nobody who survived it.
    async fn notify(&self, payloads: &[String]) -> Result<(), StoreError> {
        let mut conn = self.db.conn().await?;
        prepared(
            diesel::sql_query(
                "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, payload) \
                 FROM unnest($2) AS payload",
            )
            .bind::<Text, _>(&self.channel)
            .bind::<Array<Text>, _>(payloads),
        )
        .execute(&mut conn)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::DbConfig;

    fn shared() -> Broadcast {
        let config = DbConfig {
            url: "postgres://u@127.0.0.1:1/db".to_owned(),
            reader_url: None,
            max_connections: 1,
            acquire_timeout: Duration::from_secs(1),
        };
        Broadcast::new(Db::new("carts", &config).unwrap(), "test")
    }

    #[tokio::test]
    async fn every_payload_is_short_enough() {
        let broadcast = shared();
        let keys: Vec<String> = (0..1_000).map(|_| uuid::Uuid::now_v7().to_string()).collect();
        let payloads = broadcast.0.payloads(u64::MAX, &keys, true);
        assert_eq!(payloads.len(), 7);
        assert!(payloads.iter().all(|payload| payload.len() <= PAYLOAD_AT_MOST));
        let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
        assert_eq!(broadcast.0.payloads(1, &many, false).len(), 1);
        let named = broadcast.0.payloads(1, &many, true).into_iter().flat_map(|payload| {
            let message: Message = serde_json::from_str(&payload).unwrap();
            message.keys.filter(|_| message.unclean).unwrap()
        });
        assert_eq!(named.collect::<Vec<_>>(), many);
        let long = ["x".repeat(8_000)];
        assert!(broadcast.0.payloads(1, &long, false).iter().all(|payload| payload.len() < 100));
    }

    #[tokio::test]
    async fn what_others_changed_is_news_and_the_own_is_not() {
        let (ours, theirs) = (shared(), shared());
        let keys = ["a".to_owned()];
        let told = theirs.0.payloads(3, &keys, true).remove(0);
        let news = News::Changed { keys: keys.to_vec(), unclean: true };
        assert_eq!(ours.0.understand(Notice::Heard(&told)), Some(news));
        assert_eq!(theirs.0.understand(Notice::Heard(&told)), None);
        assert_eq!(*theirs.0.heard.borrow(), 3);
        assert_eq!(ours.0.understand(Notice::Heard("?")), Some(News::ChangedEverything));
    }
}
