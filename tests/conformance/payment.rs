//! `PaymentApi`.

use std::sync::Arc;

use eshopz_kernel::{Currency, FaultKind, Money, OrderId, PaymentId, RefundId, UserId};
use eshopz_payment_api::{CreatePayment, PaymentApi, PaymentStatus, RefundPayment, RefundStatus};

use super::{Record, World, here_and_away};

here_and_away!(suite, payment);

async fn suite(api: Arc<dyn PaymentApi>, _: &World) -> Record {
    let mut record = Record::default();
    making(&*api, &mut record).await;
    paying(&*api, &mut record).await;
    refunding(&*api, &mut record).await;
    undoing(&*api, &mut record).await;
    finding(&*api, &mut record).await;
    record
}

fn usd(amount: i64) -> Money {
    Money::new(amount, Currency::USD)
}

fn command(amount: i64) -> CreatePayment {
    CreatePayment {
        payment_id: PaymentId::new(),
        order_id: OrderId::new(),
        amount: usd(amount),
        customer_id: Some(UserId::new()),
        payer_token_hash: None,
    }
}

async fn making(api: &dyn PaymentApi, record: &mut Record) {
    for amount in [0, 1, i64::MAX] {
        let command = CreatePayment { customer_id: None, payer_token_hash: Some("ab".repeat(32)), ..command(amount) };
        let made = record.note("make", api.create(command.clone()).await).unwrap();
        assert_eq!((made.id, made.order_id, made.amount), (command.payment_id, command.order_id, usd(amount)));
        assert_eq!(record.note("make again", api.create(command.clone()).await).unwrap(), made);
        let twin = CreatePayment { payment_id: PaymentId::new(), ..command.clone() };
        assert_eq!(record.note("make its twin", api.create(twin).await).unwrap().id, made.id);
        let other = CreatePayment { amount: usd(7), ..command };
        let fault = record.note("make it dearer", api.create(other).await).unwrap_err();
        assert_eq!((fault.kind, fault.code.as_ref()), (FaultKind::Conflict, "payment_exists"));
    }
    let fault = record.note("less than nothing", api.create(command(-1)).await).unwrap_err();
    assert_eq!((fault.kind, fault.errors[0].field.as_str()), (FaultKind::Invalid, "/amount"));
}

async fn paying(api: &dyn PaymentApi, record: &mut Record) {
    let made = api.create(command(2_500)).await.unwrap();
    for (method, code) in [
        ("pm_card_chargeDeclined", "card_declined"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error"),
    ] {
        let fault = record.note(method, api.confirm(made.id, method).await).unwrap_err();
        assert_eq!((fault.kind, fault.code.as_ref()), (FaultKind::PaymentDeclined, code));
    }
    for method in ["", "pm_unheard_of", "4242424242424242", "pm_карта 🃏"] {
        let fault = record.note("unknown method", api.confirm(made.id, method).await).unwrap_err();
        assert_eq!((fault.kind, fault.errors[0].field.as_str()), (FaultKind::Invalid, "/payment_method"));
    }
    let waits = record.note("asks", api.confirm(made.id, "pm_card_authenticationRequired").await).unwrap();
    assert_eq!(waits.status, PaymentStatus::RequiresAction);
    assert!(waits.next_action.is_some());
    for _ in 0..3 {
        let paid = record.note("pays", api.confirm(made.id, "pm_card_visa").await).unwrap();
        assert_eq!((paid.status, paid.captured_amount), (PaymentStatus::Succeeded, usd(2_500)));
    }
    let fault = record.note("no payment", api.confirm(PaymentId::new(), "pm_card_visa").await).unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound);
}

async fn refunding(api: &dyn PaymentApi, record: &mut Record) {
    let (paid, unpaid) = (api.create(command(100)).await.unwrap(), api.create(command(100)).await.unwrap());
    api.confirm(paid.id, "pm_card_visa").await.unwrap();
    let wish = |order_id, amount| RefundPayment {
        order_id,
        refund_id: RefundId::new(),
        amount: usd(amount),
        reason: Some("one was broken — 心\0\n".to_owned()),
    };
    let part = wish(paid.order_id, 60);
    for _ in 0..3 {
        let done = record.note("refund a part", api.refund(part.clone()).await).unwrap();
        assert_eq!((done.id, done.status, done.amount), (part.refund_id, RefundStatus::Succeeded, usd(60)));
    }
    let other = RefundPayment { amount: usd(10), ..part };
    for (name, wish, kind, code) in [
        ("another of the same id", other, FaultKind::Conflict, "refund_exists"),
        ("more than is left", wish(paid.order_id, 41), FaultKind::Conflict, "refund_exceeds_captured"),
        ("of nothing paid", wish(unpaid.order_id, 1), FaultKind::Conflict, "payment_not_refundable"),
        ("of no order", wish(OrderId::new(), 1), FaultKind::NotFound, "not_found"),
        ("nothing", wish(paid.order_id, 0), FaultKind::Invalid, "validation_failed"),
    ] {
        let fault = record.note(name, api.refund(wish).await).unwrap_err();
        assert_eq!((fault.kind, fault.code.as_ref()), (kind, code), "{name}");
    }
    let rest = record.note("refund the rest", api.refund(wish(paid.order_id, 40)).await).unwrap();
    assert_eq!(rest.status, RefundStatus::Succeeded);
}

async fn undoing(api: &dyn PaymentApi, record: &mut Record) {
    let (paid, unpaid) = (api.create(command(100)).await.unwrap(), api.create(command(100)).await.unwrap());
    api.confirm(paid.id, "pm_card_visa").await.unwrap();
    for _ in 0..3 {
        let undone = record.note("refund", api.undo(paid.order_id, "changed their mind — 心\0\n").await).unwrap();
        assert_eq!(undone.refunded_amount, usd(100));
        let undone = record.note("void", api.undo(unpaid.order_id, "").await).unwrap();
        assert_eq!(undone.status, PaymentStatus::Cancelled);
    }
    for payment in [paid, unpaid] {
        let fault = record.note("closed", api.confirm(payment.id, "pm_card_visa").await).unwrap_err();
        assert_eq!(fault.code, "payment_not_confirmable");
        assert!(fault.details.contains_key("payment_status"));
    }
    let fault = record.note("nothing to undo", api.undo(OrderId::new(), "x").await).unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound);
}

async fn finding(api: &dyn PaymentApi, record: &mut Record) {
    assert_eq!(record.note("none asked", api.of_orders(&[]).await).unwrap(), []);
    let mut orders: Vec<OrderId> = (0..990).map(|_| OrderId::new()).collect();
    for amount in 1..=10 {
        orders.push(api.create(command(amount)).await.unwrap().order_id);
    }
    let mut found = api.of_orders(&orders).await.unwrap();
    found.sort_by_key(|payment| payment.amount.amount);
    assert_eq!(record.note("a thousand asked", Ok(found)).unwrap().len(), 10);
}
