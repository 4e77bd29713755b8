//! A process that dies at any moment of a request, and the same request at another process: one effect.
//!
//! A process is a runtime with a pool and a module of its own. It dies as by `kill -9`: its runtime ends at
//! once, with whatever ran in it, and its connections break.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eshopz_kernel::RefundId;
use eshopz_payment::{CaptureMode, PaymentDeps, PaymentModule, SandboxGateway};
use eshopz_payment_api::{PaymentApi, PaymentStatus, RefundStatus};
use eshopz_testkit::{TestAnswer, TestApp};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::shop::{Intent, Shop, give_back, settings};
use crate::troubled::Troubled;

/// How many moments of a request are tried.
const MOMENTS: u32 = 40;

/// A process that is going to die.
struct Doomed {
    runtime: Runtime,
    app: TestApp,
    api: Arc<dyn PaymentApi>,
    gateway: Arc<Troubled>,
}

impl Doomed {
    async fn beside(shop: &Shop, capture: CaptureMode) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // What its handlers do lives where its pool was made.
        let pool = {
            let _inside = runtime.enter();
            shop.db.db("payments")
        };
        let gateway = Arc::new(Troubled::new(Arc::new(SandboxGateway::new(pool.clone()))));
        let deps = PaymentDeps { db: pool, gateway: gateway.clone(), settings: settings(capture) };
        let module = PaymentModule::new(deps);
        let api = module.api();
        let identity = Arc::clone(&shop.app.identity);
        let app = TestApp::start_with(identity, move |cfg| module.configure(cfg)).await.unwrap();
        Self { runtime, app, api, gateway }
    }

    /// Does some of a piece of work.
    async fn die_during<T>(self, moment: Duration, work: impl AsyncFnOnce(&TestApp, &Arc<dyn PaymentApi>) -> T) {
        let died = tokio::time::timeout(moment, work(&self.app, &self.api)).await;
        self.runtime.shutdown_background();
        drop(died);
    }
}

/// A request as two processes get it.
#[derive(Clone)]
struct Request {
    path: String,
    bearer: String,
    key: String,
    body: Value,
}

impl Request {
    fn new(intent: &Intent, bearer: &str, what: &str, body: Value) -> Self {
        let path = format!("/api/v1/payments/{}/{what}", intent.id);
        Self { path, bearer: bearer.to_owned(), key: format!("{what}-{}", intent.id), body }
    }

    async fn at(&self, app: &TestApp) -> std::io::Result<TestAnswer> {
        let headers = [("authorization", self.bearer.as_str()), ("idempotency-key", self.key.as_str())];
        let answer = app.send("POST", &self.path, &headers, Some(self.body.clone())).await;
        answer.map_err(std::io::Error::other)
    }

    /// Until it is answered: that the first one is dead is known after its lease.
    async fn answered_by(&self, shop: &Shop) -> TestAnswer {
        loop {
            let answer = self.at(&shop.app).await.unwrap();
            if answer.code() != "idempotency_in_progress" {
                return answer;
            }
            shop.plant(
                "UPDATE payments.idempotency_keys SET created_at = created_at - interval '1 minute' WHERE status IS NULL",
            )
            .await;
        }
    }
}

/// The request dies at each of many moments, its twin comes at once or later, and is answered with `status`.
async fn dies_at_each_moment(shop: &Shop, capture: CaptureMode, status: u16, prepare: impl AsyncFn() -> Request) {
    let whole = prepare().await;
    let began = Instant::now();
    assert_eq!(whole.at(&shop.app).await.unwrap().status, status);
    // A little more than the whole, since the other process has its connections still to make.
    let longest = began.elapsed().mul_f64(2.5);
    for moment in 0..MOMENTS {
        let request = prepare().await;
        let doomed = Doomed::beside(shop, capture).await;
        let dying = doomed.die_during(longest * moment / MOMENTS, async |app: &TestApp, _: &_| request.at(app).await);
        if moment % 2 == 0 {
            let (twin, ()) = tokio::join!(request.at(&shop.app), dying);
            let twin = twin.unwrap();
            assert!(twin.status == status || twin.status == 409, "{}", twin.text);
        } else {
            dying.await;
        }
        let answer = request.answered_by(shop).await;
        assert_eq!(answer.status, status, "moment {moment}: {}", answer.text);
        let again = request.at(&shop.app).await.unwrap();
        assert_eq!((again.status, &again.text), (status, &answer.text));
    }
    shop.reconcile_later().await;
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_confirmation_that_dies_charges_once() {
    let shop = Shop::open().await;
    dies_at_each_moment(&shop, CaptureMode::Automatic, 200, async || {
        let intent = shop.intent(100).await;
        Request::new(&intent, &intent.bearer, "confirm", json!({"payment_method": "pm_card_visa"}))
    })
    .await;
    let all = i64::from(MOMENTS) + 1;
    assert_eq!(shop.count("sandbox_charges").await, all);
    assert_eq!(shop.count("payments WHERE status = 'succeeded' AND captured_minor = 100").await, all);
    assert_eq!(shop.count("outbox WHERE name = 'payment.succeeded.v1'").await, all);
}

#[tokio::test]
async fn a_capture_that_dies_collects_once() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    dies_at_each_moment(&shop, CaptureMode::Manual, 200, async || {
        let intent = shop.held(100).await;
        Request::new(&intent, &shop.admin, "capture", json!({}))
    })
    .await;
    let all = i64::from(MOMENTS) + 1;
    assert_eq!(shop.count("sandbox_operations").await, all);
    assert_eq!(shop.count("outbox WHERE name = 'payment.succeeded.v1'").await, all);
}

