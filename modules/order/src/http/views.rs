//! Orders as they are shown.

use chrono::{DateTime, Utc};
use eshopz_kernel::{Currency, Fault, Money, OrderId, PaymentId, ProductId, Totals, UserId, VariantId};
use eshopz_payment_api::PaymentStatus;
use eshopz_platform::http::Reply;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::return_view::OrderRefundView;
use crate::domain::{OrderStatus, PostalAddress, Tracking};
use crate::service::OrderDetails;
use crate::store::{LineRow, OrderRow, TimelineRow};

/// An order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub struct OrderView {
    pub id: OrderId,
    /// For people.
    #[schema(examples("EZ-100042"))]
    pub number: String,
    pub status: OrderStatus,
    /// `null` when a guest placed it.
    pub customer_id: Option<UserId>,
    #[schema(format = Email, examples("ada@example.com"))]
    pub email: String,
    pub currency: Currency,
    /// As they were when it was placed, but for what was cancelled or came back since.
    pub items: Vec<OrderItemView>,
    /// As they were when it was placed.
    pub totals: Totals,
    pub shipping_address: PostalAddress,
    pub billing_address: PostalAddress,
    pub payment: OrderPaymentView,
    /// What went back to the payer, or is about to, the first one first.
    pub refunds: Vec<OrderRefundView>,
    #[schema(value_type = Option<Tracking>)]
    pub tracking: Option<Value>,
    /// Why it was cancelled: `expired`, `out_of_stock`, or what somebody gave as the reason.
    pub cancel_reason: Option<String>,
    pub placed_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// What a guest sends as `X-Order-Token` to see this order and pay for it. Shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A line of an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderItem)]
pub struct OrderItemView {
    pub variant_id: VariantId,
    pub product_id: ProductId,
    pub sku: Option<String>,
    pub title: String,
    pub variant_title: String,
    pub image_url: Option<String>,
    pub quantity: i64,
    /// So many of them were cancelled.
    pub cancelled_quantity: i64,
    /// So many of them came back.
    pub returned_quantity: i64,
    pub unit_price: Money,
    pub line_total: Money,
}

/// The payment of an order, as it is at this moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderPayment)]
pub struct OrderPaymentView {
    /// For `POST /payments/{id}/confirm`.
    pub id: PaymentId,
    /// `requires_payment_method`, `requires_action`, `processing`, `authorized`, `succeeded`, `failed` or
    /// `cancelled`.
    #[schema(value_type = String, examples("succeeded"))]
    pub status: PaymentStatus,
    pub amount: Money,
    pub refunded_amount: Money,
    /// What the payer has to do, when the status is `requires_action`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub next_action: Option<Value>,
}

/// A change of an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderTimelineEntry)]
pub struct TimelineEntryView {
    pub at: DateTime<Utc>,
    /// `null` for the first.
    #[schema(value_type = Option<OrderStatus>)]
    pub from: Option<String>,
    #[schema(value_type = OrderStatus)]
    pub to: String,
    /// `placed`, `paid`, `processing`, `shipped`, `delivered` or `cancelled`; or, without a new state,
    /// `lines_cancelled`, `return_requested`, `return_accepted` or `return_rejected`.
    #[schema(examples("paid"))]
    pub event: String,
    pub actor: ActorView,
    pub reason: Option<String>,
}

/// Who caused it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderActor)]
pub struct ActorView {
    /// `customer`, `guest`, `admin` or `system`.
    #[schema(examples("system"))]
    r#type: String,
    id: Option<UserId>,
}

impl OrderView {
    /// The order as anybody may see it who may see it at all.
    #[must_use]
    pub fn of(details: OrderDetails) -> Self {
        let OrderDetails { order, lines, refunds, payment } = details;
        Self {
            id: order.order_id(),
            status: order.status,
            customer_id: order.customer(),
            currency: order.money(0).currency,
            items: lines.into_iter().map(|line| item(&order, line)).collect(),
            totals: order.totals(),
            refunds: refunds.into_iter().map(|row| OrderRefundView::of(&order, row)).collect(),
            payment: OrderPaymentView {
                id: payment.id,
                status: payment.status,
                amount: payment.amount,
                refunded_amount: payment.refunded_amount,
                next_action: payment.next_action,
            },
            number: order.number,
            email: order.email,
            shipping_address: order.shipping_address,
            billing_address: order.billing_address,
            tracking: order.tracking,
            cancel_reason: order.cancel_reason,
            placed_at: order.placed_at,
            updated_at: order.updated_at,
            token: None,
        }
    }

    /// 200 with the order and its ETag.
    pub fn reply(details: OrderDetails) -> Result<Reply, Fault> {
        let version = details.order.version;
        Ok(Reply::ok(&Self::of(details))?.etag(version))
    }
}

fn item(order: &OrderRow, line: LineRow) -> OrderItemView {
    let whole = order.status == OrderStatus::Cancelled;
    OrderItemView {
        variant_id: VariantId(line.variant_id),
        product_id: ProductId(line.product_id),
        sku: line.sku,
        title: line.title,
        variant_title: line.variant_title,
        image_url: line.image_url,
        quantity: line.quantity,
        cancelled_quantity: if whole { line.quantity } else { line.cancelled_quantity },
        returned_quantity: line.returned_quantity,
        unit_price: order.money(line.unit_price_minor),
        line_total: order.money(line.line_total_minor),
    }
}

impl TimelineEntryView {
    #[must_use]
    pub fn of(row: TimelineRow) -> Self {
        Self {
            at: row.at,
            from: row.from_status,
            to: row.to_status,
            event: row.event,
            actor: ActorView { r#type: row.actor, id: row.actor_id.map(UserId) },
            reason: row.reason,
        }
    }
}
