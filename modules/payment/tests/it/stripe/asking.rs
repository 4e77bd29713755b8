//! What is sent, how often, and what is known when no answer settles it.

use std::time::{Duration, Instant};

use eshopz_payment::gateway::{ChargeOutcome, Gateway as _, GatewayError};
use serde_json::json;
use uuid::Uuid;

use super::scripted::Line::{Answer, AnswerWith, Garbage, Hang, Reset};
use super::scripted::{Line, Scripted};
use super::{charge_request, error, follow_up, intent, playing, stripe_at, stripe_with};
use crate::shop::usd;

fn busy() -> Line {
    Answer(429, error("invalid_request_error", json!({"code": "rate_limit"})))
}

#[tokio::test]
async fn a_charge_is_one_request_under_our_key_with_our_names() {
    let (server, gateway) = playing([Answer(200, intent("succeeded"))]).await;
    let request = charge_request(Uuid::now_v7(), "pm_card_visa");
    let (key, payment) = (request.idempotency_key.to_string(), request.payment_id.to_string());
    let charge = gateway.authorize_or_charge(request).await.unwrap();
    assert_eq!((charge.reference.as_str(), charge.outcome), ("pi_1", ChargeOutcome::Succeeded { captured: 1_999 }));
    assert_eq!(charge.method.map(|method| method.last4).as_deref(), Some("4242"));
    let asked = server.asked();
    assert_eq!(server.lines(), ["POST /v1/payment_intents"]);
    assert_eq!(asked[0].key(), key);
    assert_eq!(asked[0].headers["authorization"], "Bearer sk_test_local");
    assert_eq!(asked[0].headers["stripe-version"], "2025-03-31.basil");
    let sent: Vec<(&str, &str)> = asked[0].form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("amount", "1999"),
        ("capture_method", "automatic"),
        ("confirm", "true"),
        ("currency", "usd"),
        ("expand[]", "payment_method"),
        ("metadata[attempt_id]", &key),
        ("metadata[order_id]", "order-1"),
        ("metadata[payment_id]", &payment),
        ("payment_method", "pm_card_visa"),
        ("payment_method_types[]", "card"),
    ];
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn another_key_is_used_from_the_next_call_on() {
    let (server, gateway) = playing([Answer(200, intent("canceled")), Answer(200, intent("canceled"))]).await;
    gateway.void(follow_up(Uuid::now_v7(), usd(1))).await.unwrap();
    gateway.replace_secret_key("rk_new");
    gateway.void(follow_up(Uuid::now_v7(), usd(1))).await.unwrap();
    let keys: Vec<String> = server.asked().iter().map(|asked| asked.headers["authorization"].clone()).collect();
    assert_eq!(keys, ["Bearer sk_test_local", "Bearer rk_new"]);
}

#[tokio::test]
async fn what_passes_is_asked_again_under_the_same_key() {
    let locked = Answer(409, error("idempotency_error", json!({"code": "idempotency_key_in_use"})));
    let script = [locked, busy(), Answer(503, json!({})), Reset, Answer(200, intent("succeeded"))];
    let (server, gateway) = playing(script).await;
    let request = charge_request(Uuid::now_v7(), "pm_card_visa");
    let key = request.idempotency_key.to_string();
    assert_eq!(
        gateway.authorize_or_charge(request).await.unwrap().outcome,
        ChargeOutcome::Succeeded { captured: 1_999 }
    );
    let keys: Vec<String> = server.asked().iter().map(|asked| asked.key().to_owned()).collect();
    assert_eq!(keys, vec![key; 5]);
}

#[tokio::test]
async fn a_no_after_a_lost_answer_is_the_answer_to_the_key() {
    let declined = error("card_error", json!({"code": "card_declined", "decline_code": "lost_card"}));
    let (_server, gateway) = playing([Reset, Answer(402, declined)]).await;
    let charge = gateway.authorize_or_charge(charge_request(Uuid::now_v7(), "pm_card_visa")).await.unwrap();
    let outcome = ChargeOutcome::Declined { code: "lost_card".to_owned(), message: "No.".to_owned() };
    assert_eq!(charge.outcome, outcome);
}

