//! What the payment module promises to the others: one payment per order, its state, its undoing.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eshopz_kernel::{Event, Fault, Money, OrderId, PaymentId, RefundId, UserId};
use serde::{Deserialize, Serialize};

/// The states of a payment, named like Stripe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    RequiresPaymentMethod,
    RequiresAction,
    /// The gateway was asked and its answer is not known yet.
    Processing,
    /// The amount is held and waits for a capture.
    Authorized,
    Succeeded,
    Failed,
    Cancelled,
}

impl PaymentStatus {
    /// The payer has done their part: the order counts as paid.
    #[must_use]
    pub const fn is_secured(self) -> bool {
        matches!(self, Self::Authorized | Self::Succeeded)
    }
}

/// A payment as an order shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentSummary {
    pub id: PaymentId,
    pub order_id: OrderId,
    pub status: PaymentStatus,
    pub amount: Money,
    pub captured_amount: Money,
    pub refunded_amount: Money,
    /// What the payer has to do, when the status is `requires_action`.
    pub next_action: Option<serde_json::Value>,
}

/// Make the payment of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatePayment {
    /// Chosen by the order, so that a repetition makes no second one.
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub amount: Money,
    pub customer_id: Option<UserId>,
    /// SHA-256 in hex of the token by which a guest holds the order.
    pub payer_token_hash: Option<String>,
}

/// Give part of an order's payment back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPayment {
    pub order_id: OrderId,
    /// Chosen by the order, so that a repetition makes no second one.
    pub refund_id: RefundId,
    pub amount: Money,
    pub reason: Option<String>,
}

/// How far a refund has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// The gateway has not answered yet; it is asked until it does.
    Pending,
    Succeeded,
    Failed,
}

/// A refund as an order shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundSummary {
    pub id: RefundId,
    pub status: RefundStatus,
    pub amount: Money,
}

/// The calls that other modules make.
#[async_trait]
pub trait PaymentApi: Send + Sync {
    /// Idempotent by payment and by order.
    async fn create(&self, command: CreatePayment) -> Result<PaymentSummary, Fault>;

    /// Tries to pay with a method of the gateway, `pm_…`. A payment that is secured already is a success.
    ///
    /// Fails with 402 when the gateway declines, under the gateway's reason as code.
    async fn confirm(&self, payment: PaymentId, payment_method: &str) -> Result<PaymentSummary, Fault>;

    /// Makes the payment of an order and tries to pay: [`Self::create`] and [`Self::confirm`] in one, for a payment that
    /// most likely is not there yet. Fails as the two do; the payment is made also when it is declined.
    async fn pay(&self, command: CreatePayment, payment_method: &str) -> Result<PaymentSummary, Fault> {
        let payment = self.create(command).await?;
        self.confirm(payment.id, payment_method).await
    }

    /// The payments of these orders.
    async fn of_orders(&self, orders: &[OrderId]) -> Result<Vec<PaymentSummary>, Fault>;

    /// Undoes the payment of a cancelled order: voids it, or refunds what was captured and is not refunded
    /// yet. From then on it cannot be confirmed. Idempotent. A payment whose outcome is not known yet is
    /// undone as soon as it is known.
    async fn undo(&self, order: OrderId, reason: &str) -> Result<PaymentSummary, Fault>;

    /// Gives part of an order's payment back. What was collected is refunded; of what is only held, that much
    /// less can be captured from then on, which is done at once. Idempotent by `refund_id`. A refund that the
    /// gateway did not answer is `pending` and done by itself.
    ///
    /// Fails with 409 `refund_exceeds_captured` when there is not so much to give back, 409
    /// `payment_not_refundable` when nothing was paid, 409 `refund_exists` when the id is that of another
    /// refund; 503 `payment_outcome_unknown` while it is not known what there is to give back: repeat it then.
    async fn refund(&self, command: RefundPayment) -> Result<RefundSummary, Fault>;
}

macro_rules! payment_event {
    ($(#[$doc:meta])* $name:ident = $wire:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            pub payment_id: PaymentId,
            pub order_id: OrderId,
            pub amount: Money,
            pub at: DateTime<Utc>,
        }

        impl Event for $name {
            const NAME: &'static str = $wire;
        }
    };
}

payment_event! {
    /// The gateway holds the amount; a capture will collect it.
    PaymentAuthorized = "payment.authorized.v1"
}
payment_event! {
    /// The amount was collected.
    PaymentSucceeded = "payment.succeeded.v1"
}
payment_event! {
    /// An attempt was declined; another may follow.
    PaymentFailed = "payment.failed.v1"
}
payment_event! {
    /// The payment was voided before it was collected.
    PaymentCancelled = "payment.cancelled.v1"
}

/// Money went back to the payer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefunded {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub refund_id: RefundId,
    pub amount: Money,
    /// All refunds of the payment so far.
    pub refunded_amount: Money,
    pub at: DateTime<Utc>,
}

impl Event for PaymentRefunded {
    const NAME: &'static str = "payment.refunded.v1";
}

/// Money that was on its way back did not get there: the gateway refused, or the bank returned it. It can be
/// refunded again, under another id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefundFailed {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub refund_id: RefundId,
    pub amount: Money,
    /// The gateway's reason.
    pub code: String,
    pub at: DateTime<Utc>,
}

impl Event for PaymentRefundFailed {
    const NAME: &'static str = "payment.refund_failed.v1";
}

/// So much less of what is held will be collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentReleased {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub refund_id: RefundId,
    pub amount: Money,
    /// All that was released of the payment so far.
    pub released_amount: Money,
    pub at: DateTime<Utc>,
}

impl Event for PaymentReleased {
    const NAME: &'static str = "payment.released.v1";
}

/// Every event of the module.
pub const EVENTS: &[&str] = &[
    PaymentAuthorized::NAME,
    PaymentSucceeded::NAME,
    PaymentFailed::NAME,
    PaymentCancelled::NAME,
    PaymentRefunded::NAME,
    PaymentRefundFailed::NAME,
    PaymentReleased::NAME,
];
