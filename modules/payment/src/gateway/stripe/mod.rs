//! Stripe: one payment intent for each attempt, confirmed in the call that makes it.
//!
//! The id of our attempt and of our payment go along as metadata, so that webhooks and lists name them. No
//! card data comes here: the payer gives it to Stripe's library in the browser and we get a `pm_…`.

mod amounts;
mod charges;
mod client;
mod listing;
mod lookup;
mod objects;
mod transport;

use std::fmt;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use self::client::{CallError, Client};
use self::listing::Listing;
use self::objects::{Intent, List, Refund};
use self::transport::Transport;
use super::{
    Charge, ChargeRequest, FollowUp, Gateway, GatewayCharge, GatewayError, GatewayEvent, GatewayPage, Sought,
    WebhookError, events, signature,
};

/// The header with the signature of its webhooks.
pub const SIGNATURE_HEADER: &str = "stripe-signature";

/// Stripe forgets a key a day after it was used; we look for ourselves before that.
const KEY_LIFE: TimeDelta = TimeDelta::hours(12);
/// So many digits in a row are a card's number, not a name.
const DIGITS_OF_A_CARD: usize = 12;
const LONGEST_NAME: usize = 255;

/// How Stripe is reached.
#[derive(Clone)]
pub struct StripeSettings {
    /// `https://api.stripe.com`, or what stands for it.
    pub url: String,
    /// `sk_…`, or `rk_…` of a restricted key.
    pub secret_key: String,
    /// For one question, its repetitions included. Shorter than what the module waits, so that it hears
    /// what is known.
    pub patience: Duration,
}

/// Without the key.
impl fmt::Debug for StripeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeSettings").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Stripe.
pub struct StripeGateway {
    client: Client,
    listing: Listing,
}

impl fmt::Debug for StripeGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StripeGateway")
    }
}

impl StripeGateway {
    /// # Errors
    /// When this machine has no certificates to trust.
    pub fn new(settings: StripeSettings) -> std::io::Result<Self> {
        let transport = Transport::new(&settings.url, settings.patience / 2)?;
        let client = Client::new(transport, settings.secret_key, settings.patience);
        Ok(Self { client, listing: Listing::new() })
    }

    /// Has something done to an intent that can be done once only. After a no it is looked up: what was asked
    /// for may have been done already, when Stripe no longer knows the key.
    async fn change(
        &self,
        request: &FollowUp,
        verb: &str,
        form: &[(&str, String)],
        is_done: impl Fn(&Intent) -> bool,
    ) -> Result<Intent, GatewayError> {
        let path = format!("/v1/payment_intents/{}/{verb}", id_of(&request.charge)?);
        match self.client.post(&path, form, request.idempotency_key).await {
            Err(CallError::Refused { status, error }) => {
                let intent = lookup::retrieve(&self.client, &request.charge).await.ok().filter(is_done);
                intent.ok_or_else(|| CallError::Refused { status, error }.into())
            }
            answer => Ok(answer?),
        }
    }

    /// The refund that was made under this key, in all the pieces of the list.
    async fn earlier_refund(&self, request: &FollowUp) -> Result<Option<Refund>, CallError> {
        let key = request.idempotency_key.to_string();
        let mut cursor = None;
        loop {
            let mut query = vec![("payment_intent", request.charge.clone()), ("limit", lookup::PAGE.to_string())];
            query.extend(cursor.take().map(|cursor| ("starting_after", cursor)));
            let refunds: List<Refund> = self.client.get("/v1/refunds", &query).await?;
            cursor = refunds.data.last().filter(|_| refunds.has_more).map(|last| last.id.clone());
            let found = refunds.data.into_iter().find(|refund| refund.is_of(&key));
            if found.is_some() || cursor.is_none() {
                return Ok(found);
            }
        }
    }
}

/// Whether Stripe may have forgotten a key. One that is from the future tells that a clock has jumped, and
/// nothing of its age.
fn is_stale(key: Uuid) -> bool {
    let fresh = TimeDelta::zero() - lookup::SKEW..=KEY_LIFE;
    lookup::made_at(key).is_none_or(|made_at| !fresh.contains(&(Utc::now() - made_at)))
}

/// An attempt whose age only its key tells.
fn sought_by_its_key(key: Uuid) -> Result<Sought, GatewayError> {
    let made_at = lookup::made_at(key);
    let made_at = made_at.ok_or_else(|| GatewayError::Timeout("the key does not tell when it was made".to_owned()))?;
    Ok(Sought { idempotency_key: key, reference: None, created_at: made_at, age: Utc::now() - made_at })
}