#[tokio::test]
async fn a_refund_that_dies_gives_back_once() {
    let shop = Shop::open().await;
    dies_at_each_moment(&shop, CaptureMode::Automatic, 201, async || {
        let intent = shop.paid(100).await;
        Request::new(&intent, &shop.admin, "refunds", json!({"amount": {"amount": 60, "currency": "USD"}}))
    })
    .await;
    assert_eq!(shop.count("sandbox_operations").await, i64::from(MOMENTS) + 1);
    assert_eq!(shop.count("sandbox_charges WHERE refunded_minor <> 60").await, 0);
}

#[tokio::test]
async fn an_orders_refund_that_dies_gives_back_once() {
    for capture in [CaptureMode::Automatic, CaptureMode::Manual] {
        let shop = Shop::open_with(capture).await;
        for moment in 0..MOMENTS {
            let intent = if capture == CaptureMode::Manual { shop.held(100).await } else { shop.paid(100).await };
            // In parts and, of what is held, also all of it.
            let command = give_back(&intent, RefundId::new(), if moment % 4 < 2 { 60 } else { 100 });
            let doomed = Doomed::beside(&shop, capture).await;
            let during = Duration::from_micros(500) * moment;
            let dying =
                doomed.die_during(during, async |_: &_, api: &Arc<dyn PaymentApi>| api.refund(command.clone()).await);
            if moment % 2 == 0 {
                let (twin, ()) = tokio::join!(shop.api.refund(command.clone()), dying);
                twin.unwrap();
            } else {
                dying.await;
            }
            let done = shop.api.refund(command.clone()).await.unwrap();
            assert_eq!((done.status, done.amount), (RefundStatus::Succeeded, command.amount), "moment {moment}");
            let rows = shop.ledger(&intent).await;
            assert_eq!(rows.len(), 2, "{rows:?}");
        }
        shop.reconcile_later().await;
        shop.assert_balanced().await;
    }
}

/// Begins something in another process, which dies before the gateway has heard of it.
async fn die_before_the_charge(shop: &Shop, intent: &Intent, work: impl AsyncFnOnce(&TestApp, &Arc<dyn PaymentApi>)) {
    let doomed = Doomed::beside(shop, CaptureMode::Automatic).await;
    doomed.gateway.unheard.store(1, Ordering::SeqCst);
    let written = format!("transactions WHERE payment_id = '{}'", intent.id);
    let is_written = async {
        while shop.count(&written).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = work(&doomed.app, &doomed.api) => panic!("there is no answer"),
        () = is_written => {}
    }
    doomed.runtime.shutdown_background();
}

#[tokio::test]
async fn a_payer_whose_process_died_before_the_charge_pays_with_the_same_key() {
    let shop = Shop::open().await;
    for job_first in [false, true] {
        let intent = shop.intent(100).await;
        let request = Request::new(&intent, &intent.bearer, "confirm", json!({"payment_method": "pm_card_visa"}));
        die_before_the_charge(&shop, &intent, async |app: &TestApp, _: &_| drop(request.at(app).await)).await;
        let rows = if job_first {
            shop.reconcile_later().await;
            assert_eq!(shop.read(&intent).await["failure"]["code"], "gateway_timeout");
            &["charge failed 100", "charge succeeded 100"][..]
        } else {
            &["charge succeeded 100"]
        };
        let paid = request.answered_by(&shop).await;
        assert_eq!((paid.status, paid.json()["status"].as_str()), (200, Some("succeeded")), "{}", paid.text);
        assert_eq!(shop.ledger(&intent).await, rows);
    }
    shop.assert_balanced().await;
}

#[tokio::test]
async fn an_order_that_confirms_again_goes_on_with_the_attempt_at_once() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    let method = "pm_card_visa";
    die_before_the_charge(&shop, &intent, async |_: &_, api: &Arc<dyn PaymentApi>| {
        drop(api.confirm(intent.id, method).await);
    })
    .await;
    let other = shop.api.confirm(intent.id, "pm_card_mastercard").await.unwrap_err();
    assert_eq!(other.code, "payment_in_progress");
    shop.gateway.unreachable.store(1, Ordering::SeqCst);
    let away = shop.api.confirm(intent.id, method).await.unwrap_err();
    assert_eq!(away.code, "gateway_unavailable");
    assert_eq!(shop.ledger(&intent).await, ["charge pending 100"], "the first call may have got through");
    let paid = shop.api.confirm(intent.id, method).await.unwrap();
    assert_eq!(paid.status, PaymentStatus::Succeeded);
    assert_eq!(shop.ledger(&intent).await, ["charge succeeded 100"]);
    shop.assert_balanced().await;
}
