//! A second charge of a payment, and an order that is cancelled beside it: held, collected and given back in any
//! order of what is told. However it goes, one charge is kept at the most, and none of a cancelled order.

use std::sync::atomic::Ordering;

use eshopz_payment::CaptureMode;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::dice::{Dice, seed, variable};
use crate::shop::{Intent, Shop, event};

/// How many of each kind.
const CASES: u64 = 60;

/// What happens, in an order of the dice.
enum Step {
    Told(Vec<Value>),
    Confirm,
    Undo,
    Job,
}

/// The gateway has a charge that we did not ask for; how it stands.
async fn plant(shop: &Shop, intent: &Intent, name: &str, (status, captured, refunded): (&str, i64, i64)) {
    shop.plant(&format!(
        "INSERT INTO payments.sandbox_charges (reference, idempotency_key, payment_id, merchant_reference, amount_minor, \
            currency, captured_minor, refunded_minor, payment_method, captures, status) \
         VALUES ('{name}', gen_random_uuid(), '{}', 'elsewhere', 100, 'USD', {captured}, {refunded}, 'pm_card_visa', \
            true, '{status}')",
        intent.id
    ))
    .await;
}

fn held(intent: &Intent, name: &str) -> Value {
    let kind = "payment_intent.amount_capturable_updated";
    event(&format!("evt_held_{name}"), kind, intent, json!({"id": name, "amount": 100}))
}

fn collected(intent: &Intent, name: &str, amount: i64) -> Value {
    let object = json!({"id": name, "amount": 100, "amount_received": amount});
    event(&format!("evt_collected_{name}"), "payment_intent.succeeded", intent, object)
}

async fn tell(shop: &Shop, event: &Value) {
    let told = shop.webhook(event).await;
    assert_eq!(told.status, 200, "{}", told.text);
}

/// The gateway knows best; what it tells is planted before.
async fn shop(capture: CaptureMode) -> Shop {
    let shop = Shop::open_with(capture).await;
    shop.gateway.knows_better.store(true, Ordering::SeqCst);
    shop
}

#[tokio::test]
async fn a_surplus_that_was_held_and_is_collected_goes_back() {
    let shop = shop(CaptureMode::Automatic).await;
    for (name, captured) in [("all", 100), ("part", 60)] {
        let intent = shop.paid(100).await;
        plant(&shop, &intent, name, ("succeeded", captured, 0)).await;
        tell(&shop, &held(&intent, name)).await;
        assert!(shop.ledger(&intent).await.contains(&"authorization surplus 100".to_owned()));
        tell(&shop, &collected(&intent, name, captured)).await;
        assert!(shop.ledger(&intent).await.contains(&format!("charge surplus {captured}")));
        shop.module.reconcile().await.unwrap();
        shop.reconcile_later().await;
        let ledger = shop.ledger(&intent).await;
        assert!(ledger.contains(&format!("charge returned {captured}")), "{ledger:?}");
        assert!(ledger.contains(&format!("return succeeded {captured}")), "{ledger:?}");
        shop.assert_balanced().await;
    }
}

