//! How a payment's use cases fail, and what the consumer hears of it.

use eshopz_kernel::{Fault, FaultKind, Money};
use eshopz_payment_api::PaymentStatus;
use eshopz_platform::db::StoreError;
use eshopz_platform::http::ProblemCode;

use crate::domain::{Failure, declines, status_name};
use crate::gateway::WebhookError;

/// A use case of this module failed.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    #[error(transparent)]
    Store(StoreError),
    #[error("no such payment")]
    NotFound,
    #[error("only the payer confirms")]
    NotThePayer,
    #[error("an attempt is on its way")]
    InProgress,
    #[error("the payment takes no attempt in state {0:?}")]
    NotConfirmable(PaymentStatus),
    #[error("the payment cannot be captured in state {0:?}")]
    NotCapturable(PaymentStatus),
    #[error("more than what is held")]
    CaptureExceeds { capturable: Money },
    #[error("more than what can be refunded")]
    RefundExceeds { refundable: Money },
    #[error("nothing was paid that could be given back in state {0:?}")]
    NotRefundable(PaymentStatus),
    #[error("the refund's id is that of another")]
    OtherRefund,
    #[error("it is not known yet what there is to give back")]
    OutcomeUnknown,
    #[error("declined: {}", .0.code)]
    Declined(Failure),
    #[error("the gateway does not know the method")]
    UnknownMethod,
    #[error("an amount in another currency or below 1")]
    BadAmount { expected: Money },
    #[error("the gateway did not do it, or has not answered")]
    GatewayUnavailable,
    #[error("the gateway refused: {0}")]
    GatewayRefused(String),
    #[error("another request holds the idempotency key")]
    KeyTaken,
    #[error("the order has a payment of another amount")]
    OtherAmount,
    #[error("the amount of a payment is negative")]
    NegativeAmount,
    #[error("no such gateway")]
    UnknownGateway,
    #[error("the payment is at the gateway `{0}`, which is not in use")]
    OtherGateway(String),
    #[error(transparent)]
    Webhook(WebhookError),
}

eshopz_platform::module_error!(PaymentError);

impl From<PaymentError> for Fault {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::Store(error) => error.into(),
            PaymentError::NotFound => Self::not_found("payment"),
            PaymentError::NotThePayer => Self::forbidden("forbidden", "Only the payer can confirm a payment."),
            PaymentError::InProgress => busy("payment_in_progress", "An attempt to pay is on its way. Wait for it."),
            PaymentError::NotConfirmable(status) => {
                Self::conflict("payment_not_confirmable", "The payment is closed and takes no attempt any more.")
                    .with("payment_status", status_name(status))
            }
            PaymentError::NotCapturable(status) => {
                Self::conflict("payment_not_capturable", "Only a payment that is authorized can be captured, once.")
                    .with("payment_status", status_name(status))
            }
            PaymentError::CaptureExceeds { capturable } => {
                Self::conflict("capture_exceeds_authorized", "That is more than what was authorized.")
                    .with("capturable", capturable)
            }
            PaymentError::RefundExceeds { refundable } => {
                Self::conflict("refund_exceeds_captured", "That is more than what was collected and not refunded yet.")
                    .with("refundable", refundable)
            }
            PaymentError::NotRefundable(status) => {
                Self::conflict("payment_not_refundable", "Nothing was paid that could be given back.")
                    .with("payment_status", status_name(status))
            }
            PaymentError::OtherRefund => {
                Self::conflict("refund_exists", "There is another refund with this id, of another amount or payment.")
            }
            PaymentError::OutcomeUnknown => outcome_unknown(),
            PaymentError::Declined(failure) => {
                Self::payment_declined(declines::reason(&failure.code).code, failure.message)
            }
            PaymentError::UnknownMethod => Self::field(
                "/payment_method",
                declines::UNKNOWN_METHOD.code,
                "is no method that the payment gateway knows; it is a name such as `pm_card_visa`, never card data",
            ),
            PaymentError::BadAmount { expected } => Self::field(
                "/amount",
                "invalid_amount",
                format!("must be at least 1 minor unit, in {}", expected.currency),
            ),
            PaymentError::GatewayUnavailable => unreachable_gateway(),
            PaymentError::GatewayRefused(message) => {
                Self::conflict("gateway_refused", "The payment gateway refused. Look at the payment's transactions.")
                    .caused_by(message)
            }
            PaymentError::KeyTaken => {
                busy("idempotency_in_progress", "The first request with this Idempotency-Key still runs.")
            }
            PaymentError::OtherAmount => {
                Self::conflict("payment_exists", "The order has a payment of another amount already.")
            }
            PaymentError::NegativeAmount => Self::field("/amount", "range", "must not be negative"),
            PaymentError::UnknownGateway => Self::not_found("gateway"),
            PaymentError::OtherGateway(gateway) => other_gateway(gateway),
            PaymentError::Webhook(error) => webhook_fault(error),
        }
    }
}

