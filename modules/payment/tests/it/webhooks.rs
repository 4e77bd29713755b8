//! What the gateway tells: who may tell it, and that order and repetition do not matter.

use chrono::Utc;
use eshopz_kernel::{OrderId, PaymentId};
use eshopz_payment::gateway::signature;
use serde_json::{Value, json};

use crate::shop::{Intent, SECRET, Shop, amount, event};

async fn waiting(shop: &Shop) -> (Intent, String) {
    let intent = shop.intent(100).await;
    let waits = shop.confirm(&intent, "k", "pm_card_authenticationRequired").await;
    let reference = waits.json()["next_action"]["reference"].as_str().unwrap().to_owned();
    (intent, reference)
}

#[tokio::test]
async fn the_payer_completes_what_was_required() {
    let shop = Shop::open().await;
    let (intent, reference) = waiting(&shop).await;
    let object = json!({"id": reference, "amount": 100, "amount_received": 100});
    let told = shop.webhook(&event("evt_1", "payment_intent.succeeded", &intent, object)).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let payment = shop.read(&intent).await;
    assert_eq!((payment["status"].as_str(), amount(&payment, "captured_amount")), (Some("succeeded"), 100));
    assert_eq!((payment["method"]["last4"].as_str(), &payment["next_action"]), (Some("3184"), &json!(null)));
    assert_eq!(shop.ledger(&intent).await, ["charge succeeded 100"]);
    assert_eq!(shop.events().await, ["payment.succeeded.v1"]);
    assert_eq!(shop.refund(&intent, "r", 100).await.json()["status"], "succeeded");
    shop.assert_balanced().await;
}

/// Whoever else uses the account at the gateway may write our ids beside other money.
#[tokio::test]
async fn money_of_another_currency_pays_nothing() {
    let shop = Shop::open().await;
    let (intent, reference) = waiting(&shop).await;
    for (id, object) in [
        ("evt_4", json!({"id": reference, "amount": 100, "amount_received": 100, "currency": "jpy"})),
        ("evt_5", json!({"id": reference, "amount": 100, "amount_received": 100, "currency": "none of them"})),
    ] {
        let told = shop.webhook(&event(id, "payment_intent.succeeded", &intent, object)).await;
        assert_eq!(told.status, 200, "{}", told.text);
    }
    let held = json!({"id": reference, "amount": 100, "currency": "eur"});
    shop.webhook(&event("evt_6", "payment_intent.amount_capturable_updated", &intent, held)).await;
    let payment = shop.read(&intent).await;
    assert_eq!((payment["status"].as_str(), amount(&payment, "captured_amount")), (Some("requires_action"), 0));
    assert_eq!(shop.ledger(&intent).await, ["charge requires_action 100"]);
    assert!(shop.events().await.is_empty());
    // The right one counts, and what is kept of the others does no harm then.
    let object = json!({"id": reference, "amount": 100, "amount_received": 100, "currency": "usd"});
    shop.webhook(&event("evt_7", "payment_intent.succeeded", &intent, object)).await;
    shop.reconcile_later().await;
    let payment = shop.read(&intent).await;
    assert_eq!((payment["status"].as_str(), amount(&payment, "captured_amount")), (Some("succeeded"), 100));
    shop.assert_balanced().await;
}

#[tokio::test]
async fn or_fails_to() {
    let shop = Shop::open().await;
    let (intent, reference) = waiting(&shop).await;
    let object = json!({"id": reference, "last_payment_error": {"code": "authentication_failed"}});
    let failed = event("evt_1", "payment_intent.payment_failed", &intent, object.clone());
    assert_eq!(shop.webhook(&failed).await.status, 200);
    let payment = shop.read(&intent).await;
    assert_eq!(
        (payment["status"].as_str(), payment["failure"]["code"].as_str()),
        (Some("requires_payment_method"), Some("authentication_failed"))
    );
    assert_eq!(shop.confirm(&intent, "k2", "pm_card_visa").await.status, 200);
    let late = event("evt_2", "payment_intent.payment_failed", &intent, object);
    assert_eq!(shop.webhook(&late).await.status, 200);
    assert_eq!(shop.status(&intent).await, "succeeded");
}

