//! Whole sessions, told in any order: what a gateway did is told by its webhooks permuted, repeated and
//! between the payer's and the admin's own requests, while the gateway's answer is still on its way. However
//! it goes, the payment ends as the gateway has it, with one charge and one `payment.succeeded.v1`.
//!
//! `ESHOPZ_TEST_SEED` repeats a run; `ESHOPZ_TEST_CASES` makes it longer.

use std::sync::atomic::Ordering;

use eshopz_payment::CaptureMode;
use futures::future::{Either, join_all, select};
use serde_json::{Value, json};

use crate::dice::{Dice, seed, variable};
use crate::shop::{Intent, Shop, amount, event};

/// How many sessions of each kind.
const CASES: u64 = 120;

/// A charge as the gateway has it.
#[derive(Clone, Debug, serde::Deserialize)]
struct Truth {
    reference: String,
    idempotency_key: uuid::Uuid,
    status: String,
    captured_minor: i64,
    refunded_minor: i64,
}

/// What happens to the module, in an order of the dice.
#[derive(Clone, Debug)]
enum Step {
    /// Some events at once.
    Told(Vec<Value>),
    /// The gateway's answer to the payer's first request arrives.
    Answer,
    PayAgain(String),
    Capture(String),
    Refund(String, i64),
    Job,
}

struct Session<'a> {
    shop: &'a Shop,
    intent: Intent,
    manual: bool,
    amount: i64,
    events: Vec<Value>,
    case: u64,
}

impl Session<'_> {
    /// The latest charge of the payment at the gateway.
    async fn truth(&self) -> Truth {
        let id = self.intent.id;
        let query = format!(
            "SELECT reference, idempotency_key, status, captured_minor, refunded_minor FROM payments.sandbox_charges \
             WHERE payment_id = '{id}' ORDER BY created_at DESC LIMIT 1"
        );
        serde_json::from_value(self.shop.row(&query).await).unwrap()
    }

    /// The gateway does something on its own: by its own program, or with the payer's bank.
    async fn gateway_does(&self, change: &str) {
        let reference = self.truth().await.reference;
        self.shop.plant(&format!("UPDATE payments.sandbox_charges SET {change} WHERE reference = '{reference}'")).await;
    }

    /// The gateway will tell of the charge as it is now. Only sometimes does it pass our key on.
    async fn notes(&mut self, dice: &mut Dice, kind: &str) {
        let truth = self.truth().await;
        let object = json!({"id": truth.reference, "amount": self.amount, "amount_received": truth.captured_minor,
            "amount_refunded": truth.refunded_minor, "last_payment_error": {"code": "card_declined"}});
        let id = format!("evt_{}_{}", self.case, self.events.len());
        let mut told = event(&id, kind, &self.intent, object);
        if dice.one_in(2) {
            told["data"]["object"]["metadata"]["attempt_id"] = json!(truth.idempotency_key);
        }
        self.events.push(told);
    }

    /// A first attempt with a card that is declined, or given up for another.
    async fn begins_badly(&mut self, dice: &mut Dice) {
        let (method, kind) = if dice.one_in(2) {
            ("pm_card_chargeDeclined", "payment_intent.payment_failed")
        } else {
            ("pm_card_authenticationRequired", "payment_intent.canceled")
        };
        self.shop.confirm(&self.intent, "bad", method).await;
        self.notes(dice, kind).await;
    }

    /// What the gateway does while its answer is on its way.
    async fn goes_on(&mut self, dice: &mut Dice) {
        let secured = if self.manual { "payment_intent.amount_capturable_updated" } else { "payment_intent.succeeded" };
        if self.truth().await.status == "requires_action" {
            self.notes(dice, "payment_intent.requires_action").await;
            if dice.one_in(4) {
                self.gateway_does("status = 'declined'").await;
                return self.notes(dice, "payment_intent.payment_failed").await;
            }
            let paid = "status = 'succeeded', captured_minor = amount_minor";
            self.gateway_does(if self.manual { "status = 'authorized'" } else { paid }).await;
        }
        self.notes(dice, secured).await;
        if self.manual {
            match dice.below(4) {
                0 => {
                    self.gateway_does("status = 'cancelled'").await;
                    self.notes(dice, "payment_intent.canceled").await;
                }
                1 => {
                    let part = dice.up_to(self.amount);
                    self.gateway_does(&format!("status = 'succeeded', captured_minor = {part}")).await;
                    self.notes(dice, "payment_intent.succeeded").await;
                }
                _ => {}
            }
        }
        for _ in 0..dice.below(3) {
            let truth = self.truth().await;
            let left = truth.captured_minor - truth.refunded_minor;
            if left > 0 {
                let part = dice.up_to(left);
                self.gateway_does(&format!("refunded_minor = refunded_minor + {part}")).await;
                self.notes(dice, "charge.refunded").await;
            }
        }
    }

    /// All that will happen, in an order of the dice.
    fn steps(&self, dice: &mut Dice, method: &str) -> Vec<Step> {
        let mut steps = vec![Step::Answer];
        let mut told: Vec<Value> = Vec::new();
        for event in &self.events {
            told.extend((0..=dice.below(3)).map(|_| event.clone()));
        }
        dice.shuffle(&mut told);
        while !told.is_empty() {
            let some = usize::try_from(1 + dice.below(3)).unwrap().min(told.len());
            steps.push(Step::Told(told.split_off(told.len() - some)));
        }
        // Whoever is declined, or gives up what waits for the bank, pays with another charge: another session.
        if method == "pm_card_visa" {
            steps.extend((0..dice.below(3)).map(|number| Step::PayAgain(format!("again-{number}"))));
        }
        for number in 0..dice.below(2) {
            steps.push(Step::Capture(format!("capture-{}-{number}", self.case)));
        }
        for number in 0..dice.below(3) {
            steps.push(Step::Refund(format!("refund-{}-{number}", self.case), dice.up_to(self.amount)));
        }
        if dice.one_in(3) {
            steps.push(Step::Job);
        }
        dice.shuffle(&mut steps);
        steps
    }

    async fn take(&mut self, dice: &mut Dice, step: Step) {
        let (shop, intent) = (self.shop, &self.intent);
        let (answer, allowed, news): (_, &[u16], _) = match step {
            Step::Told(events) => {
                let answers = join_all(events.iter().map(|event| shop.webhook(event))).await;
                assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
                return;
            }
            Step::Answer => return shop.gateway.held_back.let_go(),
            Step::Job => return shop.module.reconcile().await.unwrap(),
            Step::PayAgain(key) => (shop.confirm(intent, &key, "pm_card_visa").await, &[200, 409], None),
            Step::Capture(key) => {
                (shop.command(intent, "capture", &key, None).await, &[200, 409], Some("payment_intent.succeeded"))
            }
            Step::Refund(key, part) => (shop.refund(intent, &key, part).await, &[201, 409], Some("charge.refunded")),
        };
        assert!(allowed.contains(&answer.status), "{}", answer.text);
        if let Some(kind) = news.filter(|_| answer.status < 300) {
            self.notes(dice, kind).await;
        }
    }

    /// The payment is what the gateway has.
    async fn ends_as_the_gateway_has_it(&self) {
        let truth = self.truth().await;
        let payment = self.shop.read(&self.intent).await;
        let status = match truth.status.as_str() {
            "declined" => "requires_payment_method",
            same => same,
        };
        assert_eq!(payment["status"], status, "{payment} {truth:?}");
        assert_eq!(amount(&payment, "captured_amount"), truth.captured_minor, "{payment} {truth:?}");
        assert_eq!(amount(&payment, "refunded_amount"), truth.refunded_minor, "{payment} {truth:?}");
        let id = self.intent.id;
        let collected = format!("sandbox_charges WHERE payment_id = '{id}' AND status IN ('succeeded', 'authorized')");
        assert!(self.shop.count(&collected).await <= 1, "one charge");
        let told = format!("outbox WHERE name = 'payment.succeeded.v1' AND payload->>'payment_id' = '{id}'");
        assert_eq!(self.shop.count(&told).await, i64::from(truth.captured_minor > 0), "one event");
    }
}

