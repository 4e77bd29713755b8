//! The states of an order and the ways between them.

use diesel::deserialize::FromSqlRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, FromSqlRow)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Placed, its stock reserved.
    PendingPayment,
    /// The payment is secured and the stock is sold.
    Paid,
    /// It is being prepared.
    Processing,
    Shipped,
    Delivered,
    /// Stock and money have gone back, or are about to.
    Cancelled,
}

/// A text is no state.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no state of an order")]
pub struct UnknownStatus(String);

impl OrderStatus {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::PendingPayment, Self::Paid, Self::Processing, Self::Shipped, Self::Delivered, Self::Cancelled];

    /// The name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingPayment => "pending_payment",
            Self::Paid => "paid",
            Self::Processing => "processing",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }

    /// What the arrival in this state is called in the timeline, and in `order.<event>.v1`.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::PendingPayment => "placed",
            Self::Paid => "paid",
            Self::Processing => "processing",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }

    /// The goods have not left the house yet.
    #[must_use]
    pub const fn is_cancellable(self) -> bool {
        matches!(self, Self::PendingPayment | Self::Paid | Self::Processing)
    }

    /// The states that staff may take an order to from here.
    #[must_use]
    pub const fn reachable(self) -> &'static [Self] {
        match self {
            Self::Paid => &[Self::Processing, Self::Shipped],
            Self::Processing => &[Self::Shipped],
            Self::Shipped => &[Self::Delivered],
            Self::PendingPayment | Self::Delivered | Self::Cancelled => &[],
        }
    }

    /// The steps that staff take to `to`; none when there is no such way. A paid order that is shipped
    /// at once was processed in between, and its timeline says so.
    #[must_use]
    pub fn steps_to(self, to: Self) -> &'static [Self] {
        match (self, to) {
            (Self::Paid, Self::Processing) => &[Self::Processing],
            (Self::Paid, Self::Shipped) => &[Self::Processing, Self::Shipped],
            (Self::Processing, Self::Shipped) => &[Self::Shipped],
            (Self::Shipped, Self::Delivered) => &[Self::Delivered],
            _ => &[],
        }
    }
}

impl TryFrom<String> for OrderStatus {
    type Error = UnknownStatus;

    fn try_from(text: String) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_has_its_steps_and_no_other_has() {
        for from in OrderStatus::ALL {
            for to in OrderStatus::ALL {
                let steps = from.steps_to(to);
                assert_eq!(from.reachable().contains(&to), !steps.is_empty(), "{from:?} -> {to:?}");
                assert!(steps.is_empty() || steps.last() == Some(&to));
                let mut at = from;
                for step in steps {
                    assert!(at.reachable().contains(step));
                    at = *step;
                }
            }
        }
    }

    #[test]
    fn only_what_is_still_in_the_house_can_be_cancelled() {
        let cancellable: Vec<_> = OrderStatus::ALL.into_iter().filter(|status| status.is_cancellable()).collect();
        assert_eq!(cancellable, [OrderStatus::PendingPayment, OrderStatus::Paid, OrderStatus::Processing]);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for status in OrderStatus::ALL {
            assert_eq!(OrderStatus::try_from(status.as_str().to_owned()).unwrap(), status);
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert!(OrderStatus::try_from("lost".to_owned()).is_err());
    }
}
