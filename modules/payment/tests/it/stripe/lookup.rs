//! Looking for what was done: never by doing it, and "nothing" only when that is certain.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use eshopz_payment::gateway::{ChargeOutcome, ChargeStatus, Gateway as _, GatewayError, Sought};
use serde_json::{Value, json};
use uuid::Uuid;

use super::scripted::Line::{self, Answer};
use super::{charge_request, error, follow_up, intent, key_of_age, playing, sought};
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

fn found(page: &[Value]) -> Line {
    list(page.to_vec(), false)
}

fn nothing() -> Line {
    found(&[])
}

/// The moment from which on the list was asked for.
fn asked_since(line: &str) -> i64 {
    let since = line.split("created%5Bgte%5D=").nth(1).unwrap_or_else(|| panic!("no moment in {line}"));
    since.split('&').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn nothing_right_after_the_attempt_proves_nothing() {
    let (server, gateway) = playing([nothing(), nothing(), nothing()]).await;
    let told = gateway.find(sought(key_of_age(Duration::from_secs(20)))).await;
    assert!(matches!(told, Err(GatewayError::Timeout(_))), "{told:?}");
    assert_eq!(gateway.find(sought(key_of_age(4 * MINUTE))).await, Ok(None));
    assert!(server.lines()[1].starts_with("GET /v1/payment_intents?limit=100"));
    assert!(server.lines()[2].starts_with("GET /v1/payment_intents/search?"));
}

#[tokio::test]
async fn the_list_is_read_back_to_the_moment_of_the_attempt() {
    let key = key_of_age(4 * MINUTE);
    let first = list(vec![made("pi_3", None, Duration::ZERO), made("pi_2", Some(Uuid::now_v7()), MINUTE)], true);
    let second = list(vec![made("pi_1", Some(key), 4 * MINUTE)], true);
    let (server, gateway) = playing([first.clone(), second, Answer(200, intent("succeeded"))]).await;
    let found = gateway.find(sought(key)).await.unwrap().unwrap();
    assert_eq!((found.reference.as_str(), found.outcome), ("pi_1", ChargeOutcome::Succeeded { captured: 1_999 }));
    assert!(server.lines()[1].contains("starting_after=pi_2"), "{:?}", server.lines());
    assert!(server.lines()[2].starts_with("GET /v1/payment_intents/pi_1?"));
    let since = Utc::now().timestamp() - asked_since(&server.lines()[0]);
    assert!((539..600).contains(&since), "four minutes, and the difference of the clocks: {since}");
    // No further than that, where the list goes down.
    let older = list(vec![made("pi_1", None, 5 * MINUTE), made("pi_0", None, 10 * MINUTE)], true);
    let (server, gateway) = playing([first, older, nothing()]).await;
    assert_eq!(gateway.find(sought(key)).await, Ok(None));
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_list_with_the_oldest_first_is_read_to_its_end() {
    let key = key_of_age(4 * MINUTE);
    let old = list(vec![made("pi_1", None, 120 * MINUTE), made("pi_2", None, 60 * MINUTE)], true);
    let refused = Answer(400, error("invalid_request_error", json!({"message": "Unexpected created"})));
    let last = found(&[made("pi_3", Some(key), 4 * MINUTE)]);
    let script = [refused, old.clone(), last, Answer(200, intent("succeeded"))];
    let (server, gateway) = playing(script).await;
    assert!(gateway.find(sought(key)).await.unwrap().is_some());
    assert!(!server.lines()[1].contains("created"), "{:?}", server.lines());
    assert!(server.lines()[2].contains("starting_after=pi_2"), "{:?}", server.lines());
    // One piece of one moment tells no order either.
    let even = list(vec![made("pi_1", None, 120 * MINUTE), made("pi_2", None, 120 * MINUTE)], true);
    let (server, gateway) = playing([even, old, nothing(), nothing()]).await;
    assert_eq!(gateway.find(sought(key)).await, Ok(None));
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_list_of_thousands_is_read_to_its_end() {
    let key = key_of_age(4 * MINUTE);
    let pages = (0..30).map(|_| list(vec![made("pi_2", None, Duration::ZERO)], true));
    let end = [found(&[made("pi_1", Some(key), 4 * MINUTE)]), Answer(200, intent("succeeded"))];
    let (_server, gateway) = playing(pages.chain(end)).await;
    assert!(gateway.find(sought(key)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_has_a_name_is_asked_for_by_that() {
    let key = key_of_age(120 * MINUTE);
    let named = |name: &str| Sought { reference: Some(name.to_owned()), ..sought(key) };
    let (server, gateway) = playing([Answer(200, intent("canceled"))]).await;
    assert_eq!(gateway.find(named("pi_1")).await.unwrap().unwrap().outcome, ChargeOutcome::Voided);
    assert!(server.lines()[0].starts_with("GET /v1/payment_intents/pi_1?"), "{:?}", server.lines());
    // The name of a charge is none of an intent.
    let (server, gateway) = playing([nothing(), nothing()]).await;
    assert_eq!(gateway.find(named("ch_1")).await, Ok(None));
    assert!(server.lines()[0].starts_with("GET /v1/payment_intents/search?"), "{:?}", server.lines());
}

#[tokio::test]
async fn what_is_old_is_searched_for_where_that_is_offered() {
    let key = key_of_age(120 * MINUTE);
    let (server, gateway) = playing([found(&[intent("succeeded")]), Answer(200, intent("canceled"))]).await;
    assert_eq!(gateway.find(sought(key)).await.unwrap().unwrap().outcome, ChargeOutcome::Voided);
    let query = format!("query=metadata%5B%27attempt_id%27%5D%3A%27{key}%27");
    assert!(server.lines()[0].starts_with("GET /v1/payment_intents/search?"), "{:?}", server.lines());
    assert!(server.lines()[0].contains(&query), "{:?}", server.lines());
}

#[tokio::test]
async fn nothing_is_believed_when_the_list_and_the_search_agree() {
    let key = key_of_age(120 * MINUTE);
    // The search is behind, or an index of it is lost.
    let (_server, gateway) =
        playing([nothing(), found(&[made("pi_1", Some(key), MINUTE)]), Answer(200, intent("succeeded"))]).await;
    assert!(gateway.find(sought(key)).await.unwrap().is_some());
    let (server, gateway) = playing([nothing(), nothing()]).await;
    assert_eq!(gateway.find(sought(key)).await, Ok(None));
    assert_eq!(server.asked().len(), 2);
    // The list was read from a moment that a clock got wrong.
    let key = key_of_age(4 * MINUTE);
    let (_server, gateway) =
        playing([nothing(), found(&[intent("succeeded")]), Answer(200, intent("succeeded"))]).await;
    assert!(gateway.find(sought(key)).await.unwrap().is_some());
    // Without a search it is read from a day before.
    let (server, gateway) = playing([nothing(), no_search(), nothing()]).await;
    assert_eq!(gateway.find(sought(key)).await, Ok(None));
    let earlier = asked_since(&server.lines()[0]) - asked_since(&server.lines()[2]);
    assert_eq!(earlier, 24 * 3_600 - 300);
}

#[tokio::test]
async fn a_clock_that_jumps_makes_no_attempt_old() {
    let by_row = |key: Uuid, age: TimeDelta| Sought { age, created_at: Utc::now() - age, ..sought(key) };
    // The key was made when our clock was behind; the row is fresh.
    let (_server, gateway) = playing([nothing()]).await;
    let told = gateway.find(by_row(key_of_age(300 * MINUTE), TimeDelta::seconds(20))).await;
    assert!(matches!(told, Err(GatewayError::Timeout(_))), "{told:?}");
    // The database's clock has jumped forward; the key is fresh.
    let (server, gateway) = playing([nothing()]).await;
    let told = gateway.find(by_row(key_of_age(MINUTE), TimeDelta::minutes(40))).await;
    assert!(matches!(told, Err(GatewayError::Timeout(_))), "{told:?}");
    assert!(Utc::now().timestamp() - asked_since(&server.lines()[0]) > 2_600, "from the earlier of both");
}

#[tokio::test]
async fn a_key_that_tells_no_time_is_as_old_as_its_row() {
    let age = TimeDelta::minutes(4);
    let nameless = Sought { idempotency_key: Uuid::from_u128(7), age, created_at: Utc::now() - age, reference: None };
    let (_server, gateway) = playing([nothing(), nothing()]).await;
    assert_eq!(gateway.find(nameless).await, Ok(None));
    // Of what is charged again only the key tells.
    let (server, gateway) = playing([]).await;
    let told = gateway.authorize_or_charge(charge_request(Uuid::from_u128(7), "pm_1")).await;
    assert!(matches!(told, Err(GatewayError::Timeout(_))), "{told:?}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn an_attempt_from_yesterday_is_looked_for_before_it_is_charged() {
    let key = key_of_age(24 * 60 * MINUTE);
    let (server, gateway) = playing([list(vec![intent("succeeded")], false), Answer(200, intent("succeeded"))]).await;
    let found = gateway.authorize_or_charge(charge_request(key, "pm_1")).await.unwrap();
    assert_eq!(found.outcome, ChargeOutcome::Succeeded { captured: 1_999 });
    assert!(server.lines().iter().all(|line| line.starts_with("GET ")), "{:?}", server.lines());
    let (server, gateway) = playing([nothing(), nothing(), Answer(200, intent("succeeded"))]).await;
    gateway.authorize_or_charge(charge_request(key, "pm_1")).await.unwrap();
    assert_eq!(server.lines()[2], "POST /v1/payment_intents");
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
async fn an_earlier_refund_is_looked_for_in_all_the_pieces() {
    let key = key_of_age(24 * 60 * MINUTE);
    let refund = |id: &str, key: &str| json!({"id": id, "status": "succeeded", "metadata": {"transaction_id": key}});
    let first = list(vec![refund("re_3", "x"), refund("re_2", "y")], true);
    let (server, gateway) = playing([first, found(&[refund("re_1", &key.to_string())])]).await;
    assert_eq!(gateway.refund(follow_up(key, usd(5))).await.as_deref(), Ok("re_1"));
    assert!(server.lines()[1].ends_with("&starting_after=re_2"), "{:?}", server.lines());
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
