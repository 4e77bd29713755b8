//! Payments: asked of the gateway, told by the gateway, given back.

use chrono::Utc;
use eshopz_payment::gateway::signature;
use eshopz_testkit::load::Reply;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::case::{Case, End, PAID, QUANTITY, STOCK, TOTAL};
use super::super::patient::Patient;
use crate::support::Shop;

const PART: i64 = TOTAL - 1_000;

pub const COLLECTED_IN_PART: End = End { captured: PART, ..PAID };
pub const REFUNDED_IN_PART: End = End { refunded: PART, ..PAID };
pub const CLOSED: End =
    End { order: "pending_payment", payment: "cancelled", captured: 0, on_hand: STOCK, reserved: QUANTITY, ..PAID };
pub const REFUNDED_OUTSIDE: End = End { refunded: TOTAL, ..PAID };

/// An order whose payment waits for the payer's bank.
pub async fn waiting(shop: &Shop) -> Case {
    Case::ordered(shop, Some("pm_card_authenticationRequired")).await
}

/// Paid with a card that takes nothing back.
pub async fn paid_for_good(shop: &Shop) -> Case {
    Case::ordered(shop, Some("pm_card_refundFail")).await
}

async fn pay(patient: &Patient, case: &Case, intent: &str, method: &str) -> Reply {
    let key = case.key(intent);
    let headers = [("x-order-token", case.token()), ("idempotency-key", key.as_str())];
    let path = format!("/api/v1/payments/{}/confirm", case.payment());
    patient.send("POST", &path, &headers, Some(json!({"payment_method": method}))).await
}

pub async fn confirm(patient: &Patient, case: &Case) {
    let paid = pay(patient, case, "pay", "pm_card_visa").await;
    assert_eq!((paid.status, paid.body["status"].as_str()), (200, Some("succeeded")), "{}", paid.body);
    is_paid(patient, case).await;
}

/// The gateway takes the money, whatever becomes of the order. Who hears of it only after the shop has decided
/// to give it back is told that the payment is closed.
pub async fn pay_late(patient: &Patient, case: &Case) {
    let paid = pay(patient, case, "late", "pm_card_visa").await;
    let is_given_back = paid.code() == "payment_not_confirmable" && paid.body["payment_status"] == "succeeded";
    assert!(paid.status == 200 || is_given_back, "{} {}", paid.status, paid.body);
}

pub async fn is_paid(patient: &Patient, case: &Case) {
    let paid = "SELECT 1 FROM orders.orders WHERE payment_id::text = $1 AND status = 'paid'";
    patient.until(paid, case.payment()).await;
}

pub async fn decline_then_confirm(patient: &Patient, case: &Case) {
    let declined = pay(patient, case, "declined", "pm_card_chargeDeclined").await;
    assert_eq!((declined.status, declined.code()), (402, "card_declined"));
    confirm(patient, case).await;
}

/// The payer's bank asks back, so another card is tried.
pub async fn confirm_waiting(patient: &Patient, case: &Case) {
    let waits = pay(patient, case, "waits", "pm_card_authenticationRequired").await;
    assert_eq!((waits.status, waits.body["status"].as_str()), (200, Some("requires_action")), "{}", waits.body);
    confirm(patient, case).await;
}

/// A job finds out that nothing came of the first attempt.
pub async fn silence_then_confirm(patient: &Patient, case: &Case) {
    let silence = pay(patient, case, "silence", "pm_sandbox_timeout").await;
    assert!([200, 402].contains(&silence.status), "{} {}", silence.status, silence.body);
    let known = "SELECT 1 FROM payments.payments WHERE id::text = $1 AND status <> 'processing'";
    patient.until(known, case.payment()).await;
    confirm(patient, case).await;
}