/// What is told of a charge whose requests all end without an answer that settles it.
async fn verdict(script: Vec<Line>) -> (GatewayError, usize) {
    let server = Scripted::start(script).await;
    let gateway = stripe_with(&server.url, Duration::from_secs(3));
    let refusal = gateway.authorize_or_charge(charge_request(Uuid::now_v7(), "pm_card_visa")).await.unwrap_err();
    (refusal, server.asked().len())
}

#[tokio::test]
async fn without_an_answer_the_outcome_is_unknown() {
    let no_use = AnswerWith(500, "stripe-should-retry: false", json!({}));
    let other_words = Answer(400, error("idempotency_error", json!({})));
    for (script, requests) in [
        (vec![Hang], 1),
        (vec![Garbage(200)], 1),
        (vec![no_use], 1),
        (vec![other_words], 1),
        (vec![Garbage(404)], 1),
        (vec![Reset, Answer(401, error("invalid_request_error", json!({})))], 2),
        (vec![Reset, AnswerWith(429, "retry-after: 30", json!({}))], 2),
        (vec![Answer(409, json!({})), AnswerWith(429, "retry-after: 30", json!({}))], 2),
    ] {
        let (refusal, asked) = verdict(script.clone()).await;
        assert!(matches!(refusal, GatewayError::Timeout(_)), "{script:?}: {refusal}");
        assert_eq!(asked, requests, "{script:?}");
    }
}

#[tokio::test]
async fn what_was_certainly_not_done_is_told_so() {
    let begun = Instant::now();
    for (script, requests) in [
        (vec![AnswerWith(429, "retry-after: 30", json!({}))], 1),
        (vec![Answer(401, error("invalid_request_error", json!({})))], 1),
        (vec![busy(), Answer(403, error("invalid_request_error", json!({})))], 2),
    ] {
        let (refusal, asked) = verdict(script.clone()).await;
        assert!(matches!(refusal, GatewayError::Unavailable(_)), "{script:?}: {refusal}");
        assert_eq!(asked, requests, "{script:?}");
    }
    // Nobody waits half a minute because Stripe says so.
    assert!(begun.elapsed() < Duration::from_secs(20));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = stripe_with(&format!("http://{nobody}"), Duration::from_millis(600));
    let refusal = gateway.refund(follow_up(Uuid::now_v7(), usd(1))).await.unwrap_err();
    assert!(matches!(refusal, GatewayError::Unavailable(_)), "{refusal}");
}

#[tokio::test]
async fn a_name_with_a_path_in_it_is_not_asked_about() {
    let (server, gateway) = playing([]).await;
    let astray = |charge: &str| eshopz_payment::gateway::FollowUp {
        charge: charge.to_owned(),
        ..follow_up(Uuid::now_v7(), usd(1))
    };
    for name in ["", "pi_1/../../v1/balance", "pi_1?x=y", "pi 1"] {
        for told in [gateway.void(astray(name)).await, gateway.refund(astray(name)).await] {
            assert!(matches!(told, Err(GatewayError::Rejected { .. })), "{name}");
        }
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn only_names_of_methods_are_taken() {
    let gateway = stripe_at("http://127.0.0.1:9");
    for good in ["pm_card_visa", "pm_1MqLiJLkdIwHu7ixUEgbFdYl"] {
        assert!(gateway.knows_method(good), "{good}");
    }
    let long = format!("pm_{}", "a".repeat(300));
    for bad in
        ["", "pm_", "4242424242424242", "pm_4242424242424242", "pm_x424242424242", "pm_4242 4242", "tok_visa", &long]
    {
        assert!(!gateway.knows_method(bad), "{bad}");
    }
}
