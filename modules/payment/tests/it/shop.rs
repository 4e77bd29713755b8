//! The module at work: its HTTP and its contract, and the words that the tests use.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use eshopz_kernel::{Currency, Money, OrderId, PaymentId, RefundId, UserId};
use eshopz_payment::gateway::{Gateway, signature};
use eshopz_payment::{CaptureMode, PaymentDeps, PaymentModule, PaymentSettings, SandboxGateway};
use eshopz_payment_api::{CreatePayment, PaymentApi, PaymentSummary, RefundPayment};
use eshopz_platform::db::{Db, DbConfig};
use eshopz_testkit::db::TestDb;
use eshopz_testkit::{TestAnswer, TestApp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::troubled::Troubled;

pub const SECRET: &str = "whsec_test";
pub const ORDER_TOKEN: &str = "order-token-of-a-guest";

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
        let sandbox = Arc::new(SandboxGateway::new(pool.clone()));
        Self::open_over(sandbox, db, pool, settings(capture)).await
    }

    /// With a gateway of the test's choice.
    pub async fn open_over(gateway: Arc<dyn Gateway>, db: TestDb, pool: Db, settings: PaymentSettings) -> Self {
        let gateway = Arc::new(Troubled::new(gateway));
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

    /// The payment of an intent whose ids are known before.
    pub async fn create(&self, intent: &Intent, amount: i64) -> PaymentSummary {
        let command = CreatePayment {
            payment_id: intent.id,
            order_id: intent.order,
            amount: usd(amount),
            customer_id: None,
            payer_token_hash: None,
        };
        self.api.create(command).await.unwrap()
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

    /// One whose amount is held.
    pub async fn held(&self, amount: i64) -> Intent {
        let intent = self.intent(amount).await;
        let held = self.confirm(&intent, "confirm", "pm_card_visa").await;
        assert_eq!((held.status, held.json()["status"].as_str()), (200, Some("authorized")), "{}", held.text);
        intent
    }

    /// The number of rows of `what`.
    pub async fn count(&self, what: &str) -> i64 {
        let row = self.db.owner().await.query_one(&format!("SELECT count(*) FROM payments.{what}"), &[]).await;
        row.unwrap().get(0)
    }

    /// The one row of a query, by its columns' names.
    pub async fn row(&self, query: &str) -> Value {
        let sql = format!("SELECT to_json(row)::text FROM ({query}) AS row");
        let text: String = self.db.owner().await.query_one(&sql, &[]).await.unwrap().get(0);
        serde_json::from_str(&text).unwrap()
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
            "UPDATE payments.transactions SET tried_at = tried_at - interval '1 hour', due_at = now() \
                WHERE status IN ('pending', 'surplus'); \
             UPDATE payments.payments SET processing_since = processing_since - interval '1 hour', undo_due_at = now() \
                WHERE status = 'processing' OR undo_requested_at IS NOT NULL; \
             UPDATE payments.webhook_events SET due_at = due_at - interval '1 day' WHERE applied_at IS NULL",
        )
        .await;
        self.module.reconcile().await.unwrap();
    }

    /// The rules that are broken.
    pub async fn broken(&self) -> Vec<&'static str> {
        let report = self.module.verify().await.unwrap();
        assert!(report.checked.len() >= 11);
        let mut broken: Vec<_> = report.findings.iter().map(|finding| finding.check).collect();
        broken.sort_unstable();
        broken
    }

    pub async fn assert_balanced(&self) {
        let mut report = self.module.verify().await.unwrap();
        // No relay runs here, however long a test takes.
        report.findings.retain(|finding| finding.check != "outbox_taken_up");
        assert_eq!(report.findings, []);
    }
}

/// The settings of a module in a test.
pub fn settings(capture: CaptureMode) -> PaymentSettings {
    PaymentSettings { capture, gateway_timeout: Duration::from_secs(3), webhook_secret: SECRET.to_owned() }
}

/// An order wants so much back.
pub fn give_back(intent: &Intent, id: RefundId, amount: i64) -> RefundPayment {
    RefundPayment { order_id: intent.order, refund_id: id, amount: usd(amount), reason: Some("cancelled\0".to_owned()) }
}

/// An event of the sandbox.
pub fn event(id: &str, kind: &str, intent: &Intent, object: Value) -> Value {
    let mut object = object;
    object["metadata"] = json!({"payment_id": intent.id});
    json!({"id": id, "type": kind, "created": Utc::now().timestamp(), "data": {"object": object}})
}
