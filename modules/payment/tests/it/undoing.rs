//! Undoing the payments of cancelled orders.

use std::sync::atomic::Ordering;

use eshopz_kernel::OrderId;
use eshopz_payment::CaptureMode;
use eshopz_payment_api::{CreatePayment, PaymentStatus};

use crate::shop::{Shop, usd};

#[tokio::test]
async fn an_unpaid_one_is_closed() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    for _ in 0..2 {
        let undone = shop.api.undo(intent.order, "expired").await.unwrap();
        assert_eq!(undone.status, PaymentStatus::Cancelled);
    }
    let closed = shop.confirm(&intent, "k", "pm_card_visa").await;
    assert_eq!((closed.status, closed.code().as_str()), (409, "payment_not_confirmable"));
    assert_eq!(shop.events().await, ["payment.cancelled.v1"]);
    assert_eq!(shop.api.undo(OrderId::new(), "").await.unwrap_err().code, "not_found");
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_paid_one_is_refunded_as_far_as_it_is_not_yet() {
    let shop = Shop::open().await;
    let intent = shop.paid(100).await;
    assert_eq!(shop.refund(&intent, "r1", 30).await.status, 201);
    for _ in 0..3 {
        let undone = shop.api.undo(intent.order, "changed their mind\0").await.unwrap();
        assert_eq!((undone.status, undone.refunded_amount), (PaymentStatus::Succeeded, usd(100)));
    }
    assert_eq!(shop.ledger(&intent).await, ["charge succeeded 100", "refund succeeded 30", "refund succeeded 70"]);
    let again = shop.confirm(&intent, "k", "pm_card_visa").await;
    assert_eq!((again.status, again.code().as_str()), (409, "payment_not_confirmable"));
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_held_one_is_let_go() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k", "pm_card_visa").await;
    let undone = shop.api.undo(intent.order, "cancelled").await.unwrap();
    assert_eq!(undone.status, PaymentStatus::Cancelled);
    assert_eq!(shop.ledger(&intent).await, ["authorization succeeded 100", "void succeeded 100"]);
    assert_eq!(shop.count("sandbox_charges WHERE status = 'cancelled'").await, 1);
    assert_eq!(shop.command(&intent, "capture", "c", None).await.code(), "payment_not_capturable");
    shop.assert_balanced().await;
}

#[tokio::test]
async fn one_that_waits_for_the_payer_is_let_go() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k", "pm_card_authenticationRequired").await;
    let undone = shop.api.undo(intent.order, "cancelled").await.unwrap();
    assert_eq!((undone.status, undone.next_action), (PaymentStatus::Cancelled, None));
    assert_eq!(shop.ledger(&intent).await, ["charge cancelled 100", "void succeeded 100"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn one_without_an_answer_is_undone_when_it_has_one() {
    let shop = Shop::open().await;
    let (paid, unpaid) = (shop.intent(100).await, shop.intent(200).await);
    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    shop.confirm(&paid, "k", "pm_card_visa").await;
    shop.confirm(&unpaid, "k", "pm_sandbox_timeout").await;
    for intent in [&paid, &unpaid] {
        let undone = shop.api.undo(intent.order, "cancelled").await.unwrap();
        assert_eq!(undone.status, PaymentStatus::Processing);
    }
    shop.reconcile_later().await;
    assert_eq!(shop.ledger(&paid).await, ["charge succeeded 100", "refund succeeded 100"]);
    assert_eq!(shop.status(&unpaid).await, "cancelled");
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_payer_who_confirms_while_it_is_undone_keeps_nothing_paid() {
    let shop = Shop::open().await;
    for _ in 0..10 {
        let intent = shop.intent(100).await;
        let (confirmed, undone) =
            tokio::join!(shop.confirm(&intent, "k", "pm_card_visa"), shop.api.undo(intent.order, "cancelled"));
        undone.unwrap();
        assert!(matches!(confirmed.status, 200 | 409), "{}", confirmed.text);
        let payment = shop.read(&intent).await;
        assert_eq!(payment["captured_amount"], payment["refunded_amount"], "{payment}");
        assert!(matches!(payment["status"].as_str(), Some("succeeded" | "cancelled")), "{payment}");
    }
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_refund_that_did_not_get_through_is_made_later() {
    let shop = Shop::open().await;
    let intent = shop.paid(100).await;
    shop.gateway.unreachable.store(1, Ordering::SeqCst);
    let undone = shop.api.undo(intent.order, "cancelled").await.unwrap();
    assert_eq!(undone.refunded_amount, usd(100));
    assert_eq!(shop.ledger(&intent).await[1], "refund pending 100");
    shop.reconcile_later().await;
    assert_eq!(shop.ledger(&intent).await, ["charge succeeded 100", "refund succeeded 100"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn what_has_gone_back_by_other_means_is_not_asked_for_again_and_again() {
    let shop = Shop::open().await;
    for (outside, refunds) in [
        (100, &["refund failed 100", "refund succeeded 100"][..]),
        (30, &["refund failed 100", "refund succeeded 30", "refund succeeded 70"]),
    ] {
        let intent = shop.paid(100).await;
        // The webhook that tells it is lost.
        shop.plant(&format!(
            "UPDATE payments.sandbox_charges SET refunded_minor = {outside} WHERE payment_id = '{}'",
            intent.id
        ))
        .await;
        let undone = shop.api.undo(intent.order, "cancelled").await.unwrap();
        assert_eq!(undone.refunded_amount, usd(100), "{outside}");
        shop.plant("UPDATE payments.transactions SET created_at = created_at - interval '1 hour'").await;
        shop.reconcile_later().await;
        assert_eq!(shop.ledger(&intent).await[1..], *refunds);
        shop.assert_balanced().await;
    }
}

#[tokio::test]
async fn making_it_twice_makes_one() {
    let shop = Shop::open().await;
    let intent = shop.paid(100).await;
    let mut command = CreatePayment {
        payment_id: eshopz_kernel::PaymentId::new(),
        order_id: intent.order,
        amount: usd(100),
        customer_id: None,
        payer_token_hash: None,
    };
    let known = shop.api.create(command.clone()).await.unwrap();
    assert_eq!((known.id, known.status), (intent.id, PaymentStatus::Succeeded));
    command.amount = usd(101);
    assert_eq!(shop.api.create(command.clone()).await.unwrap_err().code, "payment_exists");
    command.amount = usd(-1);
    assert_eq!(shop.api.create(command).await.unwrap_err().code, "validation_failed");
    let other = shop.intent(5).await;
    let found = shop.api.of_orders(&[intent.order, other.order, OrderId::new()]).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(shop.api.confirm(intent.id, "pm_card_chargeDeclined").await.unwrap().status, PaymentStatus::Succeeded);
}
