//! Looking for what was done: never by doing it, and "nothing" only when that is certain.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use eshopz_payment::gateway::{ChargeOutcome, ChargeStatus, Gateway as _, GatewayError};
use serde_json::{Value, json};
use uuid::Uuid;

use super::scripted::Line::{self, Answer};
use super::{charge_request, error, follow_up, intent, key_of_age, playing};
use crate::shop::usd;

const MINUTE: Duration = Duration::from_secs(60);

fn made(id: &str, attempt: Option<Uuid>, ago: Duration) -> Value {
    let mut made = intent("succeeded");
    made["id"] = json!(id);
    made["created"] = json!(Utc::now().timestamp() - i64::try_from(ago.as_secs()).unwrap());
    made["metadata"] = json!({"attempt_id": attempt});
    made
}

fn list(data: Vec<Value>, has_more: bool) -> Line {
    Answer(200, json!({"object": "list", "data": data, "has_more": has_more}))
}

fn no_search() -> Line {
    Answer(400, error("invalid_request_error", json!({})))
}

#[tokio::test]
async fn nothing_right_after_the_attempt_proves_nothing() {
    let (server, gateway) = playing([list(vec![], false), list(vec![], false)]).await;
    let told = gateway.find(key_of_age(Duration::from_secs(20))).await;
    assert!(matches!(told, Err(GatewayError::Timeout(_))), "{told:?}");
    assert_eq!(gateway.find(key_of_age(4 * MINUTE)).await, Ok(None));
    assert!(server.lines().iter().all(|line| line.starts_with("GET /v1/payment_intents?limit=100")));
}

