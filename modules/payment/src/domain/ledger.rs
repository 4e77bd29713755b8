//! The words of the ledger: what was asked of the gateway, how it went, with which card and why not.

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::Text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a row of the ledger asked of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
#[serde(rename_all = "snake_case")]
pub enum TransactionKind {
    /// Collects at once.
    Charge,
    /// Holds the amount; a capture collects it.
    Authorization,
    Capture,
    Refund,
    /// Lets a held amount go.
    Void,
    /// So much less of what is held will be collected; the last part lets all of it go at the gateway.
    Release,
    /// Gives a surplus charge back.
    Return,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
#[serde(rename_all = "snake_case")]
pub enum TransactionStatus {
    /// The gateway was asked; its answer is not known yet.
    Pending,
    /// It waits for the payer.
    RequiresAction,
    Succeeded,
    Failed,
    /// Replaced by a later attempt, or voided.
    Cancelled,
    /// Collected although the payment was secured already; it is about to be given back.
    Surplus,
    /// A surplus that was given back.
    Returned,
}

impl TransactionKind {
    pub const ALL: [Self; 7] =
        [Self::Charge, Self::Authorization, Self::Capture, Self::Refund, Self::Void, Self::Release, Self::Return];

    /// What changes a hold; of these a payment has one on its way at the most.
    pub const OF_HOLDS: [Self; 3] = [Self::Capture, Self::Void, Self::Release];

    /// The name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Authorization => "authorization",
            Self::Capture => "capture",
            Self::Refund => "refund",
            Self::Void => "void",
            Self::Release => "release",
            Self::Return => "return",
        }
    }

    /// Whether it is an attempt of the payer.
    #[must_use]
    pub const fn is_attempt(self) -> bool {
        matches!(self, Self::Charge | Self::Authorization)
    }
}

impl TransactionStatus {
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::RequiresAction,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Surplus,
        Self::Returned,
    ];

    /// The name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Surplus => "surplus",
            Self::Returned => "returned",
        }
    }
}

/// What may be shown of the method that paid. There is no more of it anywhere in the shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PaymentMethod)]
pub struct Method {
    #[schema(examples("card"))]
    pub r#type: String,
    #[schema(examples("visa"))]
    pub brand: String,
    #[schema(examples("4242"))]
    pub last4: String,
}

/// Why something did not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PaymentFailure)]
pub struct Failure {
    /// Stable; the same as the problem code of the attempt's answer.
    #[schema(examples("card_declined"))]
    pub code: String,
    #[schema(examples("The card was declined."))]
    pub message: String,
}

impl Failure {
    /// A failure by a code of the catalogue, with its words for the payer.
    #[must_use]
    pub fn of(code: &str) -> Self {
        let reason = super::declines::reason(code);
        Self { code: reason.code.to_owned(), message: reason.message.to_owned() }
    }

    /// Whether it was the gateway that failed, and nothing was tried.
    #[must_use]
    pub fn is_the_gateways(&self) -> bool {
        let theirs = [super::declines::GATEWAY_TIMEOUT, super::declines::GATEWAY_UNAVAILABLE];
        theirs.iter().any(|reason| reason.code == self.code)
    }
}