fn busy(code: &'static str, message: &str) -> Fault {
    let mut fault = Fault::conflict(code, message);
    fault.retry_after = Some(1);
    fault
}

fn unreachable_gateway() -> Fault {
    let mut fault = Fault::new(
        FaultKind::Unavailable,
        declines::GATEWAY_UNAVAILABLE.code,
        "The payment gateway has not answered. Repeat the request with the same Idempotency-Key.",
    );
    fault.retry_after = Some(2);
    fault
}

fn outcome_unknown() -> Fault {
    let mut fault = Fault::new(
        FaultKind::Unavailable,
        "payment_outcome_unknown",
        "The gateway has not answered, so it is not known what there is to give back. Repeat it in a moment.",
    );
    fault.retry_after = Some(2);
    fault
}

/// Whoever runs the shop can mend it, so it is worth repeating; nothing was asked of anybody.
fn other_gateway(gateway: String) -> Fault {
    let mut fault = Fault::new(
        FaultKind::Unavailable,
        "gateway_not_in_use",
        "The payment is at another gateway than the one in use, so nothing was asked of either.",
    );
    fault.retry_after = Some(60);
    fault.with("gateway", gateway)
}

fn webhook_fault(error: WebhookError) -> Fault {
    match error {
        WebhookError::Signature => {
            Fault::malformed("invalid_signature", "The signature is missing, wrong or older than five minutes.")
        }
        WebhookError::Unreadable(message) => Fault::malformed("malformed_event", message),
    }
}

const fn declined(code: &'static str, meaning: &'static str) -> ProblemCode {
    ProblemCode::new(code, FaultKind::PaymentDeclined, meaning)
}

const fn conflict(code: &'static str, meaning: &'static str) -> ProblemCode {
    ProblemCode::new(code, FaultKind::Conflict, meaning)
}

/// The module's own problem codes.
pub const PROBLEMS: &[ProblemCode] = &[
    declined("card_declined", "The bank declined and gives no better reason."),
    declined("insufficient_funds", "The card has insufficient funds."),
    declined("expired_card", "The card has expired."),
    declined("incorrect_cvc", "The card's security code is incorrect."),
    declined("incorrect_number", "The card's number is incorrect."),
    declined("card_velocity_exceeded", "The card's limit of amount or number is exceeded."),
    declined("authentication_failed", "The bank could not confirm the payer."),
    declined("processing_error", "An error occurred while the card was processed."),
    declined("gateway_timeout", "The gateway did not answer in time, and nothing was collected."),
    conflict("payment_in_progress", "An attempt is on its way; see `Retry-After`."),
    conflict("payment_not_confirmable", "The payment is cancelled or failed for good; `payment_status` says which."),
    conflict("payment_not_capturable", "The payment is not authorized, or a capture is on its way."),
    conflict("capture_exceeds_authorized", "More than `capturable`."),
    conflict("refund_exceeds_captured", "More than `refundable`."),
    conflict("payment_not_refundable", "Nothing was paid that could be given back; `payment_status` says how it is."),
    conflict("refund_exists", "Another refund has this id."),
    conflict("gateway_refused", "The gateway will not do it; the payment's transactions say why."),
    conflict("payment_exists", "The order has a payment of another amount."),
    ProblemCode::new("gateway_unavailable", FaultKind::Unavailable, "The gateway has not answered; see `Retry-After`."),
    ProblemCode::new(
        "payment_outcome_unknown",
        FaultKind::Unavailable,
        "It is not known yet what was paid; see `Retry-After`.",
    ),
    ProblemCode::new(
        "gateway_not_in_use",
        FaultKind::Unavailable,
        "The payment is at another gateway than the one in use; `gateway` says at which.",
    ),
    ProblemCode::new("invalid_signature", FaultKind::Malformed, "A webhook's signature is missing, wrong or too old."),
    ProblemCode::new("malformed_event", FaultKind::Malformed, "A webhook's body is no event of the gateway."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decline_is_in_the_catalogue() {
        for reason in declines::DECLINES {
            let found = PROBLEMS.iter().find(|problem| problem.code == reason.code);
            assert_eq!(found.map(|problem| problem.kind), Some(FaultKind::PaymentDeclined), "{}", reason.code);
        }
    }
}
