//! What this module asks of a payment gateway: a company elsewhere that answers late, twice or not at all.
//!
//! The shape is Stripe's. Every call that moves money carries the id of the ledger row that was written
//! before it as its idempotency key, so it can be repeated until its answer is known.

mod events;
pub mod sandbox;
pub mod signature;
pub mod stripe;
mod webhook_secrets;

use actix_web::http::header::HeaderMap;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use eshopz_kernel::{Money, PaymentId};
use eshopz_platform::books::Report;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::Method;

pub use sandbox::SandboxGateway;
pub use stripe::{StripeGateway, StripeSettings};
pub(crate) use webhook_secrets::WebhookSecrets;

/// Collect an amount, or hold it.
#[derive(Clone, Debug)]
pub struct ChargeRequest {
    pub idempotency_key: Uuid,
    /// The gateway keeps it with the charge, so that what it tells of that names the payment.
    pub payment_id: PaymentId,
    pub amount: Money,
    /// The gateway's name of a method, `pm_…`. Card data never comes here.
    pub method: String,
    /// Collect at once; else hold the amount for [`Gateway::capture`].
    pub capture: bool,
    /// What the payer and the merchant know it by: the order's id.
    pub reference: String,
}

/// What the gateway made of a [`ChargeRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct Charge {
    /// The gateway's name for it; empty when it refused and gave none.
    pub reference: String,
    pub method: Option<Method>,
    pub outcome: ChargeOutcome,
}

/// How a charge ended, for now.
#[derive(Clone, Debug, PartialEq)]
pub enum ChargeOutcome {
    Succeeded {
        /// Minor units that were collected: less than what was asked for when a part of a hold was captured.
        captured: i64,
    },
    Authorized,
    /// The payer has to do something first; the gateway tells the rest by webhook.
    RequiresAction {
        next_action: Value,
    },
    Declined {
        code: String,
        message: String,
    },
    /// It was replaced or let go before it came to anything.
    Voided,
}

/// An attempt that the gateway is asked about.
#[derive(Clone, Debug)]
pub struct Sought {
    pub idempotency_key: Uuid,
    /// The gateway's name of the charge, when it has told it.
    pub reference: Option<String>,
    /// When its row was written, by the database's clock.
    pub created_at: DateTime<Utc>,
    /// How long ago that is, by the same clock: ours may have jumped since.
    pub age: TimeDelta,
}

/// Something about a charge that exists: capture, void or refund.
#[derive(Clone, Debug)]
pub struct FollowUp {
    pub idempotency_key: Uuid,
    /// The gateway's name of the charge.
    pub charge: String,
    /// Capture or refund so much; a void has the whole amount here.
    pub amount: Money,
}

/// A call to the gateway gave no answer that settles the matter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// It may or may not have been done.
    #[error("the gateway did not answer: {0}")]
    Timeout(String),
    /// It was certainly not done.
    #[error("the gateway cannot be reached: {0}")]
    Unavailable(String),
    /// The gateway does not know this method of payment.
    #[error("the gateway does not know this payment method")]
    UnknownMethod,
    /// It will not do it, today or tomorrow.
    #[error("the gateway refused: {code}: {message}")]
    Rejected { code: String, message: String },
}

/// What a gateway tells on its own.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayEvent {
    /// Unique at the gateway.
    pub id: String,
    /// In the gateway's words, such as `payment_intent.succeeded`.
    pub kind: String,
    pub payment_id: Option<PaymentId>,
    /// The idempotency key of the charge that it is about, when the gateway passes it on.
    pub attempt: Option<Uuid>,
    /// The gateway's name of the charge.
    pub reference: String,
    /// As the gateway has it, when it says so: of a foreign charge it may be any.
    pub currency: Option<String>,
    pub news: GatewayNews,
}

/// What an event says. Amounts are minor units, and totals so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayNews {
    Captured {
        amount: i64,
    },
    Authorized,
    Failed {
        code: String,
    },
    Voided,
    Refunded {
        total: i64,
    },
    /// A refund that had been told as done did not reach the payer; the money is the merchant's again.
    RefundFailed {
        /// The gateway's name of the refund.
        refund: String,
        code: String,
    },
    /// Nothing that concerns this module.
    Other,
}

