//! The sandbox: a gateway for development and tests that takes Stripe's test names and moves no money.
//!
//! It plays another company. What it remembers is in tables of its own (`sandbox_charges`,
//! `sandbox_operations`), so that it survives restarts and is one for all processes; nothing else reads
//! them, and it never takes part in a transaction of the module. A charge that waits for the payer is
//! completed by a signed webhook, `payment_intent.succeeded`, as a bank's page would have it sent.

mod audit;
mod cards;
mod listing;
mod memory;

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eshopz_platform::books::Report;
use eshopz_platform::db::{Conn, Db, StoreError};
use serde_json::json;

use self::cards::{Behaviour, Card};
use self::memory::{Kind, SandboxCharge};
use super::{
    Charge, ChargeOutcome, ChargeRequest, FollowUp, Gateway, GatewayCharge, GatewayError, GatewayEvent, GatewayNews,
    GatewayPage, Sought, WebhookError, events, signature,
};
use crate::domain::Method;

/// The header with the signature of its webhooks.
pub const SIGNATURE_HEADER: &str = "sandbox-signature";

/// Longer than anybody waits.
const NEVER: Duration = Duration::from_secs(600);

/// The gateway of development and tests.
#[derive(Clone, Debug)]
pub struct SandboxGateway {
    db: Db,
}

impl SandboxGateway {
    /// The payment module's way to the database, where the sandbox keeps its memory.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    async fn conn(&self) -> Result<Conn, GatewayError> {
        self.db.conn().await.map_err(|error| GatewayError::Unavailable(error.to_string()))
    }
}

/// A statement that failed may have been done all the same.
fn unknown(error: impl Into<StoreError>) -> GatewayError {
    GatewayError::Timeout(error.into().to_string())
}

fn rejected(code: &str, message: &str) -> GatewayError {
    GatewayError::Rejected { code: code.to_owned(), message: message.to_owned() }
}

fn method_of(card: Card) -> Method {
    Method { r#type: "card".to_owned(), brand: card.brand.to_owned(), last4: card.last4.to_owned() }
}

/// A remembered charge as an answer.
fn answer(charge: SandboxCharge) -> Charge {
    let card = cards::named(&charge.payment_method);
    let outcome = match charge.status.as_str() {
        "succeeded" => ChargeOutcome::Succeeded { captured: charge.captured_minor },
        "authorized" => ChargeOutcome::Authorized,
        "requires_action" => ChargeOutcome::RequiresAction {
            next_action: json!({
                "type": "sandbox_authenticate",
                "reference": charge.reference,
                "how": "Send the signed webhook payment_intent.succeeded for this reference, \
                        or confirm with another payment_method.",
            }),
        },
        "declined" => {
            let code = match card.map(|card| card.behaviour) {
                Some(Behaviour::Decline(code)) => code,
                _ => "card_declined",
            };
            ChargeOutcome::Declined { code: code.to_owned(), message: "The test card declines.".to_owned() }
        }
        _ => ChargeOutcome::Voided,
    };
    Charge { reference: charge.reference, method: card.map(method_of), outcome }
}

const fn changes_memory(news: &GatewayNews) -> bool {
    !matches!(news, GatewayNews::Other | GatewayNews::Failed { .. } | GatewayNews::RefundFailed { .. })
}

#[async_trait]
impl Gateway for SandboxGateway {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    fn knows_method(&self, method: &str) -> bool {
        cards::named(method).is_some()
    }

    async fn authorize_or_charge(&self, request: ChargeRequest) -> Result<Charge, GatewayError> {
        let card = cards::named(&request.method).ok_or(GatewayError::UnknownMethod)?;
        let status = match (card.behaviour, request.capture) {
            (Behaviour::NeverAnswer, _) => {
                tokio::time::sleep(NEVER).await;
                return Err(GatewayError::Timeout("the sandbox was asked not to answer".to_owned()));
            }
            (Behaviour::Decline(_), _) => "declined",
            (Behaviour::Authenticate, _) => "requires_action",
            (Behaviour::Approve | Behaviour::RefuseRefunds, true) => "succeeded",
            (Behaviour::Approve | Behaviour::RefuseRefunds, false) => "authorized",
        };
        let mut conn = self.conn().await?;
        memory::charge(&mut conn, &request, status).await.map(answer).map_err(unknown)
    }

    async fn capture(&self, request: FollowUp) -> Result<String, GatewayError> {
        memory::follow_up(&mut *self.conn().await?, &request, Kind::Capture).await
    }

    async fn void(&self, request: FollowUp) -> Result<String, GatewayError> {
        memory::follow_up(&mut *self.conn().await?, &request, Kind::Void).await
    }

    async fn refund(&self, request: FollowUp) -> Result<String, GatewayError> {
        memory::follow_up(&mut *self.conn().await?, &request, Kind::Refund).await
    }

    async fn find(&self, sought: Sought) -> Result<Option<Charge>, GatewayError> {
        let mut conn = self.conn().await?;
        let found = memory::by_key(&mut conn, sought.idempotency_key).await.map_err(unknown)?;
        Ok(found.map(answer))
    }

    async fn charges_since(&self, since: DateTime<Utc>, cursor: Option<String>) -> Result<GatewayPage, GatewayError> {
        let mut conn = self.conn().await?;
        listing::page(&mut conn, since, cursor.as_deref()).await.map_err(unknown)
    }

    async fn look_up(&self, reference: &str) -> Result<Option<GatewayCharge>, GatewayError> {
        listing::one(&mut *self.conn().await?, reference).await.map_err(unknown)
    }

    async fn parse_webhook(&self, headers: &HeaderMap, body: &str, secret: &str) -> Result<GatewayEvent, WebhookError> {
        let header = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !signature::verify(secret, header, body, Utc::now().timestamp()) {
            return Err(WebhookError::Signature);
        }
        self.read_event(body)
    }

    fn read_event(&self, body: &str) -> Result<GatewayEvent, WebhookError> {
        events::read(body, |amount, _| Some(amount))
    }

    /// Whoever holds the secret speaks for the sandbox: its memory follows what he says, but not before that is
    /// stored. Else a process that dies in between leaves money that only the sandbox knows of.
    async fn take_note(&self, event: &GatewayEvent) -> Result<(), GatewayError> {
        if changes_memory(&event.news) {
            memory::follow_event(&mut *self.conn().await?, event).await.map_err(unknown)?;
        }
        Ok(())
    }

    async fn audit(&self) -> Result<Report, GatewayError> {
        audit::compare(&mut *self.conn().await?).await.map_err(unknown)
    }
}