/// A name that can stand in a path.
fn id_of(reference: &str) -> Result<&str, GatewayError> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !reference.is_empty() && reference.bytes().all(is_name) {
        return Ok(reference);
    }
    Err(GatewayError::Rejected { code: "resource_missing".to_owned(), message: "There is no such charge.".to_owned() })
}

#[async_trait]
impl Gateway for StripeGateway {
    fn name(&self) -> &'static str {
        "stripe"
    }

    /// Only names of methods, and none with a card's number in it.
    fn knows_method(&self, method: &str) -> bool {
        let Some(name) = method.strip_prefix("pm_") else { return false };
        let is_number = |part: &str| part.len() >= DIGITS_OF_A_CARD;
        id_of(name).is_ok()
            && method.len() <= LONGEST_NAME
            && !name.split(|sign: char| !sign.is_ascii_digit()).any(is_number)
    }

    fn replace_secret_key(&self, secret_key: &str) {
        self.client.replace_key(secret_key);
    }

    async fn authorize_or_charge(&self, request: ChargeRequest) -> Result<Charge, GatewayError> {
        if is_stale(request.idempotency_key)
            && let Some(earlier) = self.find(sought_by_its_key(request.idempotency_key)?).await?
        {
            return Ok(earlier);
        }
        let form = charges::form(&request)?;
        match self.client.post("/v1/payment_intents", &form, request.idempotency_key).await {
            Ok(intent) => charges::charge(intent),
            Err(CallError::Refused { status: 402, error }) => Ok(Charge {
                reference: error.intent().unwrap_or_default().to_owned(),
                method: None,
                outcome: charges::declined(Some(&error)),
            }),
            Err(CallError::Refused { status, error }) if status == 404 || error.is_about("payment_method") => {
                Err(GatewayError::UnknownMethod)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn capture(&self, request: FollowUp) -> Result<String, GatewayError> {
        let amount = charges::units(request.amount)?;
        let form = [("amount_to_capture", amount.to_string())];
        let is_done = |intent: &Intent| intent.status == "succeeded" && intent.received() == amount;
        let intent = self.change(&request, "capture", &form, is_done).await?;
        Ok(intent.charge().unwrap_or(&intent.id).to_owned())
    }

    async fn void(&self, request: FollowUp) -> Result<String, GatewayError> {
        let intent = self.change(&request, "cancel", &[], |intent| intent.status == "canceled").await?;
        Ok(intent.id)
    }

    async fn refund(&self, request: FollowUp) -> Result<String, GatewayError> {
        id_of(&request.charge)?;
        let stale = is_stale(request.idempotency_key);
        let earlier = if stale { self.earlier_refund(&request).await? } else { None };
        let refund = match earlier {
            Some(refund) => refund,
            None => {
                let form = [
                    ("payment_intent", request.charge.clone()),
                    ("amount", charges::units(request.amount)?.to_string()),
                    ("metadata[transaction_id]", request.idempotency_key.to_string()),
                ];
                self.client.post("/v1/refunds", &form, request.idempotency_key).await?
            }
        };
        if refund.has_failed() {
            let code = refund.failure_reason.unwrap_or_else(|| "refund_failed".to_owned());
            return Err(GatewayError::Rejected { code, message: "The money could not be given back.".to_owned() });
        }
        Ok(refund.id)
    }

    async fn find(&self, sought: Sought) -> Result<Option<Charge>, GatewayError> {
        lookup::find(&self.client, &self.listing, &sought).await
    }

    async fn charges_since(&self, since: DateTime<Utc>, cursor: Option<String>) -> Result<GatewayPage, GatewayError> {
        Ok(self.listing.charges_since(&self.client, since, cursor.as_deref()).await?)
    }

    async fn look_up(&self, reference: &str) -> Result<Option<GatewayCharge>, GatewayError> {
        Ok(lookup::look_up(&self.client, id_of(reference)?).await?)
    }

    async fn parse_webhook(&self, headers: &HeaderMap, body: &str, secret: &str) -> Result<GatewayEvent, WebhookError> {
        let header = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !signature::verify(secret, header, body, Utc::now().timestamp()) {
            return Err(WebhookError::Signature);
        }
        self.read_event(body)
    }

    fn read_event(&self, body: &str) -> Result<GatewayEvent, WebhookError> {
        events::read(body, amounts::from_stripe)
    }
}
