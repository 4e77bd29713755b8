//! What is asked while somebody is away: the gateway, which then has not answered; a listener, which then has
//! to be told again.

use super::super::case::{Case, End, PAID};
use super::super::patient::Patient;
use super::payments::{capture_part, refund_part};
use super::{orders, parts, payments};

pub const COLLECTED: End = payments::COLLECTED_IN_PART;
pub const REFUNDED: End = payments::REFUNDED_IN_PART;
pub const TOLD_AGAIN: End = PAID;

/// Money is asked for, and the gateway is back when the payment module has noted that there was no answer.
async fn while_the_gateway_is_away(patient: &Patient, case: &Case, asked: impl Future<Output = ()>) {
    patient.owner.batch_execute("REVOKE UPDATE ON payments.sandbox_charges FROM payments").await.unwrap();
    let back = async {
        let unanswered = "SELECT 1 FROM payments.transactions WHERE payment_id::text = $1 AND status = 'pending'";
        patient.until(unanswered, case.payment()).await;
        patient.until(LEFT, &format!("{}%", case.name)).await;
        patient.owner.batch_execute("GRANT UPDATE ON payments.sandbox_charges TO payments").await.unwrap();
    };
    futures::join!(asked, back);
    let answered = "SELECT 1 WHERE NOT EXISTS
        (SELECT FROM payments.transactions WHERE payment_id::text = $1 AND status = 'pending')";
    patient.until(answered, case.payment()).await;
}

/// No request of this case is being worked on: it was answered, or may be taken up by a repetition.
const LEFT: &str = "SELECT 1 WHERE NOT EXISTS (SELECT FROM payments.idempotency_keys
    WHERE key LIKE $1 AND status IS NULL AND created_at > now() - interval '10 seconds')";

pub async fn capture_without_an_answer(patient: &Patient, case: &Case) {
    while_the_gateway_is_away(patient, case, capture_part(patient, case)).await;
}

pub async fn refund_without_an_answer(patient: &Patient, case: &Case) {
    while_the_gateway_is_away(patient, case, refund_part(patient, case)).await;
}

pub async fn cancel_without_an_answer(patient: &Patient, case: &Case) {
    while_the_gateway_is_away(patient, case, orders::cancel(patient, case)).await;
}

pub async fn return_without_an_answer(patient: &Patient, case: &Case) {
    while_the_gateway_is_away(patient, case, parts::accept_return(patient, case)).await;
}

/// Who hears that the payment is secured cannot write it down, and is told again later.
pub async fn a_listener_that_fails(patient: &Patient, case: &Case) {
    patient.owner.batch_execute("REVOKE INSERT ON orders.inbox FROM orders").await.unwrap();
    payments::pay_late(patient, case).await;
    let failed = "SELECT 1 FROM payments.outbox_deliveries d JOIN payments.outbox o ON o.id = d.event_id
        WHERE d.last_error IS NOT NULL AND o.payload ->> 'payment_id' = $1";
    patient.until(failed, case.payment()).await;
    patient.owner.batch_execute("GRANT INSERT ON orders.inbox TO orders").await.unwrap();
    payments::is_paid(patient, case).await;
}