/// The payer does not wait for that, and tries again and again under new keys.
pub async fn silence_then_insist(patient: &Patient, case: &Case) {
    let silence = pay(patient, case, "silence", "pm_sandbox_timeout").await;
    assert!([200, 402].contains(&silence.status), "{} {}", silence.status, silence.body);
    for attempt in 0.. {
        let paid = pay(patient, case, &format!("insist-{attempt}"), "pm_card_visa").await;
        if paid.status == 200 {
            break;
        }
        assert_eq!((paid.status, paid.code()), (409, "payment_in_progress"), "{}", paid.body);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    is_paid(patient, case).await;
}

/// As an admin, with a key.
async fn move_money(patient: &Patient, case: &Case, what: &str) -> Reply {
    let key = case.key(what);
    let headers = [("authorization", case.admin.as_str()), ("idempotency-key", key.as_str())];
    let amount = json!({"amount": {"amount": PART, "currency": "USD"}});
    patient.send("POST", &format!("/api/v1/payments/{}/{what}", case.payment()), &headers, Some(amount)).await
}

pub async fn capture_part(patient: &Patient, case: &Case) {
    let captured = move_money(patient, case, "capture").await;
    assert_eq!(captured.status, 200, "{}", captured.body);
}

/// What was held is gone at the gateway, which the shop finds out by this: nothing leaves the house for it.
pub async fn capture_refused(patient: &Patient, case: &Case) {
    at_the_gateway(patient, case, "status = 'cancelled'").await;
    let refused = move_money(patient, case, "capture").await;
    assert!(refused.status >= 400, "{} {}", refused.status, refused.body);
    let cancelled = "SELECT 1 FROM orders.orders WHERE payment_id::text = $1 AND status = 'cancelled'";
    patient.until(cancelled, case.payment()).await;
}

/// It was collected meanwhile, so that it cannot be let go: it is refunded.
pub async fn cancel_what_was_collected(patient: &Patient, case: &Case) {
    at_the_gateway(patient, case, "status = 'succeeded', captured_minor = amount_minor").await;
    super::orders::cancel(patient, case).await;
    let back = "SELECT 1 FROM payments.payments
        WHERE id::text = $1 AND captured_minor > 0 AND refunded_minor = captured_minor";
    patient.until(back, case.payment()).await;
}

/// Something happens at the gateway that it does not tell.
async fn at_the_gateway(patient: &Patient, case: &Case, change: &str) {
    let change = format!("UPDATE payments.sandbox_charges SET {change} WHERE payment_id::text = $1");
    patient.owner.execute(&change, &[&case.payment()]).await.unwrap();
}

/// It may be on its way when it is answered.
pub async fn refund_part(patient: &Patient, case: &Case) {
    let refund = move_money(patient, case, "refunds").await;
    let status = refund.body["status"].as_str().unwrap_or_default();
    assert!(refund.status == 201 && ["succeeded", "pending"].contains(&status), "{} {}", refund.status, refund.body);
}

pub async fn refund_refused(patient: &Patient, case: &Case) {
    let refund = move_money(patient, case, "refunds").await;
    assert!(refund.status >= 400 || refund.body["status"] == "failed", "{} {}", refund.status, refund.body);
}

/// What the gateway says of a charge, until it is told that it was heard. It names the payment, unless
/// `object` says otherwise.
async fn webhook(patient: &Patient, case: &Case, kind: &str, charge: &str, object: Value) {
    let mut event = json!({
        "id": case.key(kind), "type": kind,
        "data": {"object": {"id": charge, "amount": TOTAL, "metadata": {"payment_id": case.payment()}}},
    });
    event["data"]["object"].as_object_mut().unwrap().extend(object.as_object().unwrap().clone());
    let signature = signature::sign("whsec_sandbox", Utc::now().timestamp(), &event.to_string());
    let headers = [("sandbox-signature", signature.as_str())];
    patient.must(&[200], "POST", "/api/v1/payments/webhooks/sandbox", &headers, Some(event)).await;
}

/// The charge that the payment's attempt made, and the attempt.
async fn charge_and_attempt(patient: &Patient, case: &Case) -> (String, String) {
    let charge = "SELECT reference, idempotency_key::text FROM payments.sandbox_charges WHERE payment_id::text = $1";
    let charge = patient.owner.query_one(charge, &[&case.payment()]).await.unwrap();
    (charge.get(0), charge.get(1))
}

async fn charge(patient: &Patient, case: &Case) -> String {
    charge_and_attempt(patient, case).await.0
}

pub async fn webhook_paid(patient: &Patient, case: &Case) {
    let (charge, attempt) = charge_and_attempt(patient, case).await;
    let metadata = json!({"payment_id": case.payment(), "attempt_id": attempt});
    let paid = json!({"amount_received": TOTAL, "metadata": metadata});
    webhook(patient, case, "payment_intent.succeeded", &charge, paid).await;
    is_paid(patient, case).await;
}

/// What was held is collected by somebody else.
pub async fn webhook_collected(patient: &Patient, case: &Case) {
    let charge = charge(patient, case).await;
    webhook(patient, case, "payment_intent.succeeded", &charge, json!({"amount_received": TOTAL})).await;
}

/// The gateway closes it: the order stays unpaid until it expires.
pub async fn webhook_voided(patient: &Patient, case: &Case) {
    let charge = charge(patient, case).await;
    webhook(patient, case, "payment_intent.canceled", &charge, json!({})).await;
    let closed = "SELECT 1 FROM payments.payments WHERE id::text = $1 AND status = 'cancelled'";
    patient.until(closed, case.payment()).await;
}

pub async fn webhook_held(patient: &Patient, case: &Case) {
    let charge = charge(patient, case).await;
    webhook(patient, case, "payment_intent.amount_capturable_updated", &charge, json!({})).await;
    is_paid(patient, case).await;
}

pub async fn webhook_failed(patient: &Patient, case: &Case) {
    let charge = charge(patient, case).await;
    let failed = json!({"last_payment_error": {"code": "authentication_required"}});
    webhook(patient, case, "payment_intent.created", &charge, json!({})).await;
    webhook(patient, case, "payment_intent.payment_failed", &charge, failed).await;
    confirm(patient, case).await;
}

pub async fn webhook_refunded(patient: &Patient, case: &Case) {
    let charge = charge(patient, case).await;
    let refunded = json!({"amount_refunded": TOTAL, "metadata": {}});
    webhook(patient, case, "charge.refunded", &charge, refunded).await;
    let back = "SELECT 1 FROM payments.payments WHERE id::text = $1 AND refunded_minor = captured_minor";
    patient.until(back, case.payment()).await;
}

/// The order is as a crash leaves it before its payment is made. What the gateway says of that is kept until
/// a repetition of the checkout makes it, and counts then.
async fn before_its_payment(patient: &Patient, case: &Case, kind: &str) {
    let undo = format!(
        "BEGIN; DELETE FROM payments.payments WHERE id = '{0}';
         UPDATE orders.orders SET finished_at = NULL WHERE payment_id = '{0}'; COMMIT;",
        case.payment()
    );
    patient.owner.batch_execute(&undo).await.unwrap();
    let charge = format!("sbx_ch_{}", Uuid::now_v7().simple());
    webhook(patient, case, kind, &charge, json!({"amount_received": TOTAL})).await;
    let key = case.key("again");
    let headers = [("x-cart-token", case.cart_token.as_str()), ("idempotency-key", key.as_str())];
    // 201 when it was interrupted: a resumed key does not know that another one made the order.
    patient.must(&[200, 201], "POST", "/api/v1/orders", &headers, Some(case.body(None))).await;
    is_paid(patient, case).await;
}

pub async fn webhook_before_its_payment(patient: &Patient, case: &Case) {
    before_its_payment(patient, case, "payment_intent.succeeded").await;
}

pub async fn webhook_held_before_its_payment(patient: &Patient, case: &Case) {
    before_its_payment(patient, case, "payment_intent.amount_capturable_updated").await;
}

/// A third was let go, and then all of it is collected by somebody else: a third goes back.
pub async fn webhook_of_too_much(patient: &Patient, case: &Case) {
    super::parts::cancel_lines(patient, case).await;
    webhook_collected(patient, case).await;
    let back = "SELECT 1 FROM payments.payments WHERE id::text = $1 AND refunded_minor > 0";
    patient.until(back, case.payment()).await;
}

/// Money that nobody wanted goes back.
pub async fn webhook_of_a_second_charge(patient: &Patient, case: &Case) {
    let charge = format!("sbx_ch_{}", Uuid::now_v7().simple());
    webhook(patient, case, "payment_intent.succeeded", &charge, json!({"amount_received": TOTAL})).await;
    let back = "SELECT 1 FROM payments.sandbox_charges WHERE reference = $1 AND refunded_minor = captured_minor";
    patient.until(back, &charge).await;
}