#[tokio::test]
async fn only_the_gateway_is_listened_to() {
    let shop = Shop::open().await;
    let (intent, reference) = waiting(&shop).await;
    let object = json!({"id": reference, "amount_received": 100});
    let body = event("evt_1", "payment_intent.succeeded", &intent, object).to_string();
    let now = Utc::now().timestamp();
    for header in [
        String::new(),
        "t=1,v1=00".to_owned(),
        signature::sign("another", now, &body),
        signature::sign(SECRET, now - 301, &body),
        signature::sign(SECRET, now, "{}"),
    ] {
        let refused = shop.webhook_signed(&body, &header).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_signature"), "{header}");
    }
    for broken in [
        "",
        "{",
        "[]",
        r#"{"id":"evt_2","type":"x"}"#,
        "{\"id\":\"\\u0000\",\"type\":\"x\",\"data\":{\"object\":{\"id\":\"a\"}}}",
    ] {
        let refused = shop.webhook_signed(broken, &signature::sign(SECRET, now, broken)).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "malformed_event"), "{broken}");
    }
    let other = shop.app.send("POST", "/api/v1/payments/webhooks/stripe", &[], Some(json!({}))).await.unwrap();
    assert_eq!(other.status, 404);
    assert_eq!(shop.count("webhook_events").await, 0);
    assert_eq!(shop.status(&intent).await, "requires_action");
}

#[tokio::test]
async fn a_new_secret_counts_beside_the_one_before() {
    let shop = Shop::open().await;
    shop.module.replace_webhook_secret("another".to_owned());
    let now = Utc::now().timestamp();
    for (secret, status) in [("another", 200), (SECRET, 200), ("a third", 400)] {
        let body = json!({"id": secret, "type": "unknown", "data": {"object": {"id": "x"}}}).to_string();
        let told = shop.webhook_signed(&body, &signature::sign(secret, now, &body)).await;
        assert_eq!(told.status, status, "{secret}: {}", told.text);
    }
}

fn orders_of(items: &[Value]) -> Vec<Vec<Value>> {
    let Some((first, rest)) = items.split_first() else { return vec![vec![]] };
    let mut all = Vec::new();
    for shorter in orders_of(rest) {
        for place in 0..=shorter.len() {
            let mut longer = shorter.clone();
            longer.insert(place, first.clone());
            all.push(longer);
        }
    }
    all
}

