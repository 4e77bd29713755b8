//! The module sells with Stripe: localstripe has the money, and sends its webhooks to the module itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use eshopz_payment::gateway::signature;
use eshopz_payment::{CaptureMode, PaymentSettings};
use eshopz_testkit::TestAnswer;
use eshopz_testkit::db::TestDb;
use eshopz_testkit::localstripe::Localstripe;
use serde_json::{Value, json};

use super::stripe_at;
use crate::shop::{Intent, SECRET, Shop, amount};

/// Stripe's test cards.
const DECLINED: &str = "4000000000000341";
const AUTHENTICATED: &str = "4000002500003155";

const WEBHOOKS: &str = "/api/v1/payments/webhooks/stripe";

struct Till {
    shop: Shop,
    stripe: Localstripe,
}

impl Till {
    async fn open(capture: CaptureMode) -> Self {
        let (stripe, db) = (Localstripe::start(), TestDb::new(&["payment"]).await);
        let pool = db.db("payments");
        let gateway_timeout = Duration::from_secs(30);
        let settings = PaymentSettings { capture, gateway_timeout, webhook_secret: SECRET.to_owned() };
        let shop = Shop::open_over(Arc::new(stripe_at(stripe.endpoint())), db, pool, settings).await;
        Self { shop, stripe }
    }

    /// Stripe tells the module what happens, from now on.
    async fn connect(&self) {
        self.stripe.send_webhooks(&format!("{}{WEBHOOKS}", self.shop.app.base), SECRET).await;
    }

