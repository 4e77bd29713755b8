//! What time does.

use super::super::case::{Case, End};
use super::super::patient::Patient;
use super::orders::{LET_GO, REFUNDED};
use super::payments;
use crate::support::id;

pub const EXPIRED: End = LET_GO;
/// All of it was sold to others; the late money goes back.
pub const SOLD_OUT: End = End { on_hand: 1, ..REFUNDED };

/// Half an hour passes for the order.
pub async fn expire_unpaid(patient: &Patient, case: &Case) {
    let earlier = "UPDATE orders.orders SET placed_at = placed_at - interval '31 minutes' WHERE id::text = $1";
    patient.owner.execute(earlier, &[&id(&case.order)]).await.unwrap();
    let undone = "SELECT 1 FROM orders.orders WHERE id::text = $1 AND undone_at IS NOT NULL";
    patient.until(undone, id(&case.order)).await;
}

/// Its reservation runs out, somebody else buys all but one, and then it is paid.
pub async fn pay_for_what_is_sold_out(patient: &Patient, case: &Case) {
    let order = id(&case.order);
    let later = "UPDATE products.reservations SET expires_at = now() WHERE order_id::text = $1 AND state = 'held'";
    patient.owner.execute(later, &[&order]).await.unwrap();
    patient.until("SELECT 1 FROM products.reservations WHERE order_id::text = $1 AND state = 'released'", order).await;
    let path = format!("/api/v1/variants/{}/stock", case.variant);
    let left = serde_json::json!({"on_hand": SOLD_OUT.on_hand});
    patient.must(&[200], "PUT", &path, &[("authorization", &case.admin)], Some(left)).await;
    payments::pay_late(patient, case).await;
    let back = "SELECT 1 FROM payments.payments
        WHERE id::text = $1 AND captured_minor > 0 AND refunded_minor = captured_minor";
    patient.until(back, case.payment()).await;
}
