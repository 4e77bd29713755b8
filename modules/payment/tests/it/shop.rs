//! The module at work: its HTTP and its contract, a gateway that can be troubled, and the words that
//! the tests use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use async_trait::async_trait;
use chrono::Utc;
use eshopz_kernel::{Currency, Money, OrderId, PaymentId, UserId};
use eshopz_payment::gateway::{
    Charge, ChargeRequest, FollowUp, Gateway, GatewayError, GatewayEvent, WebhookError, signature,
};
use eshopz_payment::{CaptureMode, PaymentDeps, PaymentModule, PaymentSettings, SandboxGateway};
use eshopz_payment_api::{CreatePayment, PaymentApi};
use eshopz_platform::books::Report;
use eshopz_platform::db::{Db, DbConfig};
use eshopz_testkit::db::TestDb;
use eshopz_testkit::{TestAnswer, TestApp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub const SECRET: &str = "whsec_test";
pub const ORDER_TOKEN: &str = "order-token-of-a-guest";

/// The sandbox, with trouble in front of it: the next so many calls end in one kind of error.
pub struct Troubled {
    sandbox: SandboxGateway,
    /// So many follow-ups are done and their answer is lost.
    pub lost_answers: AtomicU64,
    /// So many calls do not get through.
    pub unreachable: AtomicU64,
}

fn take(counter: &AtomicU64) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Troubled {
    fn gate(&self) -> Result<(), GatewayError> {
        if take(&self.unreachable) { Err(GatewayError::Unavailable("trouble".into())) } else { Ok(()) }
    }

    fn lose<T>(&self, answer: Result<T, GatewayError>) -> Result<T, GatewayError> {
        if take(&self.lost_answers) { Err(GatewayError::Timeout("trouble".into())) } else { answer }
    }
}

#[async_trait]
impl Gateway for Troubled {
    fn name(&self) -> &'static str {
        self.sandbox.name()
    }

    fn knows_method(&self, method: &str) -> bool {
        self.sandbox.knows_method(method)
    }

    async fn authorize_or_charge(&self, request: ChargeRequest) -> Result<Charge, GatewayError> {
        self.gate()?;
        self.lose(self.sandbox.authorize_or_charge(request).await)
    }

    async fn capture(&self, request: FollowUp) -> Result<String, GatewayError> {
        self.gate()?;
        self.lose(self.sandbox.capture(request).await)
    }

    async fn void(&self, request: FollowUp) -> Result<String, GatewayError> {
        self.gate()?;
        self.lose(self.sandbox.void(request).await)
    }

    async fn refund(&self, request: FollowUp) -> Result<String, GatewayError> {
        self.gate()?;
        self.lose(self.sandbox.refund(request).await)
    }

    async fn find(&self, idempotency_key: Uuid) -> Result<Option<Charge>, GatewayError> {
        self.gate()?;
        self.sandbox.find(idempotency_key).await
    }

    async fn parse_webhook(&self, headers: &HeaderMap, body: &str, secret: &str) -> Result<GatewayEvent, WebhookError> {
        self.sandbox.parse_webhook(headers, body, secret).await
    }

    fn read_event(&self, body: &str) -> Result<GatewayEvent, WebhookError> {
        self.sandbox.read_event(body)
    }

    async fn audit(&self) -> Result<Report, GatewayError> {
        self.sandbox.audit().await
    }
}

pub struct Shop {
    pub db: TestDb,
    pub app: TestApp,
    pub module: PaymentModule,
    pub api: Arc<dyn PaymentApi>,
    pub gateway: Arc<Troubled>,
    pub admin: String,
}

/// A payment of an order, and the payer's header.
pub struct Intent {
    pub id: PaymentId,
    pub order: OrderId,
    pub bearer: String,
}

pub fn usd(amount: i64) -> Money {
    Money::new(amount, Currency::USD)
}

