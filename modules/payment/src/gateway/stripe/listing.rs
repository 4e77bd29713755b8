//! Stripe's list of intents, a piece at a time, so that no more than a piece is in memory.
//!
//! Stripe gives the newest first and takes a moment from which on to list. What stands for it may do neither:
//! localstripe refuses the moment and gives the oldest first. So the moment is asked for, and left out once it
//! was refused; and the list counts as read down to a moment only on a piece that is seen to go down.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::charges::{attempt, listed};
use super::client::{CallError, Client};
use super::lookup::PAGE;
use super::objects::{Intent, List};
use crate::gateway::GatewayPage;

/// The list, and what is known of whoever gives it.
pub(super) struct Listing {
    /// It takes a moment from which on to list, as far as we know.
    takes_a_moment: AtomicBool,
}

/// What reading the list for an attempt has come to.
pub(super) enum Walked {
    /// The intent's name.
    Found(String),
    Nothing {
        /// All of the list was read, whatever is in it about times.
        is_whole: bool,
    },
}

impl Walked {
    pub(super) fn found(self) -> Option<String> {
        match self {
            Self::Found(id) => Some(id),
            Self::Nothing { .. } => None,
        }
    }
}

/// A piece, and whether it begins or ends at a moment because we asked for that.
struct Piece {
    intents: List<Intent>,
    is_cut: bool,
}

impl Listing {
    pub(super) const fn new() -> Self {
        Self { takes_a_moment: AtomicBool::new(true) }
    }

    /// Reads the list for the intent of an attempt that was made after a moment.
    pub(super) async fn walk(&self, client: &Client, key: Uuid, since: DateTime<Utc>) -> Result<Walked, CallError> {
        let mut cursor = None;
        loop {
            let Piece { intents, is_cut } = self.piece(client, since, cursor.as_deref()).await?;
            if let Some(found) = intents.data.iter().find(|intent| attempt(intent) == Some(key)) {
                return Ok(Walked::Found(found.id.clone()));
            }
            cursor = rest(&intents, since);
            if cursor.is_none() {
                return Ok(Walked::Nothing { is_whole: !is_cut && !intents.has_more });
            }
        }
    }

    /// A piece of the list for whoever compares books.
    pub(super) async fn charges_since(
        &self,
        client: &Client,
        since: DateTime<Utc>,
        cursor: Option<&str>,
    ) -> Result<GatewayPage, CallError> {
        let Piece { intents, .. } = self.piece(client, since, cursor).await?;
        let next = rest(&intents, since);
        // Stripe's moments are whole seconds.
        let since = since - TimeDelta::seconds(1);
        let charges = intents.data.iter().filter_map(listed).filter(|charge| charge.created_at > since).collect();
        Ok(GatewayPage { charges, next })
    }

    async fn piece(&self, client: &Client, since: DateTime<Utc>, cursor: Option<&str>) -> Result<Piece, CallError> {
        if self.takes_a_moment.load(Ordering::Relaxed) {
            match read(client, Some(since), cursor).await {
                Err(CallError::Refused { status: 400, .. }) => {}
                answer => return Ok(Piece { intents: answer?, is_cut: true }),
            }
        }
        let intents = read(client, None, cursor).await?;
        // Only now: else it was something else that was refused.
        self.takes_a_moment.store(false, Ordering::Relaxed);
        Ok(Piece { intents, is_cut: false })
    }
}

async fn read(client: &Client, since: Option<DateTime<Utc>>, cursor: Option<&str>) -> Result<List<Intent>, CallError> {
    let mut query = vec![("limit", PAGE.to_string()), ("expand[]", "data.latest_charge".to_owned())];
    query.extend(since.map(|since| ("created[gte]", since.timestamp().to_string())));
    query.extend(cursor.map(|cursor| ("starting_after", cursor.to_owned())));
    client.list("/v1/payment_intents", &query).await
}

/// Where the list goes on, if there may be more of it after a moment.
fn rest(intents: &List<Intent>, since: DateTime<Utc>) -> Option<String> {
    let last = intents.data.last().filter(|_| intents.has_more)?;
    let is_past = last.created < since.timestamp() && goes_down(&intents.data);
    (!is_past).then(|| last.id.clone())
}

/// Whether a piece is seen to have the newest first.
fn goes_down(intents: &[Intent]) -> bool {
    let ends = intents.first().zip(intents.last());
    intents.is_sorted_by(|one, next| one.created >= next.created)
        && ends.is_some_and(|(first, last)| first.created > last.created)
}