#[tokio::test]
async fn every_order_ends_the_same_way() {
    let shop = Shop::open().await;
    for (number, order) in orders_of(&[json!(0), json!(1), json!(2), json!(3)]).into_iter().enumerate() {
        let (intent, reference) = waiting(&shop).await;
        let tell = |index: usize| {
            let object = json!({"id": reference, "amount": 100});
            let (kind, more) = [
                ("payment_intent.succeeded", json!({"amount_received": 100})),
                ("charge.refunded", json!({"amount_refunded": 30})),
                ("charge.refunded", json!({"amount_refunded": 50})),
                ("payment_intent.payment_failed", json!({})),
            ][index]
                .clone();
            let mut object = object;
            object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event(&format!("evt_{number}_{index}"), kind, &intent, object)
        };
        for _ in 0..2 {
            for index in &order {
                let told = shop.webhook(&tell(usize::try_from(index.as_u64().unwrap()).unwrap())).await;
                assert_eq!(told.status, 200, "{}", told.text);
            }
        }
        let payment = shop.read(&intent).await;
        assert_eq!(payment["status"], "succeeded", "{order:?}");
        assert_eq!((amount(&payment, "captured_amount"), amount(&payment, "refunded_amount")), (100, 50), "{order:?}");
        assert_eq!(payment["failure"], json!(null));
    }
    assert_eq!(shop.count("webhook_events").await, 24 * 4);
    assert_eq!(shop.count("webhook_events WHERE applied_at IS NULL").await, 0);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn many_at_once_count_once() {
    let shop = Shop::open().await;
    let (intent, reference) = waiting(&shop).await;
    let object = json!({"id": reference, "amount": 100, "amount_received": 100});
    let same = event("evt_1", "payment_intent.succeeded", &intent, object.clone());
    let other = event("evt_2", "payment_intent.succeeded", &intent, object);
    let answers =
        futures::future::join_all((0..20).map(|number| shop.webhook(if number % 2 == 0 { &same } else { &other })))
            .await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    shop.reconcile_later().await;
    assert_eq!(shop.ledger(&intent).await, ["charge succeeded 100"]);
    assert_eq!(shop.events().await, ["payment.succeeded.v1"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn an_event_that_comes_before_its_payment_waits_for_it() {
    let shop = Shop::open().await;
    let early = Intent { id: PaymentId::new(), order: OrderId::new(), bearer: String::new() };
    let object = json!({"id": "sbx_ch_early", "amount": 100, "amount_received": 100});
    let told = shop.webhook(&event("evt_1", "payment_intent.succeeded", &early, object)).await;
    assert_eq!(told.status, 200);
    let unknown = shop
        .webhook(&json!({"id": "evt_2", "type": "charge.refunded",
        "data": {"object": {"id": "sbx_ch_nobody", "amount_refunded": 1}}}))
        .await;
    assert_eq!(unknown.status, 200);
    let ignored = shop
        .webhook(&json!({"id": "evt_3", "type": "customer.created",
        "data": {"object": {"id": "cus_1"}}}))
        .await;
    assert_eq!(ignored.status, 200);
    assert_eq!(shop.count("webhook_events WHERE applied_at IS NULL").await, 2);
    shop.create(&early, 100).await;
    assert_eq!(shop.status(&early).await, "succeeded");
    assert_eq!(shop.ledger(&early).await, ["capture succeeded 100"]);
    assert_eq!(shop.count("webhook_events WHERE applied_at IS NULL").await, 1);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn what_is_not_stored_has_not_happened_at_the_sandbox() {
    let shop = Shop::open().await;
    let (intent, reference) = waiting(&shop).await;
    shop.plant("ALTER TABLE payments.webhook_events ADD CONSTRAINT nothing CHECK (event_id = '')").await;
    let told = event(
        "evt_1",
        "payment_intent.succeeded",
        &intent,
        json!({"id": reference, "amount": 100, "amount_received": 100}),
    );
    assert_eq!(shop.webhook(&told).await.status, 500);
    assert_eq!(shop.count("sandbox_charges WHERE captured_minor > 0").await, 0, "only the sandbox would know of it");
    shop.plant("ALTER TABLE payments.webhook_events DROP CONSTRAINT nothing").await;
    assert_eq!(shop.webhook(&told).await.status, 200);
    assert_eq!(shop.status(&intent).await, "succeeded");
    shop.assert_balanced().await;
}

#[tokio::test]
async fn an_event_whose_process_died_once_it_was_stored_counts_when_it_comes_again_or_by_the_job() {
    let shop = Shop::open().await;
    for comes_again in [true, false] {
        let (intent, reference) = waiting(&shop).await;
        let object = json!({"id": reference, "amount": 100, "amount_received": 100});
        let id = format!("evt_{comes_again}");
        let told = event(&id, "payment_intent.succeeded", &intent, object);
        shop.plant(&format!(
            "INSERT INTO payments.webhook_events (id, gateway, event_id, type, body) \
             VALUES (gen_random_uuid(), 'sandbox', '{id}', 'payment_intent.succeeded', '{told}')"
        ))
        .await;
        if comes_again {
            assert_eq!(shop.webhook(&told).await.status, 200);
        } else {
            shop.module.reconcile().await.unwrap();
        }
        assert_eq!(shop.status(&intent).await, "succeeded", "comes again: {comes_again}");
        shop.assert_balanced().await;
    }
    assert_eq!(shop.count("sandbox_charges WHERE captured_minor = 100").await, 2);
}

#[tokio::test]
async fn a_success_after_the_order_was_cancelled_goes_back() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k", "pm_sandbox_timeout").await;
    shop.api.undo(intent.order, "cancelled").await.unwrap();
    let object = json!({"id": "sbx_ch_late", "amount": 100, "amount_received": 100});
    assert_eq!(shop.webhook(&event("evt_1", "payment_intent.succeeded", &intent, object)).await.status, 200);
    assert_eq!(shop.ledger(&intent).await, ["charge succeeded 100", "refund succeeded 100"]);
    let payment = shop.read(&intent).await;
    assert_eq!(payment["captured_amount"], payment["refunded_amount"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn the_gateway_cancels() {
    let shop = Shop::open().await;
    let (intent, reference) = waiting(&shop).await;
    let cancelled = event("evt_1", "payment_intent.canceled", &intent, json!({"id": reference}));
    assert_eq!(shop.webhook(&cancelled).await.status, 200);
    assert_eq!(shop.status(&intent).await, "cancelled");
    assert_eq!(shop.ledger(&intent).await, ["charge cancelled 100", "void succeeded 100"]);
    assert_eq!(shop.events().await, ["payment.cancelled.v1"]);
    let paid = shop.paid(50).await;
    let reference =
        shop.get(&format!("/{}/transactions", paid.id)).await.json()["items"][0]["gateway_reference"].clone();
    let cancelled = event("evt_2", "payment_intent.canceled", &paid, json!({"id": reference}));
    assert_eq!(shop.webhook(&cancelled).await.status, 200);
    assert_eq!(shop.status(&paid).await, "succeeded");
    shop.assert_balanced().await;
}
