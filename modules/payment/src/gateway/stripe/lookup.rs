//! Looking for what was done, without doing anything.
//!
//! Stripe would answer a repeated request with what became of the first, but a first that never arrived
//! would be done by that. So it is looked for: by its name where that is known, else in the list and by the
//! search. The list has it at once; the search is up to minutes late, but no clock of ours can mislead it.
//! "Nothing" is believed when both say so, and not while the request may still be on its way.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::charges::{charge, listed};
use super::client::{CallError, Client};
use super::listing::{Listing, Walked};
use super::objects::{Intent, List};
use crate::gateway::{Charge, GatewayCharge, GatewayError, Sought};

/// The most that Stripe gives at once.
pub(super) const PAGE: usize = 100;
/// How far our clock and Stripe's may differ.
pub(super) const SKEW: TimeDelta = TimeDelta::minutes(5);
/// How far clocks may have jumped, where only the list can tell.
const JUMP: TimeDelta = TimeDelta::days(1);
/// No request is on its way for so long: Stripe ends one within some eighty seconds. The rest is for a clock
/// that was set meanwhile.
const SETTLED: TimeDelta = TimeDelta::minutes(3);
/// What is so old is in the search, if it is anywhere. Two clocks that do not agree are no reason for doubt
/// any more.
const SEARCHABLE: TimeDelta = TimeDelta::hours(1);

/// What the search says.
enum Searched {
    NotYet,
    Found(String),
    Nothing,
    /// Stripe does not offer it everywhere.
    NotOffered,
}

/// When a key was made, if it tells.
pub(super) fn made_at(key: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = key.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

/// The charge of an attempt; none only when that is certain.
pub(super) async fn find(client: &Client, listing: &Listing, sought: &Sought) -> Result<Option<Charge>, GatewayError> {
    if let Some(intent) = named(client, sought).await? {
        return charge(intent).map(Some);
    }
    match look(client, listing, sought).await? {
        Some(id) => Ok(Some(charge(retrieve(client, &id).await?)?)),
        None => Ok(None),
    }
}

/// The intent by the name that Stripe has told for it.
async fn named(client: &Client, sought: &Sought) -> Result<Option<Intent>, CallError> {
    let Some(name) = sought.reference.as_deref().and_then(|name| super::id_of(name).ok()) else { return Ok(None) };
    if !name.starts_with("pi_") {
        return Ok(None);
    }
    match retrieve(client, name).await {
        Ok(intent) => Ok(Some(intent)),
        Err(CallError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name of the intent that was made under the key.
async fn look(client: &Client, listing: &Listing, sought: &Sought) -> Result<Option<String>, GatewayError> {
    let (key, since) = (sought.idempotency_key, earliest(sought));
    let mut searched = Searched::NotYet;
    if sought.age >= SEARCHABLE {
        searched = search(client, key).await?;
    }
    if let Searched::Found(id) = searched {
        return Ok(Some(id));
    }
    let is_whole = match listing.walk(client, key, since - SKEW).await? {
        Walked::Found(id) => return Ok(Some(id)),
        Walked::Nothing { is_whole } => is_whole,
    };
    if !is_settled(sought) {
        return Err(GatewayError::Timeout("Stripe does not know of it yet".to_owned()));
    }
    if matches!(searched, Searched::NotYet) {
        searched = search(client, key).await?;
    }
    match searched {
        Searched::Found(id) => Ok(Some(id)),
        Searched::NotOffered if !is_whole => Ok(listing.walk(client, key, since - JUMP).await?.found()),
        Searched::NotOffered | Searched::Nothing | Searched::NotYet => Ok(None),
    }
}

/// The earliest moment of the attempt that any clock tells: the database's, ours when the key was made, and
/// ours now.
fn earliest(sought: &Sought) -> DateTime<Utc> {
    let by_row = sought.created_at.min(Utc::now() - sought.age);
    made_at(sought.idempotency_key).map_or(by_row, |by_key| by_row.min(by_key))
}

/// Whether the request is on its way no more, by the database's clock and by ours: one of them may have
/// jumped.
fn is_settled(sought: &Sought) -> bool {
    let by_key = made_at(sought.idempotency_key).map(|made_at| Utc::now() - made_at);
    let agreed = by_key.is_none_or(|age| age >= SETTLED);
    sought.age >= SEARCHABLE || (sought.age >= SETTLED && agreed)
}

/// An intent with its method.
pub(super) async fn retrieve(client: &Client, id: &str) -> Result<Intent, CallError> {
    client.get(&format!("/v1/payment_intents/{id}"), &[("expand[]", "payment_method".to_owned())]).await
}

/// An intent as the list has it, by its name.
pub(super) async fn look_up(client: &Client, id: &str) -> Result<Option<GatewayCharge>, CallError> {
    let query = [("expand[]", "latest_charge".to_owned())];
    match client.get::<Intent>(&format!("/v1/payment_intents/{id}"), &query).await {
        Ok(intent) => Ok(listed(&intent)),
        Err(CallError::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn search(client: &Client, key: Uuid) -> Result<Searched, CallError> {
    let query = [("query", format!("metadata['attempt_id']:'{key}'")), ("limit", "1".to_owned())];
    match client.get::<List<Intent>>("/v1/payment_intents/search", &query).await {
        Ok(found) => Ok(found.data.into_iter().next().map_or(Searched::Nothing, |intent| Searched::Found(intent.id))),
        Err(CallError::Refused { .. }) => Ok(Searched::NotOffered),
        Err(error) => Err(error),
    }
}
