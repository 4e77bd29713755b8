//! What Stripe's answers mean, where localstripe has no such answer.

use eshopz_kernel::Money;
use eshopz_payment::gateway::{ChargeOutcome, Gateway as _, GatewayError};
use serde_json::json;
use uuid::Uuid;

use super::scripted::Line::Answer;
use super::{charge_request, error, follow_up, intent, playing};
use crate::shop::usd;

#[tokio::test]
async fn a_decline_has_the_banks_reason_and_the_intent() {
    let fields = json!({
        "code": "card_declined", "decline_code": "insufficient_funds", "charge": "ch_1",
        "payment_intent": {"id": "pi_9", "status": "requires_payment_method"},
    });
    let (_server, gateway) = playing([Answer(402, error("card_error", fields))]).await;
    let charge = gateway.authorize_or_charge(charge_request(Uuid::now_v7(), "pm_1")).await.unwrap();
    assert_eq!(charge.reference, "pi_9");
    assert!(matches!(charge.outcome, ChargeOutcome::Declined { code, .. } if code == "insufficient_funds"));
}

#[tokio::test]
async fn a_decline_that_names_only_its_charge_has_no_name() {
    let fields = json!({"code": "card_declined", "charge": "ch_1"});
    let (_server, gateway) = playing([Answer(402, error("card_error", fields))]).await;
    let charge = gateway.authorize_or_charge(charge_request(Uuid::now_v7(), "pm_1")).await.unwrap();
    assert_eq!(charge.reference, "");
}

#[tokio::test]
async fn the_payers_action_comes_with_what_his_browser_needs() {
    let mut waiting = intent("requires_action");
    waiting["next_action"] = json!({"type": "use_stripe_sdk", "use_stripe_sdk": {"x": 1}});
    let (_server, gateway) = playing([Answer(200, waiting)]).await;
    let charge = gateway.authorize_or_charge(charge_request(Uuid::now_v7(), "pm_1")).await.unwrap();
    let ChargeOutcome::RequiresAction { next_action } = charge.outcome else { panic!("{:?}", charge.outcome) };
    let expected = json!({"type": "use_stripe_sdk", "use_stripe_sdk": {"x": 1}, "client_secret": "pi_1_secret_2"});
    assert_eq!(next_action, expected);
}

#[tokio::test]
async fn a_state_that_settles_nothing_is_not_guessed() {
    for status in ["processing", "requires_confirmation", "something_new"] {
        let (_server, gateway) = playing([Answer(200, intent(status))]).await;
        let told = gateway.authorize_or_charge(charge_request(Uuid::now_v7(), "pm_1")).await;
        assert!(matches!(told, Err(GatewayError::Timeout(_))), "{status}");
    }
}

#[tokio::test]
async fn a_method_that_cannot_be_used_is_an_unknown_one_and_other_errors_are_refusals() {
    let missing = json!({"code": "resource_missing", "param": "payment_method"});
    let used = json!({"param": "payment_method[id]"});
    let small = json!({"code": "amount_too_small", "param": "amount"});
    let refusal = |code: &str| GatewayError::Rejected { code: code.to_owned(), message: "No.".to_owned() };
    for (fields, expected) in [
        (missing, GatewayError::UnknownMethod),
        (used, GatewayError::UnknownMethod),
        (small, refusal("amount_too_small")),
        (json!({}), refusal("invalid_request_error")),
    ] {
        let (_server, gateway) = playing([Answer(400, error("invalid_request_error", fields))]).await;
        let told = gateway.authorize_or_charge(charge_request(Uuid::now_v7(), "pm_1")).await;
        assert_eq!(told, Err(expected));
    }
}

#[tokio::test]
async fn currencies_that_stripe_counts_otherwise_are_counted_so() {
    let (server, gateway) = playing([Answer(200, intent("succeeded"))]).await;
    let kronur = Money::new(500, "ISK".parse().unwrap());
    let request = eshopz_payment::gateway::ChargeRequest { amount: kronur, ..charge_request(Uuid::now_v7(), "pm_1") };
    gateway.authorize_or_charge(request.clone()).await.unwrap();
    assert_eq!(server.asked()[0].form["amount"], "50000");
    let ariary = Money::new(550, "MGA".parse().unwrap());
    let told = gateway.authorize_or_charge(eshopz_payment::gateway::ChargeRequest { amount: ariary, ..request }).await;
    assert!(matches!(told, Err(GatewayError::Rejected { code, .. }) if code == "amount_not_representable"));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_part_is_captured_and_the_charge_is_named() {
    let mut captured = intent("succeeded");
    captured["amount_received"] = json!(600);
    let (server, gateway) = playing([Answer(200, captured)]).await;
    assert_eq!(gateway.capture(follow_up(Uuid::now_v7(), usd(600))).await.as_deref(), Ok("ch_1"));
    assert_eq!(server.lines(), ["POST /v1/payment_intents/pi_1/capture"]);
    assert_eq!(server.asked()[0].form["amount_to_capture"], "600");
}

#[tokio::test]
async fn what_was_done_already_counts_when_stripe_has_forgotten_the_key() {
    let unexpected = || Answer(400, error("invalid_request_error", json!({"code": "payment_intent_unexpected_state"})));
    let looked = |status: &str| Answer(200, intent(status));
    let (server, gateway) = playing([unexpected(), looked("succeeded"), unexpected(), looked("canceled")]).await;
    assert_eq!(gateway.capture(follow_up(Uuid::now_v7(), usd(1_999))).await.as_deref(), Ok("ch_1"));
    assert_eq!(gateway.void(follow_up(Uuid::now_v7(), usd(1_999))).await.as_deref(), Ok("pi_1"));
    assert!(server.lines()[1].starts_with("GET /v1/payment_intents/pi_1?"));
    // Another amount, or a void of what was collected, is a refusal.
    let (_server, gateway) = playing([unexpected(), looked("succeeded"), unexpected(), looked("succeeded")]).await;
    let told = [
        gateway.capture(follow_up(Uuid::now_v7(), usd(5))).await,
        gateway.void(follow_up(Uuid::now_v7(), usd(5))).await,
    ];
    for told in told {
        assert!(matches!(told, Err(GatewayError::Rejected { code, .. }) if code == "payment_intent_unexpected_state"));
    }
}

#[tokio::test]
async fn a_refund_counts_unless_it_has_failed() {
    let refund =
        |status: &str| Answer(200, json!({"id": "re_1", "status": status, "failure_reason": "lost_or_stolen"}));
    let all_gone = error("invalid_request_error", json!({"code": "charge_already_refunded"}));
    let script = [refund("succeeded"), refund("pending"), refund("failed"), Answer(400, all_gone)];
    let (server, gateway) = playing(script).await;
    let key = Uuid::now_v7();
    assert_eq!(gateway.refund(follow_up(key, usd(5))).await.as_deref(), Ok("re_1"));
    let form = server.asked()[0].form.clone();
    assert_eq!((form["payment_intent"].as_str(), form["amount"].as_str()), ("pi_1", "5"));
    assert_eq!(
        (form["metadata[transaction_id]"].clone(), server.asked()[0].key().to_owned()),
        (key.to_string(), key.to_string())
    );
    assert_eq!(gateway.refund(follow_up(Uuid::now_v7(), usd(5))).await.as_deref(), Ok("re_1"));
    for expected in ["lost_or_stolen", "charge_already_refunded"] {
        let told = gateway.refund(follow_up(Uuid::now_v7(), usd(5))).await;
        assert!(matches!(told, Err(GatewayError::Rejected { code, .. }) if code == expected));
    }
}