    /// Waits until a payment has a status.
    async fn reaches(&self, intent: &Intent, status: &str) {
        let begun = Instant::now();
        loop {
            let now = self.shop.status(intent).await;
            if now == status {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "still {now}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn deliver(&self, body: &str, header: &str) -> TestAnswer {
        let headers = [("stripe-signature", header), ("content-type", "application/json; charset=utf-8")];
        self.shop.app.send_raw("POST", WEBHOOKS, &headers, body.into()).await.unwrap()
    }

    /// All that Stripe has of a kind, such as `refunds`.
    async fn books(&self, kind: &str) -> Vec<Value> {
        let list = self.stripe.get(&format!("/v1/{kind}?limit=100")).await;
        list["data"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn a_payment_is_collected_and_given_back_in_parts() {
    let till = Till::open(CaptureMode::Automatic).await;
    let intent = till.shop.paid(10_000).await;
    let paid = till.shop.read(&intent).await;
    assert_eq!(paid["method"], json!({"type": "card", "brand": "visa", "last4": "4242"}));
    for (key, part) in [("a", 6_000), ("b", 3_000)] {
        let refund = till.shop.refund(&intent, key, part).await;
        assert_eq!((refund.status, refund.json()["status"].as_str()), (201, Some("succeeded")), "{}", refund.text);
    }
    // The same request again is the same refund; more than is left is refused before Stripe is asked.
    let again = till.shop.refund(&intent, "b", 3_000).await;
    assert_eq!(again.status, 201, "{}", again.text);
    let beyond = till.shop.refund(&intent, "c", 1_001).await;
    assert_eq!((beyond.status, beyond.code().as_str()), (409, "refund_exceeds_captured"));
    let refunds = till.books("refunds").await;
    assert_eq!(refunds.iter().map(|refund| refund["amount"].as_i64().unwrap()).sum::<i64>(), 9_000);
    assert_eq!(refunds.len(), 2);
    let ledger = till.shop.get(&format!("/{}/transactions", intent.id)).await.json();
    for row in ledger["items"].as_array().unwrap() {
        let reference = row["gateway_reference"].as_str().unwrap();
        assert!(reference.starts_with(if row["kind"] == "refund" { "re_" } else { "pi_" }), "{row}");
    }
    till.shop.assert_balanced().await;
}

#[tokio::test]
async fn a_declined_card_is_a_402_and_another_one_pays() {
    let till = Till::open(CaptureMode::Automatic).await;
    let intent = till.shop.intent(500).await;
    let method = till.stripe.method(DECLINED).await;
    let declined = till.shop.confirm(&intent, "first", &method).await;
    assert_eq!((declined.status, declined.code().as_str()), (402, "card_declined"));
    let paid = till.shop.confirm(&intent, "second", "pm_card_visa").await;
    assert_eq!((paid.status, paid.json()["status"].as_str()), (200, Some("succeeded")), "{}", paid.text);
    // localstripe's list has it, under a name that the refusal did not tell.
    let since = Utc::now() - TimeDelta::days(1);
    assert_eq!(till.shop.module.compare_with_gateway(since, |_| {}).await.unwrap().findings, []);
    let unknown = till.shop.intent(500).await;
    let refused = till.shop.confirm(&unknown, "first", "pm_nobody").await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "validation_failed"));
    till.shop.assert_balanced().await;
}

#[tokio::test]
async fn a_cards_number_is_refused_and_leaves_no_trace() {
    let till = Till::open(CaptureMode::Automatic).await;
    let intent = till.shop.intent(500).await;
    for number in ["4242424242424242", "pm_4242424242424242"] {
        let refused = till.shop.confirm(&intent, number, number).await;
        assert_eq!((refused.status, refused.code().as_str()), (422, "validation_failed"));
    }
    assert_eq!((till.shop.count("transactions").await, till.shop.count("idempotency_keys").await), (0, 0));
    assert!(till.books("payment_intents").await.is_empty());
}

#[tokio::test]
async fn the_payer_authenticates_and_stripes_webhook_brings_the_rest() {
    let till = Till::open(CaptureMode::Automatic).await;
    till.connect().await;
    let intent = till.shop.intent(700).await;
    let method = till.stripe.method(AUTHENTICATED).await;
    let waiting = till.shop.confirm(&intent, "first", &method).await;
    assert_eq!(waiting.json()["status"], "requires_action", "{}", waiting.text);
    let secret = waiting.json()["next_action"]["client_secret"].as_str().unwrap().to_owned();
    let at_stripe = secret.split("_secret_").next().unwrap();
    till.stripe.authenticate(at_stripe, &secret, true).await;
    till.reaches(&intent, "succeeded").await;
    assert_eq!(till.shop.ledger(&intent).await, ["charge succeeded 700"]);
    assert_eq!(till.shop.count("webhook_events").await, 1);
    till.shop.assert_balanced().await;
}

#[tokio::test]
async fn what_is_held_is_collected_in_part_or_let_go() {
    let till = Till::open(CaptureMode::Manual).await;
    let (part, none) = (till.shop.intent(10_000).await, till.shop.intent(800).await);
    for intent in [&part, &none] {
        let held = till.shop.confirm(intent, "first", "pm_card_visa").await;
        assert_eq!(held.json()["status"], "authorized", "{}", held.text);
    }
    let body = Some(json!({"amount": {"amount": 6_000, "currency": "USD"}}));
    let captured = till.shop.command(&part, "capture", "take", body).await;
    assert_eq!((captured.status, amount(&captured.json(), "captured_amount")), (200, 6_000), "{}", captured.text);
    let beyond = till.shop.refund(&part, "beyond", 6_001).await;
    assert_eq!((beyond.status, beyond.code().as_str()), (409, "refund_exceeds_captured"));
    till.shop.api.undo(none.order, "changed his mind").await.unwrap();
    till.reaches(&none, "cancelled").await;
    let mut at_stripe: Vec<_> = till.books("payment_intents").await;
    at_stripe.sort_by_key(|intent| intent["amount"].as_i64());
    assert_eq!(
        (at_stripe[0]["status"].as_str(), at_stripe[1]["status"].as_str()),
        (Some("canceled"), Some("succeeded"))
    );
    // Stripe lets the rest go as a refund that nobody asked for.
    assert_eq!(at_stripe[1]["latest_charge"]["amount_refunded"], 4_000);
    till.shop.assert_balanced().await;
}

#[tokio::test]
async fn a_charge_whose_answer_is_lost_is_found_and_not_made_again() {
    let till = Till::open(CaptureMode::Automatic).await;
    let intent = till.shop.intent(900).await;
    till.shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    let open = till.shop.confirm(&intent, "first", "pm_card_visa").await;
    assert_eq!(open.json()["status"], "processing", "{}", open.text);
    till.shop.reconcile_later().await;
    assert_eq!(till.shop.status(&intent).await, "succeeded");
    assert_eq!(till.books("payment_intents").await.len(), 1);
    till.shop.assert_balanced().await;
}

#[tokio::test]
async fn a_lost_answer_is_brought_by_the_webhook_too_and_counts_once() {
    let till = Till::open(CaptureMode::Automatic).await;
    till.connect().await;
    let intent = till.shop.intent(900).await;
    till.shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    let open = till.shop.confirm(&intent, "first", "pm_card_visa").await;
    assert_eq!(open.json()["status"], "processing", "{}", open.text);
    till.reaches(&intent, "succeeded").await;
    till.shop.reconcile_later().await;
    // And the same event once more.
    let events = till.books("events").await;
    let body = events[0].to_string();
    let again = till.deliver(&body, &signature::sign(SECRET, Utc::now().timestamp(), &body)).await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(
        (till.shop.ledger(&intent).await, till.shop.count("webhook_events").await),
        (vec!["charge succeeded 900".into()], 1)
    );
    till.shop.assert_balanced().await;
}

#[tokio::test]
async fn a_webhook_is_taken_only_with_a_good_and_fresh_signature() {
    let till = Till::open(CaptureMode::Automatic).await;
    let intent = till.shop.intent(900).await;
    let object = json!({
        "id": "pi_9", "object": "payment_intent", "amount": 900, "amount_received": 900, "currency": "usd",
        "metadata": {"payment_id": intent.id},
    });
    let body = json!({"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": object}}).to_string();
    let now = Utc::now().timestamp();
    for header in [
        String::new(),
        signature::sign("whsec_other", now, &body),
        signature::sign(SECRET, now - 301, &body),
        signature::sign(SECRET, now, "{}"),
    ] {
        let refused = till.deliver(&body, &header).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_signature"), "{header}");
    }
    assert_eq!(till.shop.count("webhook_events").await, 0);
    let taken = till.deliver(&body, &signature::sign(SECRET, now, &body)).await;
    assert_eq!((taken.status, till.shop.status(&intent).await.as_str()), (200, "succeeded"), "{}", taken.text);
}
