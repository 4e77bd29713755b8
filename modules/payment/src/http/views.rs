//! What consumers send and see.

use chrono::{DateTime, Utc};
use eshopz_kernel::{Money, OrderId, PaymentId, RefundId, UserId};
use eshopz_payment_api::PaymentStatus;
use eshopz_platform::http::params::given;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::domain::{Failure, Method, TransactionKind, TransactionStatus, declines};
use crate::store::{Movement, Payment};

/// The states of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PaymentStatus)]
pub enum StatusView {
    RequiresPaymentMethod,
    RequiresAction,
    /// The gateway was asked and its answer is not known yet.
    Processing,
    /// The amount is held and waits for a capture.
    Authorized,
    Succeeded,
    /// Too many attempts: it takes no further one.
    Failed,
    Cancelled,
}

impl From<PaymentStatus> for StatusView {
    fn from(status: PaymentStatus) -> Self {
        match status {
            PaymentStatus::RequiresPaymentMethod => Self::RequiresPaymentMethod,
            PaymentStatus::RequiresAction => Self::RequiresAction,
            PaymentStatus::Processing => Self::Processing,
            PaymentStatus::Authorized => Self::Authorized,
            PaymentStatus::Succeeded => Self::Succeeded,
            PaymentStatus::Failed => Self::Failed,
            PaymentStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl From<StatusView> for PaymentStatus {
    fn from(status: StatusView) -> Self {
        match status {
            StatusView::RequiresPaymentMethod => Self::RequiresPaymentMethod,
            StatusView::RequiresAction => Self::RequiresAction,
            StatusView::Processing => Self::Processing,
            StatusView::Authorized => Self::Authorized,
            StatusView::Succeeded => Self::Succeeded,
            StatusView::Failed => Self::Failed,
            StatusView::Cancelled => Self::Cancelled,
        }
    }
}

/// A payment: the intent to collect an order's total.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub struct PaymentView {
    id: PaymentId,
    order_id: OrderId,
    amount: Money,
    captured_amount: Money,
    /// Refunds that are done or on their way.
    refunded_amount: Money,
    /// What was held and will not be collected.
    released_amount: Money,
    status: StatusView,
    #[schema(examples("sandbox"))]
    gateway: String,
    method: Option<Method>,
    /// Why the last attempt failed.
    failure: Option<Failure>,
    /// What the payer has to do, while the status is `requires_action`.
    #[schema(value_type = Option<Object>)]
    next_action: Option<Value>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<&Payment> for PaymentView {
    fn from(payment: &Payment) -> Self {
        Self {
            id: payment.id.into(),
            order_id: payment.order_id.into(),
            amount: payment.money(payment.amount_minor),
            captured_amount: payment.money(payment.captured_minor),
            refunded_amount: payment.money(payment.refunded_minor),
            released_amount: payment.money(payment.released_minor),
            status: payment.status.0.into(),
            gateway: payment.gateway.clone(),
            method: payment.method.clone().and_then(|method| serde_json::from_value(method).ok()),
            failure: payment.failure(),
            next_action: payment.next_action.clone(),
            created_at: payment.created_at,
            updated_at: payment.updated_at,
        }
    }
}

/// How a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// The gateway was asked; it is asked again until it answers.
    Pending,
    Succeeded,
    /// The gateway refused; the amount can be refunded again.
    Failed,
}

/// Money on its way back to the payer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refund)]
pub struct RefundView {
    id: RefundId,
    payment_id: PaymentId,
    amount: Money,
    status: RefundStatus,
    reason: Option<String>,
    gateway_reference: Option<String>,
    failure: Option<Failure>,
    created_at: DateTime<Utc>,
}

impl From<&Movement> for RefundView {
    fn from(row: &Movement) -> Self {
        Self {
            id: row.id.into(),
            payment_id: row.payment_id.into(),
            amount: money(row),
            status: match row.status {
                TransactionStatus::Succeeded => RefundStatus::Succeeded,
                TransactionStatus::Failed => RefundStatus::Failed,
                _ => RefundStatus::Pending,
            },
            reason: row.reason.clone(),
            gateway_reference: row.gateway_reference.clone(),
            failure: row.failure(),
            created_at: row.created_at,
        }
    }
}

/// Something that was asked of the gateway, or that it told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Transaction)]
pub struct TransactionView {
    id: Uuid,
    payment_id: PaymentId,
    kind: TransactionKind,
    status: TransactionStatus,
    amount: Money,
    /// The gateway's name of the method that was tried.
    payment_method: Option<String>,
    method: Option<Method>,
    /// The gateway's name for it.
    gateway_reference: Option<String>,
    reason: Option<String>,
    failure: Option<Failure>,
    created_at: DateTime<Utc>,
    /// When its outcome was known.
    settled_at: Option<DateTime<Utc>>,
}

impl From<&Movement> for TransactionView {
    fn from(row: &Movement) -> Self {
        Self {
            id: row.id,
            payment_id: row.payment_id.into(),
            kind: row.kind,
            status: row.status,
            amount: money(row),
            payment_method: row.payment_method.clone(),
            method: row.method.clone().and_then(|method| serde_json::from_value(method).ok()),
            gateway_reference: row.gateway_reference.clone(),
            reason: row.reason.clone(),
            failure: row.failure(),
            created_at: row.created_at,
            settled_at: row.settled_at,
        }
    }
}

fn money(row: &Movement) -> Money {
    Money::new(row.amount_minor, row.currency.parse().unwrap_or(eshopz_kernel::Currency::USD))
}

/// Pay with a method.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmPayment {
    /// The gateway's name of a method, never card data. In the sandbox one of Stripe's test names.
    #[validate(length(min = 1, max = 255), custom(function = method_name))]
    #[schema(example = "pm_card_visa", min_length = 1, max_length = 255, pattern = "<method>")]
    pub payment_method: String,
}

/// A name such as `pm_card_visa`; whatever looks otherwise is kept out, above all card numbers.
fn method_name(name: &str) -> Result<(), ValidationError> {
    let of_names = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let named = name.starts_with("pm_") && name.bytes().all(of_names);
    if named {
        return Ok(());
    }
    let reason = declines::UNKNOWN_METHOD;
    Err(ValidationError::new(reason.code)
        .with_message("must be the name of a method, such as `pm_card_visa`, never card data".into()))
}

/// Collect what is held.
#[derive(Debug, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct CapturePayment {
    /// In part, and the rest is let go; without it, all of it.
    #[serde(default)]
    pub amount: Option<Money>,
}

