//! Stripe's objects, as far as they are used. Reading is lenient: fields are added at any time, and few are
//! needed.

use serde::Deserialize;
use serde_json::Value;

use crate::gateway::events::{Metadata, went_back};

/// An attempt to collect an amount.
#[derive(Debug, Deserialize)]
pub(super) struct Intent {
    pub id: String,
    pub status: String,
    pub amount: i64,
    pub amount_received: Option<i64>,
    /// In small letters.
    pub currency: String,
    /// Seconds since 1970.
    pub created: i64,
    pub metadata: Option<Metadata>,
    pub next_action: Option<Value>,
    pub client_secret: Option<String>,
    payment_method: Option<Expandable<MethodObject>>,
    latest_charge: Option<Expandable<ChargeObject>>,
    pub last_payment_error: Option<ErrorObject>,
}

impl Intent {
    /// The method, if it was asked for whole.
    pub(super) const fn method(&self) -> Option<&MethodObject> {
        match &self.payment_method {
            Some(Expandable::Whole(method)) => Some(method),
            Some(Expandable::Id(_)) | None => None,
        }
    }

    /// What moved the money, by name.
    pub(super) fn charge(&self) -> Option<&str> {
        match &self.latest_charge {
            Some(Expandable::Whole(charge)) => Some(&charge.id),
            Some(Expandable::Id(id)) => Some(id),
            None => None,
        }
    }

    /// What was collected, in Stripe's units.
    pub(super) fn received(&self) -> i64 {
        let collected = if self.status == "succeeded" { self.amount } else { 0 };
        self.amount_received.unwrap_or(collected)
    }

    /// What of it went back, in Stripe's units, if the charge was asked for whole.
    pub(super) fn returned(&self) -> i64 {
        match &self.latest_charge {
            Some(Expandable::Whole(charge)) if self.status == "succeeded" => {
                went_back(charge.amount, charge.amount_captured, charge.amount_refunded)
            }
            _ => 0,
        }
    }
}

/// Another object: its id or, on request, itself.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Expandable<T> {
    Id(String),
    Whole(T),
}

#[derive(Debug, Deserialize)]
pub(super) struct MethodObject {
    pub card: Option<Card>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Card {
    pub brand: Option<String>,
    pub last4: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ChargeObject {
    id: String,
    amount: Option<i64>,
    amount_captured: Option<i64>,
    #[serde(default)]
    amount_refunded: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Refund {
    pub id: String,
    pub status: Option<String>,
    pub failure_reason: Option<String>,
    metadata: Option<RefundMetadata>,
}

impl Refund {
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.status.as_deref(), Some("failed" | "canceled"))
    }

    /// Whether it was made under a key of ours.
    pub(super) fn is_of(&self, key: &str) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| metadata.transaction_id.as_deref() == Some(key))
    }
}

#[derive(Debug, Deserialize)]
struct RefundMetadata {
    transaction_id: Option<String>,
}

/// A piece of a list, or what a search found.
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    pub data: Vec<T>,
    #[serde(default)]
    pub has_more: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody {
    pub error: ErrorObject,
}

/// Why Stripe says no.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorObject {
    #[serde(rename = "type", default)]
    pub kind: String,
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
    param: Option<String>,
    payment_intent: Option<Named>,
}

#[derive(Debug, Deserialize)]
struct Named {
    id: String,
}

impl ErrorObject {
    /// The finest reason that there is.
    pub(super) fn reason(&self) -> String {
        let finest = self.decline_code.as_ref().or(self.code.as_ref()).unwrap_or(&self.kind);
        if finest.is_empty() { "refused".to_owned() } else { finest.clone() }
    }

    /// The intent that it is about. The name of its charge would not do: nothing else is known by that.
    pub(super) fn intent(&self) -> Option<&str> {
        self.payment_intent.as_ref().map(|intent| intent.id.as_str()).filter(|name| name.starts_with("pi_"))
    }

    /// Whether a field of the request, or one below it, is what is wrong.
    pub(super) fn is_about(&self, field: &str) -> bool {
        self.param.as_deref().is_some_and(|param| param.split('[').next() == Some(field))
    }

    pub(super) fn message(&self) -> String {
        self.message.clone().unwrap_or_default()
    }
}
