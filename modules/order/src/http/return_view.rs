//! Returns and refunds as they are shown.

use chrono::{DateTime, Utc};
use eshopz_kernel::{Money, OrderId, RefundId};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::items::ItemQuantity;
use crate::domain::{RefundState, ReversalStatus};
use crate::service::ReturnDetails;
use crate::store::{OrderRow, RefundRow};

/// Things that come back after they arrived.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderReturn)]
pub struct ReturnView {
    pub id: Uuid,
    pub order_id: OrderId,
    pub status: ReturnStatus,
    pub items: Vec<ItemQuantity>,
    /// Of whoever asked.
    #[schema(examples("A button is loose."))]
    pub reason: Option<String>,
    /// Of whoever decided.
    pub note: Option<String>,
    /// What goes back; `null` unless it is accepted.
    pub refund_amount: Option<Money>,
    /// Whether the things are for sale again; `null` unless it is accepted.
    #[schema(examples(true))]
    pub restocked: Option<bool>,
    /// `null` when nothing goes back.
    pub refund: Option<OrderRefundView>,
    pub requested_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// How far a return has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReturnStatus {
    /// It waits for a decision.
    Requested,
    /// The money is on its way, or there is none.
    Accepted,
    Rejected,
    /// Accepted, and the money is back.
    Refunded,
}

/// Money that went back to the payer, or is about to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderRefund)]
pub struct OrderRefundView {
    pub id: RefundId,
    pub amount: Money,
    /// `null` too when it was refunded without the order's doing, see `GET /payments/{id}/refunds`.
    pub reason: Option<String>,
    /// `pending` until the gateway has answered, `succeeded` or `failed`.
    #[schema(examples("succeeded"))]
    pub status: &'static str,
}

impl OrderRefundView {
    #[must_use]
    pub fn of(order: &OrderRow, row: RefundRow) -> Self {
        let (amount, status) = (order.money(row.amount_minor), row.status.as_str());
        Self { id: RefundId(row.id), amount, reason: row.reason, status }
    }
}

impl ReturnView {
    #[must_use]
    pub fn of(order: &OrderRow, details: ReturnDetails) -> Self {
        let ReturnDetails { part, lines, refund } = details;
        let items =
            lines.into_iter().map(|line| ItemQuantity { variant_id: line.variant_id.into(), quantity: line.quantity });
        Self {
            id: part.id,
            order_id: part.order(),
            status: ReturnStatus::of(part.status, refund.as_ref()),
            items: items.collect(),
            reason: part.reason,
            note: part.note,
            refund_amount: part.refund_minor.map(|minor| order.money(minor)),
            restocked: part.restock,
            refund: refund.map(|row| OrderRefundView::of(order, row)),
            requested_at: part.requested_at,
            updated_at: part.updated_at,
        }
    }
}

impl ReturnStatus {
    fn of(status: ReversalStatus, refund: Option<&RefundRow>) -> Self {
        let is_back = refund.is_some_and(|refund| refund.status == RefundState::SUCCEEDED);
        match status {
            ReversalStatus::Requested => Self::Requested,
            ReversalStatus::Rejected => Self::Rejected,
            ReversalStatus::Accepted if is_back => Self::Refunded,
            ReversalStatus::Accepted => Self::Accepted,
        }
    }
}
