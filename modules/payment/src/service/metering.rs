//! What operators see of payments: outcomes with reasons, and revenue by currency.

use super::PaymentService;
use crate::domain::{Effect, TransactionStatus};
use crate::store::{Movement, Payment};

fn outcome(outcome: &'static str, reason: String) {
    metrics::counter!("eshopz_payments_total", "module" => "payment", "outcome" => outcome, "reason" => reason)
        .increment(1);
}

fn revenue(direction: &'static str, currency: &str, minor: i64) {
    metrics::counter!(
        "eshopz_payment_revenue_minor_total",
        "module" => "payment", "direction" => direction, "currency" => currency.to_owned()
    )
    .increment(u64::try_from(minor).unwrap_or(0));
}

/// How many of the gateway's events wait for a payment that is not known.
pub(super) fn waiting_webhooks(count: i64) {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    metrics::gauge!("eshopz_payment_webhooks_parked", "module" => "payment").set(f64::from(count));
}

impl PaymentService {
    /// Counts what a fact has changed; called once it is committed.
    pub(super) fn meter(&self, payment: &Payment, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Authorized => outcome("authorized", String::new()),
                Effect::Captured { amount } => {
                    outcome("succeeded", String::new());
                    revenue("captured", &payment.currency, *amount);
                }
                Effect::AttemptFailed => outcome("failed", payment.failure_code.clone().unwrap_or_default()),
                Effect::Cancelled => outcome("cancelled", String::new()),
                Effect::RefundedOutside { amount } => revenue("refunded", &payment.currency, *amount),
                Effect::ReleaseBroken { .. } => outcome("release_broken", String::new()),
                Effect::Surplus => outcome("surplus", String::new()),
            }
        }
    }

    /// Counts an attempt that the gateway did not answer.
    pub(super) fn meter_unanswered(&self) {
        outcome("unanswered", String::new());
    }

    /// Counts a refund that has its answer.
    pub(super) fn meter_refund(&self, refund: &Movement) {
        if refund.status == TransactionStatus::Succeeded {
            outcome("refunded", String::new());
            revenue("refunded", &refund.currency, refund.amount_minor);
        } else {
            outcome("refund_failed", refund.failure_code.clone().unwrap_or_default());
        }
    }
}