/// Give money back.
#[derive(Debug, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "returned"}))]
pub struct CreateRefund {
    /// In part; without it, all that is left.
    #[serde(default)]
    pub amount: Option<Money>,
    #[serde(default)]
    #[validate(length(max = 500), custom(function = plain_text))]
    #[schema(example = "returned", max_length = 500, pattern = "<text>")]
    pub reason: Option<String>,
}

/// PostgreSQL keeps no NUL in text.
fn plain_text(text: &str) -> Result<(), ValidationError> {
    if text.contains('\0') {
        return Err(ValidationError::new("invalid").with_message("must not contain NUL characters".into()));
    }
    Ok(())
}

/// The order of a list of payments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub enum PaymentSort {
    #[serde(rename = "created_at")]
    OldestFirst,
    #[default]
    #[serde(rename = "-created_at")]
    NewestFirst,
}

/// Which payments.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListPayments {
    #[param(inline)]
    #[serde(default, deserialize_with = "given")]
    pub status: Option<StatusView>,
    #[serde(default, deserialize_with = "given")]
    pub order_id: Option<OrderId>,
    /// Of one account; for admins.
    #[serde(default, deserialize_with = "given")]
    pub customer_id: Option<UserId>,
    /// Newest first, unless it says otherwise.
    #[serde(default)]
    #[param(inline)]
    pub sort: PaymentSort,
    /// `next_cursor` of the page before.
    #[validate(length(max = 1000))]
    #[param(max_length = 1000)]
    pub cursor: Option<String>,
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    #[serde(default, deserialize_with = "given")]
    pub limit: Option<u32>,
}

/// Which page.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// `next_cursor` of the page before.
    #[validate(length(max = 1000))]
    #[param(max_length = 1000)]
    pub cursor: Option<String>,
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    #[serde(default, deserialize_with = "given")]
    pub limit: Option<u32>,
}
