//! Looking for what was done, without doing anything.
//!
//! Stripe would answer a repeated request with what became of the first, but a first that never arrived
//! would be done by that. So the list is read instead, from now back to the moment of the attempt, and it is
//! in the list at once, while the search is up to minutes late and counts only for what is old. That nothing
//! is there proves nothing while the request may still be on its way.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::charges::{attempt, charge, listed};
use super::client::{CallError, Client};
use super::objects::{Intent, List};
use crate::gateway::{Charge, GatewayError, GatewayPage};

/// The most that Stripe gives at once.
const PAGE: usize = 100;
/// Reading the list goes so far; a shop with more payments than this waits for the search.
const MOST_PAGES: usize = 20;
/// How far our clock and Stripe's may differ.
const SKEW: TimeDelta = TimeDelta::minutes(5);
/// No request is on its way for so long: Stripe ends one within some eighty seconds.
const SETTLED: TimeDelta = TimeDelta::minutes(3);
/// What is so old is in the search, if it is anywhere.
const SEARCHABLE: TimeDelta = TimeDelta::hours(1);

/// When a key was made, if it tells.
pub(super) fn made_at(key: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = key.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

/// The charge of an attempt; none only when that is certain.
pub(super) async fn find(client: &Client, key: Uuid) -> Result<Option<Charge>, GatewayError> {
    let made_at = made_at(key).ok_or_else(|| unsure("the key does not tell when it was made"))?;
    let age = Utc::now() - made_at;
    if age >= SEARCHABLE {
        match search(client, key).await {
            Ok(Some(id)) => return Ok(Some(charge(retrieve(client, &id).await?)?)),
            Ok(None) => return Ok(None),
            // Stripe does not offer it everywhere.
            Err(CallError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match walk(client, key, made_at - SKEW).await? {
        Some(id) => Ok(Some(charge(retrieve(client, &id).await?)?)),
        None if age >= SETTLED => Ok(None),
        None => Err(unsure("Stripe does not know of it yet")),
    }
}

fn unsure(why: &str) -> GatewayError {
    GatewayError::Timeout(why.to_owned())
}

/// An intent with its method.
pub(super) async fn retrieve(client: &Client, id: &str) -> Result<Intent, CallError> {
    client.get(&format!("/v1/payment_intents/{id}"), &[("expand[]", "payment_method".to_owned())]).await
}

async fn search(client: &Client, key: Uuid) -> Result<Option<String>, CallError> {
    let query = [("query", format!("metadata['attempt_id']:'{key}'")), ("limit", "1".to_owned())];
    let found: List<Intent> = client.get("/v1/payment_intents/search", &query).await?;
    Ok(found.data.into_iter().next().map(|intent| intent.id))
}

/// Reads the list from its newest end down to a moment.
async fn walk(client: &Client, key: Uuid, until: DateTime<Utc>) -> Result<Option<String>, GatewayError> {
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let page = page(client, cursor.as_deref()).await?;
        if let Some(found) = page.data.iter().find(|intent| attempt(intent) == Some(key)) {
            return Ok(Some(found.id.clone()));
        }
        cursor = older(&page, until);
        if cursor.is_none() {
            return Ok(None);
        }
    }
    Err(unsure("there are too many payments to find it among them"))
}

/// A piece of the list for whoever compares books.
pub(super) async fn charges_since(
    client: &Client,
    since: DateTime<Utc>,
    cursor: Option<&str>,
) -> Result<GatewayPage, GatewayError> {
    let page = page(client, cursor).await?;
    let next = older(&page, since);
    // Stripe's moments are whole seconds.
    let since = since - TimeDelta::seconds(1);
    let charges = page.data.iter().filter_map(listed).filter(|charge| charge.created_at > since).collect();
    Ok(GatewayPage { charges, next })
}

async fn page(client: &Client, cursor: Option<&str>) -> Result<List<Intent>, CallError> {
    let mut query = vec![("limit", PAGE.to_string()), ("expand[]", "data.latest_charge".to_owned())];
    query.extend(cursor.map(|cursor| ("starting_after", cursor.to_owned())));
    client.get("/v1/payment_intents", &query).await
}

/// Where the list goes on, if there is more of it after a moment.
fn older(page: &List<Intent>, until: DateTime<Utc>) -> Option<String> {
    let last = page.data.last().filter(|last| page.has_more && last.created >= until.timestamp())?;
    Some(last.id.clone())
}
