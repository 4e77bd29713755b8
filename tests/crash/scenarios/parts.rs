//! Parts of an order: lines that are cancelled, things that come back.

use serde_json::json;

use super::super::case::{Case, End, PAID, PRICE, QUANTITY};
use super::super::patient::Patient;
use super::orders::{DELIVERED, HELD, LET_GO, paid};
use crate::support::{Shop, id};

/// One of the three is free again, and paid back.
pub const LESS: End = End { refunded: PRICE, on_hand: PAID.on_hand + 1, ..PAID };
/// The same, while nothing was collected.
pub const LESS_HELD: End = End { on_hand: HELD.on_hand + 1, ..HELD };
pub const RETURNED: End = End { order: DELIVERED.order, ..LESS };

pub const ALL_LET_GO: End = End { order: DELIVERED.order, ..LET_GO };

pub async fn delivered(shop: &Shop) -> Case {
    let case = paid(shop).await;
    let path = format!("{}/transitions", case.order_path());
    let delivered = Some(json!({"to": "delivered"}));
    for change in [Some(json!({"to": "shipped"})), delivered] {
        shop.send("POST", &path, &[("authorization", &case.admin)], change).await.expect(200);
    }
    case
}

pub async fn cancel_lines(patient: &Patient, case: &Case) {
    let key = case.key("cancel");
    let headers = [("x-order-token", case.token()), ("idempotency-key", key.as_str())];
    let one = json!({"items": [{"variant_id": case.variant, "quantity": 1}]});
    let order = patient.must(&[200], "POST", &format!("{}/cancel", case.order_path()), &headers, Some(one)).await;
    assert_eq!(order["status"], "paid");
}

pub async fn cancel_lines_held(patient: &Patient, case: &Case) {
    cancel_lines(patient, case).await;
}

/// Asks for so many of the three to go back; gives the return's path.
async fn ask(patient: &Patient, case: &Case, quantity: i64) -> String {
    let key = case.key("return");
    let headers = [("x-order-token", case.token()), ("idempotency-key", key.as_str())];
    let items = json!({"items": [{"variant_id": case.variant, "quantity": quantity}], "reason": "too small"});
    let path = format!("{}/returns", case.order_path());
    let asked = patient.must(&[201], "POST", &path, &headers, Some(items)).await;
    format!("{path}/{}", id(&asked))
}

/// The same decision again changes nothing, so it needs no key.
async fn accept(patient: &Patient, case: &Case, quantity: i64) {
    let path = format!("{}/accept", ask(patient, case, quantity).await);
    patient.must(&[200], "POST", &path, &[("authorization", &case.admin)], Some(json!({"restock": true}))).await;
}

pub async fn accept_return(patient: &Patient, case: &Case) {
    accept(patient, case, 1).await;
}

/// Nothing was collected, so nothing is held any more.
pub async fn return_all_held(patient: &Patient, case: &Case) {
    accept(patient, case, QUANTITY).await;
}

pub async fn reject_return(patient: &Patient, case: &Case) {
    let path = format!("{}/reject", ask(patient, case, 1).await);
    let admin = [("authorization", case.admin.as_str())];
    patient.must(&[200], "POST", &path, &admin, Some(json!({"reason": "worn"}))).await;
    let returns = patient.must(&[200], "GET", &format!("{}/returns", case.order_path()), &admin, None).await;
    assert_eq!(returns["items"][0]["status"], "rejected");
}