/// How a charge stands in the gateway's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargeStatus {
    /// The amount is held.
    Authorized,
    /// Collected; what of it went back is [`GatewayCharge::refunded`].
    Succeeded,
    /// For the payer, or for the bank.
    Waiting,
    Declined,
    /// Replaced or let go.
    Voided,
}

/// A charge in the gateway's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayCharge {
    /// The gateway's name of the charge.
    pub reference: String,
    /// The idempotency key that it was made under; none when somebody made it by other means.
    pub attempt: Option<Uuid>,
    pub payment_id: Option<PaymentId>,
    pub status: ChargeStatus,
    /// What was asked for.
    pub amount: Money,
    /// Minor units that were collected.
    pub captured: i64,
    /// Minor units of them that went back.
    pub refunded: i64,
    pub created_at: DateTime<Utc>,
}

/// A piece of the gateway's list, in the order that the gateway gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayPage {
    pub charges: Vec<GatewayCharge>,
    /// Where the next piece begins; none when this is the last.
    pub next: Option<String>,
}

/// A webhook's body was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    #[error("the signature is missing, wrong or too old")]
    Signature,
    #[error("the event cannot be read: {0}")]
    Unreadable(String),
}

/// A payment gateway.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Its name in paths and rows; once given, it stays.
    fn name(&self) -> &'static str;

    /// Whether a name of a method can be good. A gateway that can tell without a call says so here, so
    /// that a typing error leaves no trace.
    fn knows_method(&self, _method: &str) -> bool {
        true
    }

    /// The secret that it is called with, where it needs one, is another from now on.
    fn replace_secret_key(&self, _secret_key: &str) {}

    /// Collects or holds an amount.
    async fn authorize_or_charge(&self, request: ChargeRequest) -> Result<Charge, GatewayError>;

    /// Collects what is held, in part or whole; the rest is let go. Returns the gateway's reference.
    async fn capture(&self, request: FollowUp) -> Result<String, GatewayError>;

    /// Lets go what is held, or what waits for the payer. Returns the gateway's reference.
    async fn void(&self, request: FollowUp) -> Result<String, GatewayError>;

    /// Gives back what was collected, in part or whole. Returns the gateway's reference.
    async fn refund(&self, request: FollowUp) -> Result<String, GatewayError>;

    /// The charge that was made under an idempotency key, if the gateway knows of one. Only looks. "None"
    /// is final; a gateway that cannot be sure of it yet answers [`GatewayError::Timeout`].
    async fn find(&self, sought: Sought) -> Result<Option<Charge>, GatewayError>;

    /// What the gateway has in its own books since a moment: the first piece without a cursor, each
    /// further one from [`GatewayPage::next`].
    async fn charges_since(&self, since: DateTime<Utc>, cursor: Option<String>) -> Result<GatewayPage, GatewayError>;

    /// A charge as it stands in that list, by its name; none when there is no such charge. Only looks.
    async fn look_up(&self, reference: &str) -> Result<Option<GatewayCharge>, GatewayError>;

    /// Checks that a webhook comes from the gateway and reads it.
    async fn parse_webhook(&self, headers: &HeaderMap, body: &str, secret: &str) -> Result<GatewayEvent, WebhookError>;

    /// Reads an event that was checked when it came in and stored.
    fn read_event(&self, body: &str) -> Result<GatewayEvent, WebhookError>;

    /// Lets the gateway take note of an event that is stored, as often as one likes, before it counts here. A
    /// company elsewhere knows what it told.
    async fn take_note(&self, _event: &GatewayEvent) -> Result<(), GatewayError> {
        Ok(())
    }

    /// Where the gateway's books differ from ours, if it lets us look.
    async fn audit(&self) -> Result<Report, GatewayError> {
        Ok(Report::default())
    }
}