pub fn amount(answer: &Value, field: &str) -> i64 {
    answer[field]["amount"].as_i64().unwrap_or_else(|| panic!("no {field} in {answer}"))
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_with(CaptureMode::Automatic).await
    }

    pub async fn open_with(capture: CaptureMode) -> Self {
        let db = TestDb::new(&["payment"]).await;
        let pool = db.db("payments");
        Self::open_on(db, pool, capture).await
    }

    /// With a reader that has what the test lets it have.
    pub async fn open_with_reader(replica: &TestDb) -> Self {
        let db = TestDb::new(&["payment"]).await;
        let config = DbConfig { reader_url: Some(replica.url.clone()), ..db.config() };
        let pool = Db::new("payments", &config).unwrap();
        Self::open_on(db, pool, CaptureMode::Automatic).await
    }

    async fn open_on(db: TestDb, pool: Db, capture: CaptureMode) -> Self {
        let gateway = Arc::new(Troubled {
            sandbox: SandboxGateway::new(pool.clone()),
            lost_answers: AtomicU64::new(0),
            unreachable: AtomicU64::new(0),
        });
        let settings =
            PaymentSettings { capture, gateway_timeout: Duration::from_millis(400), webhook_secret: SECRET.to_owned() };
        let module = PaymentModule::new(PaymentDeps { db: pool, gateway: gateway.clone(), settings });
        let served = module.clone();
        let app = TestApp::start(move |cfg| served.configure(cfg)).await.unwrap();
        let (api, admin) = (module.api(), app.identity.admin());
        Self { db, app, module, api, gateway, admin }
    }

    /// A customer's payment of so much.
    pub async fn intent(&self, amount: i64) -> Intent {
        let (user, id, order) = (UserId::new(), PaymentId::new(), OrderId::new());
        let command = CreatePayment {
            payment_id: id,
            order_id: order,
            amount: usd(amount),
            customer_id: Some(user),
            payer_token_hash: None,
        };
        self.api.create(command).await.unwrap();
        Intent { id, order, bearer: self.app.identity.customer(user) }
    }

    /// A guest's, who holds [`ORDER_TOKEN`].
    pub async fn guest_intent(&self, amount: i64) -> PaymentId {
        let hash: String = Sha256::digest(ORDER_TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
        let command = CreatePayment {
            payment_id: PaymentId::new(),
            order_id: OrderId::new(),
            amount: usd(amount),
            customer_id: None,
            payer_token_hash: Some(hash),
        };
        self.api.create(command).await.unwrap().id
    }

    /// One that is paid.
    pub async fn paid(&self, amount: i64) -> Intent {
        let intent = self.intent(amount).await;
        let paid = self.confirm(&intent, "first", "pm_card_visa").await;
        assert_eq!(paid.status, 200, "{}", paid.text);
        intent
    }

    pub async fn confirm(&self, intent: &Intent, key: &str, method: &str) -> TestAnswer {
        let headers = [("authorization", intent.bearer.as_str()), ("idempotency-key", key)];
        let path = format!("/api/v1/payments/{}/confirm", intent.id);
        self.app.send("POST", &path, &headers, Some(json!({"payment_method": method}))).await.unwrap()
    }

    /// A request of an admin with a key.
    pub async fn command(&self, intent: &Intent, what: &str, key: &str, body: Option<Value>) -> TestAnswer {
        let headers = [("authorization", self.admin.as_str()), ("idempotency-key", key)];
        self.app.send("POST", &format!("/api/v1/payments/{}/{what}", intent.id), &headers, body).await.unwrap()
    }

    pub async fn refund(&self, intent: &Intent, key: &str, amount: i64) -> TestAnswer {
        self.command(intent, "refunds", key, Some(json!({"amount": usd(amount)}))).await
    }

    pub async fn get(&self, path: &str) -> TestAnswer {
        self.app.send("GET", &format!("/api/v1/payments{path}"), &[("authorization", &self.admin)], None).await.unwrap()
    }

    pub async fn read(&self, intent: &Intent) -> Value {
        let answer = self.get(&format!("/{}", intent.id)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    pub async fn status(&self, intent: &Intent) -> String {
        self.read(intent).await["status"].as_str().unwrap().to_owned()
    }

    /// `kind status amount` of every row of the ledger.
    pub async fn ledger(&self, intent: &Intent) -> Vec<String> {
        let answer = self.get(&format!("/{}/transactions?limit=100", intent.id)).await;
        let rows = answer.json()["items"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| {
                let text = |name: &str| row[name].as_str().unwrap().to_owned();
                format!("{} {} {}", text("kind"), text("status"), amount(row, "amount"))
            })
            .collect()
    }

    /// Sends a signed event of the sandbox.
    pub async fn webhook(&self, event: &Value) -> TestAnswer {
        let body = event.to_string();
        let header = signature::sign(SECRET, Utc::now().timestamp(), &body);
        self.webhook_signed(&body, &header).await
    }

    pub async fn webhook_signed(&self, body: &str, signature: &str) -> TestAnswer {
        let headers = [("sandbox-signature", signature), ("content-type", "application/json")];
        self.app.send_raw("POST", "/api/v1/payments/webhooks/sandbox", &headers, body.into()).await.unwrap()
    }

    /// The number of rows of `what`.
    pub async fn count(&self, what: &str) -> i64 {
        let row = self.db.owner().await.query_one(&format!("SELECT count(*) FROM payments.{what}"), &[]).await;
        row.unwrap().get(0)
    }

    /// The names of the events told so far, sorted.
    pub async fn events(&self) -> Vec<String> {
        let rows = self.db.owner().await.query("SELECT name FROM payments.outbox ORDER BY name", &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect()
    }

    pub async fn plant(&self, sql: &str) {
        self.db.owner().await.batch_execute(sql).await.unwrap();
    }

    /// As if everything had been asked of the gateway long ago; then one run of the job.
    pub async fn reconcile_later(&self) {
        self.plant(
            "UPDATE payments.transactions SET tried_at = tried_at - interval '1 hour'; \
             UPDATE payments.payments SET processing_since = processing_since - interval '1 hour'; \
             UPDATE payments.webhook_events SET due_at = due_at - interval '1 day'",
        )
        .await;
        self.module.reconcile().await.unwrap();
    }

    /// The rules that are broken.
    pub async fn broken(&self) -> Vec<&'static str> {
        let report = self.module.verify().await.unwrap();
        assert!(report.checked.len() >= 9);
        let mut broken: Vec<_> = report.findings.iter().map(|finding| finding.check).collect();
        broken.sort_unstable();
        broken
    }

    pub async fn assert_balanced(&self) {
        let report = self.module.verify().await.unwrap();
        assert_eq!(report.findings, []);
    }
}

/// An event of the sandbox.
pub fn event(id: &str, kind: &str, intent: &Intent, object: Value) -> Value {
    let mut object = object;
    object["metadata"] = json!({"payment_id": intent.id});
    json!({"id": id, "type": kind, "created": Utc::now().timestamp(), "data": {"object": object}})
}