async fn session(shop: &Shop, manual: bool, case: u64, dice: &mut Dice) {
    let amount = 100 + dice.up_to(900);
    let intent = shop.intent(amount).await;
    let payer = Intent { id: intent.id, order: intent.order, bearer: intent.bearer.clone() };
    let mut session = Session { shop, intent, manual, amount, events: Vec::new(), case };
    if dice.one_in(4) {
        session.begins_badly(dice).await;
    }
    let method = if dice.one_in(3) { "pm_card_authenticationRequired" } else { "pm_card_visa" };
    let twin = if dice.one_in(2) { "first" } else { "second" };
    shop.gateway.held_back.start();
    let (one, two) = (Box::pin(shop.confirm(&payer, "first", method)), Box::pin(shop.confirm(&payer, twin, method)));
    let (loser, mut winner) = match select(one, two).await {
        Either::Left((answer, other)) | Either::Right((answer, other)) => (answer, other),
    };
    assert_eq!(loser.status, 409, "{}", loser.text);
    tokio::select! {
        biased;
        answer = &mut winner => panic!("the answer is held back: {}", answer.text),
        () = shop.gateway.held_back.made() => {}
    }
    session.goes_on(dice).await;
    let planned = session.events.len();
    for step in session.steps(dice, method) {
        session.take(dice, step).await;
    }
    shop.gateway.held_back.let_go();
    let answer = winner.await;
    assert!([200, 402, 409].contains(&answer.status), "{}", answer.text);
    // What the gateway tells of the module's own doings comes last, or again.
    let mut late = session.events.split_off(planned);
    dice.shuffle(&mut late);
    session.take(dice, Step::Told(late)).await;
    for _ in 0..2 {
        shop.reconcile_later().await;
    }
    session.ends_as_the_gateway_has_it().await;
}

async fn sessions(capture: CaptureMode) {
    let (seed, cases) = (seed(), variable("ESHOPZ_TEST_CASES", CASES));
    let shop = Shop::open_with(capture).await;
    shop.gateway.knows_better.store(true, Ordering::SeqCst);
    for case in 0..cases {
        println!("{capture:?}: ESHOPZ_TEST_SEED={seed}, case {case}");
        let mut dice = Dice::of_case(seed, case);
        session(&shop, capture == CaptureMode::Manual, case, &mut dice).await;
    }
    assert_eq!(shop.count("webhook_events WHERE applied_at IS NULL").await, 0);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn what_is_collected_at_once_ends_the_same_in_any_order() {
    sessions(CaptureMode::Automatic).await;
}

#[tokio::test]
async fn what_is_held_first_ends_the_same_in_any_order() {
    sessions(CaptureMode::Manual).await;
}
