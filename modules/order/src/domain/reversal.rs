//! The states of what is taken back of an order, and of the money that goes back for it.

use eshopz_payment_api::RefundStatus;
use serde::Deserialize;

/// Why part of an order comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReversalKind {
    /// Before it was shipped.
    Cancellation,
    /// After it arrived.
    Return,
}

impl ReversalKind {
    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancellation => "cancellation",
            Self::Return => "return",
        }
    }
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReversalStatus {
    /// A return that nobody has decided.
    Requested,
    Accepted,
    Rejected,
}

/// A text in the database is no state.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no state of a reversal or a refund")]
pub struct UnknownState(String);

impl ReversalStatus {
    const ALL: [Self; 3] = [Self::Requested, Self::Accepted, Self::Rejected];

    /// The name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }
}

impl TryFrom<String> for ReversalStatus {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownState(text))
    }
}

/// The payment module's states of a refund, as this module keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct RefundState(pub RefundStatus);

impl RefundState {
    /// The money is back.
    pub const SUCCEEDED: Self = Self(RefundStatus::Succeeded);
    const ALL: [Self; 3] = [Self(RefundStatus::Pending), Self::SUCCEEDED, Self(RefundStatus::Failed)];

    /// The name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self.0 {
            RefundStatus::Pending => "pending",
            RefundStatus::Succeeded => "succeeded",
            RefundStatus::Failed => "failed",
        }
    }
}

impl TryFrom<String> for RefundState {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState(text))
    }
}

/// What staff decide about a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accept {
        /// Whether the things can be sold again.
        restock: bool,
        /// Minor units; all that the things are worth, when there is none.
        refund: Option<i64>,
    },
    Reject,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for status in ReversalStatus::ALL {
            assert_eq!(ReversalStatus::try_from(status.as_str().to_owned()).unwrap(), status);
        }
        for state in RefundState::ALL {
            assert_eq!(RefundState::try_from(state.as_str().to_owned()).unwrap(), state);
            assert_eq!(serde_json::to_value(state.0).unwrap(), state.as_str());
        }
        assert!(ReversalStatus::try_from("lost".to_owned()).is_err());
        assert!(RefundState::try_from("lost".to_owned()).is_err());
    }
}