#[tokio::test]
async fn the_list_is_read_back_to_the_moment_of_the_attempt() {
    let key = key_of_age(4 * MINUTE);
    let first = list(vec![made("pi_3", None, Duration::ZERO), made("pi_2", Some(Uuid::now_v7()), MINUTE)], true);
    let second = list(vec![made("pi_1", Some(key), 4 * MINUTE)], true);
    let (server, gateway) = playing([first.clone(), second, Answer(200, intent("succeeded"))]).await;
    let found = gateway.find(key).await.unwrap().unwrap();
    assert_eq!((found.reference.as_str(), found.outcome), ("pi_1", ChargeOutcome::Succeeded));
    assert!(server.lines()[1].contains("starting_after=pi_2"), "{:?}", server.lines());
    assert!(server.lines()[2].starts_with("GET /v1/payment_intents/pi_1?"));
    // No further than that, and the difference of the clocks.
    let (server, gateway) = playing([first, list(vec![made("pi_0", None, 10 * MINUTE)], true)]).await;
    assert_eq!(gateway.find(key).await, Ok(None));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_list_without_end_leaves_it_open() {
    let pages = (0..20).map(|_| list(vec![made("pi_2", None, Duration::ZERO)], true));
    let (_server, gateway) = playing(pages).await;
    let told = gateway.find(key_of_age(4 * MINUTE)).await;
    assert!(matches!(told, Err(GatewayError::Timeout(_))), "{told:?}");
}

#[tokio::test]
async fn what_is_old_is_searched_for_where_that_is_offered() {
    let key = key_of_age(120 * MINUTE);
    let (server, gateway) = playing([list(vec![], false)]).await;
    assert_eq!(gateway.find(key).await, Ok(None));
    let query = format!("query=metadata%5B%27attempt_id%27%5D%3A%27{key}%27");
    assert!(server.lines()[0].starts_with("GET /v1/payment_intents/search?"), "{:?}", server.lines());
    assert!(server.lines()[0].contains(&query), "{:?}", server.lines());
    let (_server, gateway) = playing([list(vec![intent("succeeded")], false), Answer(200, intent("canceled"))]).await;
    assert_eq!(gateway.find(key).await.unwrap().unwrap().outcome, ChargeOutcome::Voided);
    let (_server, gateway) = playing([no_search(), list(vec![], false)]).await;
    assert_eq!(gateway.find(key).await, Ok(None));
}

#[tokio::test]
async fn a_key_that_tells_no_time_is_never_declared_dead() {
    let (_server, gateway) = playing([]).await;
    assert!(matches!(gateway.find(Uuid::from_u128(7)).await, Err(GatewayError::Timeout(_))));
}

#[tokio::test]
async fn an_attempt_from_yesterday_is_looked_for_before_it_is_charged() {
    let key = key_of_age(24 * 60 * MINUTE);
    let (server, gateway) = playing([list(vec![intent("succeeded")], false), Answer(200, intent("succeeded"))]).await;
    let found = gateway.authorize_or_charge(charge_request(key, "pm_1")).await.unwrap();
    assert_eq!(found.outcome, ChargeOutcome::Succeeded);
    assert!(server.lines().iter().all(|line| line.starts_with("GET ")), "{:?}", server.lines());
    let (server, gateway) = playing([list(vec![], false), Answer(200, intent("succeeded"))]).await;
    gateway.authorize_or_charge(charge_request(key, "pm_1")).await.unwrap();
    assert_eq!(server.lines()[1], "POST /v1/payment_intents");
}

#[tokio::test]
async fn a_refund_from_yesterday_is_looked_for_before_it_is_made() {
    let key = key_of_age(24 * 60 * MINUTE);
    let refund = |key: &str| json!({"id": "re_1", "status": "succeeded", "metadata": {"transaction_id": key}});
    let (server, gateway) = playing([list(vec![refund("x"), refund(&key.to_string())], false)]).await;
    assert_eq!(gateway.refund(follow_up(key, usd(5))).await.as_deref(), Ok("re_1"));
    assert_eq!(server.lines(), ["GET /v1/refunds?payment_intent=pi_1&limit=100"]);
    let (server, gateway) = playing([list(vec![refund("x")], false), Answer(200, refund("y"))]).await;
    assert_eq!(gateway.refund(follow_up(key, usd(5))).await.as_deref(), Ok("re_1"));
    assert_eq!(server.lines()[1], "POST /v1/refunds");
}

#[tokio::test]
async fn the_list_for_the_books_ends_at_its_moment_and_counts_only_money() {
    let key = Uuid::now_v7();
    let part = json!({
        "id": "pi_5", "status": "succeeded", "amount": 100, "amount_received": 60, "currency": "usd",
        "created": Utc::now().timestamp(), "metadata": {"attempt_id": key},
        "latest_charge": {"id": "ch_5", "amount": 100, "amount_captured": 60, "amount_refunded": 65},
    });
    let void = json!({
        "id": "pi_4", "status": "canceled", "amount": 100, "amount_received": 0, "currency": "isk",
        "created": Utc::now().timestamp(), "metadata": null,
        "latest_charge": {"id": "ch_4", "amount": 100, "amount_captured": 0, "amount_refunded": 100},
    });
    let mut declined = intent("requires_payment_method");
    declined["last_payment_error"] = json!({"type": "card_error", "code": "card_declined"});
    let page = list(vec![part, void, declined, made("pi_old", None, 60 * MINUTE)], true);
    let (server, gateway) = playing([page.clone(), page]).await;
    let since: DateTime<Utc> = Utc::now() - TimeDelta::minutes(10);
    let page = gateway.charges_since(since, Some("pi_6".to_owned())).await.unwrap();
    assert_eq!(page.next, None);
    assert!(server.lines()[0].contains("starting_after=pi_6"), "{:?}", server.lines());
    let seen: Vec<_> = page.charges.iter().map(|it| (it.status, it.amount.amount, it.captured, it.refunded)).collect();
    let expected = [
        (ChargeStatus::Succeeded, 100, 60, 25),
        (ChargeStatus::Voided, 1, 0, 0),
        (ChargeStatus::Declined, 1_999, 0, 0),
    ];
    assert_eq!(seen, expected);
    assert_eq!((page.charges[0].attempt, page.charges[1].attempt), (Some(key), None));
    let longer = gateway.charges_since(since - TimeDelta::hours(2), None).await.unwrap();
    assert_eq!((longer.charges.len(), longer.next.as_deref()), (4, Some("pi_old")));
}