#[tokio::test]
async fn one_that_was_collected_and_not_told_goes_back_all_the_same() {
    let shop = shop(CaptureMode::Automatic).await;
    let intent = shop.paid(100).await;
    plant(&shop, &intent, "quiet", ("succeeded", 60, 0)).await;
    tell(&shop, &held(&intent, "quiet")).await;
    shop.reconcile_later().await;
    let late = collected(&intent, "quiet", 60);
    tell(&shop, &late).await;
    shop.reconcile_later().await;
    assert_eq!(shop.ledger(&intent).await[1..], ["charge returned 100", "return succeeded 60"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_surplus_that_went_back_in_part_goes_back_whole() {
    let shop = shop(CaptureMode::Automatic).await;
    let intent = shop.paid(100).await;
    plant(&shop, &intent, "part_of_it", ("succeeded", 100, 30)).await;
    tell(&shop, &collected(&intent, "part_of_it", 100)).await;
    shop.reconcile_later().await;
    assert_eq!(shop.count("sandbox_charges WHERE reference = 'part_of_it' AND refunded_minor = 100").await, 1);
    assert_eq!(shop.ledger(&intent).await[1..], ["charge returned 100", "return succeeded 70"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_charge_of_a_closed_payment_ends_the_same_held_or_collected_first() {
    let shop = shop(CaptureMode::Automatic).await;
    for (name, held_first) in [("held_first", true), ("collected_first", false)] {
        let intent = shop.intent(100).await;
        shop.api.undo(intent.order, "cancelled").await.unwrap();
        plant(&shop, &intent, name, ("succeeded", 100, 0)).await;
        let (held, collected) = (held(&intent, name), collected(&intent, name, 100));
        for told in if held_first { [&held, &collected] } else { [&collected, &held] } {
            tell(&shop, told).await;
        }
        shop.reconcile_later().await;
        assert_eq!(shop.count("transactions WHERE status IN ('pending', 'surplus')").await, 0, "{name}");
        let gone = format!("sandbox_charges WHERE reference = '{name}' AND refunded_minor = 100");
        assert_eq!(shop.count(&gone).await, 1);
        shop.assert_balanced().await;
    }
}

/// What the gateway tells of the second charge, as often as it likes, and of the first.
async fn told(shop: &Shop, dice: &mut Dice, intent: &Intent, case: u64) -> Vec<Value> {
    let name = format!("second_{case}");
    let mut told = Vec::new();
    let (was_held, captured) = (dice.one_in(2), if dice.one_in(3) { dice.up_to(100) } else { 100 });
    let is_collected = !was_held || dice.one_in(2);
    let state = if is_collected { ("succeeded", captured, 0) } else { ("authorized", 0, 0) };
    plant(shop, intent, &name, state).await;
    if was_held {
        told.push(held(intent, &name));
    }
    if is_collected {
        told.push(collected(intent, &name, captured));
    }
    let again: Vec<Value> = told.iter().filter(|_| dice.one_in(2)).cloned().collect();
    told.extend(again);
    told
}

async fn take(shop: &Shop, intent: &Intent, step: Step) {
    match step {
        Step::Told(events) => {
            let answers = join_all(events.iter().map(|event| shop.webhook(event))).await;
            assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        }
        Step::Confirm => {
            let answer = shop.confirm(intent, "pay", "pm_card_visa").await;
            assert!([200, 409].contains(&answer.status), "{}", answer.text);
        }
        Step::Undo => _ = shop.api.undo(intent.order, "cancelled").await.unwrap(),
        Step::Job => shop.reconcile_later().await,
    }
}

async fn case(shop: &Shop, case: u64, dice: &mut Dice) {
    let intent = shop.intent(100).await;
    let mut told = told(shop, dice, &intent, case).await;
    dice.shuffle(&mut told);
    let mut steps: Vec<Step> = vec![Step::Confirm];
    while !told.is_empty() {
        let some = usize::try_from(1 + dice.below(2)).unwrap().min(told.len());
        steps.push(Step::Told(told.split_off(told.len() - some)));
    }
    let undone = dice.one_in(2);
    steps.extend(undone.then_some(Step::Undo));
    steps.extend((0..dice.below(3)).map(|_| Step::Job));
    dice.shuffle(&mut steps);
    for step in steps {
        take(shop, &intent, step).await;
    }
    for _ in 0..3 {
        shop.reconcile_later().await;
    }
    let id = intent.id;
    let kept = format!(
        "sandbox_charges WHERE payment_id = '{id}' AND (captured_minor > refunded_minor OR status = 'authorized')"
    );
    let ledger = shop.ledger(&intent).await;
    assert_eq!(shop.count(&kept).await, i64::from(!undone), "{ledger:?}");
    let open = format!("transactions WHERE payment_id = '{id}' AND status IN ('pending', 'surplus')");
    assert_eq!(shop.count(&open).await, 0, "{ledger:?}");
}

async fn cases(capture: CaptureMode) {
    let (seed, cases) = (seed(), variable("ESHOPZ_TEST_CASES", CASES));
    let shop = shop(capture).await;
    for number in 0..cases {
        println!("{capture:?}: ESHOPZ_TEST_SEED={seed}, case {number}");
        case(&shop, number, &mut Dice::of_case(seed, number)).await;
    }
    assert_eq!(shop.count("webhook_events WHERE applied_at IS NULL").await, 0);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn beside_what_is_collected_at_once_it_ends_the_same_in_any_order() {
    cases(CaptureMode::Automatic).await;
}

#[tokio::test]
async fn beside_what_is_held_first_it_ends_the_same_in_any_order() {
    cases(CaptureMode::Manual).await;
}
