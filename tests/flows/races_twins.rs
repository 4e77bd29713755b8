//! The same request many times at once, at three processes, and once more after the process that had the effect
//! was killed before it could answer: every call that takes an `Idempotency-Key` has one effect and one answer.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{Answer, Deployment, Plan, Shop, Topology, address, id};
use crate::topologies::slot;

const TWINS: usize = 12;

/// A call, and how to count its effects.
struct Call {
    what: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Value,
    /// Counts the effects; `$1` is `subject`.
    effects: &'static str,
    subject: String,
}

impl Call {
    async fn send(&self, shop: &Shop) -> Answer {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        shop.send("POST", &self.path, &headers, Some(self.body.clone())).await
    }

    /// Again and again until it is answered; meanwhile the first may still be at work.
    async fn answered(&self, shop: &Shop) -> Answer {
        let since = Instant::now();
        loop {
            let answer = self.send(shop).await;
            if answer.status < 300 {
                return answer;
            }
            assert_eq!(
                (answer.status, &answer.body["code"]),
                (409, &json!("idempotency_in_progress")),
                "{}",
                self.what
            );
            assert!(since.elapsed() < Duration::from_secs(30), "{}: nobody answers", self.what);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn assert_one_effect(&self, owner: &Client) {
        let effects: i64 = owner.query_one(self.effects, &[&self.subject]).await.unwrap().get(0);
        assert_eq!(effects, 1, "{} had {effects} effects", self.what);
    }
}

const CHARGES: &str = "SELECT count(*) FROM payments.sandbox_charges WHERE payment_id::text = $1";
const OPERATIONS: &str = "SELECT count(*) FROM payments.sandbox_operations o \
    JOIN payments.sandbox_charges c ON c.reference = o.charge_reference WHERE c.payment_id::text = $1";
const REVERSALS: &str = "SELECT count(*) FROM orders.order_reversals WHERE order_id::text = $1";

/// Every call that takes a key, each on an order of its own. Payments are held first, and collected by a call.
async fn calls(shop: &Shop, shirt: &str, admin: &str) -> Vec<Call> {
    let (cart, token) = shop.guest_cart(&[(shirt, 1)]).await;
    let order = Call {
        what: "order",
        path: "/api/v1/orders".to_owned(),
        headers: vec![("x-cart-token", token), ("idempotency-key", shop.unique("twin"))],
        body: json!({
            "cart_id": cart, "email": "guest@example.com", "shipping_address": address(),
            "payment_method": "pm_card_visa",
        }),
        effects: "SELECT count(*) FROM orders.orders o JOIN payments.sandbox_charges c ON c.payment_id = o.payment_id \
                  WHERE o.cart_id::text = $1",
        subject: cart,
    };
    let unpaid = shop.guest_order(shirt, 1, None).await;
    let payment = id(&unpaid["payment"]).to_owned();
    let confirm = Call {
        what: "confirm",
        path: format!("/api/v1/payments/{payment}/confirm"),
        headers: by_guest(shop, &unpaid),
        body: json!({"payment_method": "pm_card_visa"}),
        effects: CHARGES,
        subject: payment,
    };
    let by_admin = || vec![("authorization", admin.to_owned()), ("idempotency-key", shop.unique("twin"))];
    let held = shop.guest_order(shirt, 1, Some("pm_card_visa")).await;
    let payment = id(&held["payment"]).to_owned();
    let capture = Call {
        what: "capture",
        path: format!("/api/v1/payments/{payment}/capture"),
        headers: by_admin(),
        body: json!({}),
        effects: OPERATIONS,
        subject: payment,
    };
    let payment = id(&collected(shop, shirt, admin).await["payment"]).to_owned();
    let refund = Call {
        what: "refund",
        path: format!("/api/v1/payments/{payment}/refunds"),
        headers: by_admin(),
        body: json!({"amount": {"amount": 1_000, "currency": "USD"}}),
        effects: "SELECT count(*) FROM payments.sandbox_charges \
                  WHERE payment_id::text = $1 AND refunded_minor = 1000",
        subject: payment,
    };
    let paid = collected(shop, shirt, admin).await;
    let part = Call {
        what: "cancel a part",
        path: format!("/api/v1/orders/{}/cancel", id(&paid)),
        headers: by_guest(shop, &paid),
        body: json!({"items": [{"variant_id": shirt, "quantity": 1}], "reason": "one too many"}),
        effects: REVERSALS,
        subject: id(&paid).to_owned(),
    };
    let delivered = collected(shop, shirt, admin).await;
    for to in ["shipped", "delivered"] {
        let path = format!("/api/v1/orders/{}/transitions", id(&delivered));
        shop.send("POST", &path, &[("authorization", admin)], Some(json!({"to": to}))).await.expect(200);
    }
    let back = Call {
        what: "return",
        path: format!("/api/v1/orders/{}/returns", id(&delivered)),
        headers: by_guest(shop, &delivered),
        body: json!({"items": [{"variant_id": shirt, "quantity": 1}]}),
        effects: REVERSALS,
        subject: id(&delivered).to_owned(),
    };
    vec![order, confirm, capture, refund, part, back]
}

fn by_guest(shop: &Shop, order: &Value) -> Vec<(&'static str, String)> {
    vec![("x-order-token", order["token"].as_str().unwrap().to_owned()), ("idempotency-key", shop.unique("twin"))]
}

/// An order of two whose money is collected.
async fn collected(shop: &Shop, shirt: &str, admin: &str) -> Value {
    let order = shop.guest_order(shirt, 2, Some("pm_card_visa")).await;
    let (path, key) = (format!("/api/v1/payments/{}/capture", id(&order["payment"])), shop.unique("collect"));
    let headers = [("authorization", admin), ("idempotency-key", key.as_str())];
    shop.send("POST", &path, &headers, Some(json!({}))).await.expect(200);
    order
}

async fn deployment() -> (Deployment, String, String) {
    let arguments = vec!["--payment-capture", "manual"];
    let deployment = Deployment::start(Plan { arguments, ..Plan::of(Topology::replicas(3)) }).await;
    let admin = deployment.admin().await;
    let shirt = deployment.product(&admin, "Linen Shirt", 4_900, 10_000).await;
    (deployment, shirt, admin)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_of_every_call_have_one_effect() {
    let _slot = slot().await;
    let (deployment, shirt, admin) = deployment().await;
    let (shop, owner) = (&deployment.shop, deployment.db.owner().await);
    for _ in 0..5 {
        for call in calls(shop, &shirt, &admin).await {
            let answers = join_all((0..TWINS).map(|_| call.answered(shop))).await;
            let first = id(&answers[0].body);
            let others = answers.iter().filter(|answer| id(&answer.body) != first);
            assert_eq!(others.count(), 0, "{}: {answers:?}", call.what);
            let told = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_empty()).count();
            assert_eq!(told, 1, "{} was done {told} times", call.what);
            call.assert_one_effect(&owner).await;
        }
    }
    shop.is_told_all().await;
    assert_eq!(shop.verify(), Vec::<Value>::new());
}

/// Holds whoever is about to keep the answer to a key, which is after the effect and before the answer.
struct Hold(Client);

impl Hold {
    async fn plant(shop: &Shop) -> Self {
        let owner = shop.db.owner().await;
        let plant = "CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql \
                AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END'; \
             CREATE TRIGGER hold BEFORE UPDATE ON orders.idempotency_keys \
                FOR EACH ROW EXECUTE FUNCTION public.hold(); \
             CREATE TRIGGER hold BEFORE UPDATE ON payments.idempotency_keys \
                FOR EACH ROW EXECUTE FUNCTION public.hold()";
        owner.batch_execute(plant).await.unwrap();
        Self(owner)
    }

    async fn on(&self) {
        self.0.batch_execute("SELECT pg_advisory_lock(4711)").await.unwrap();
    }

    /// Waits until somebody is held.
    async fn holds(&self) {
        let held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted \
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let since = Instant::now();
        while self.0.query(held, &[]).await.unwrap().is_empty() {
            assert!(since.elapsed() < Duration::from_secs(20), "nobody keeps an answer");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends the statements of the dead, which PostgreSQL has not noticed yet, and makes their lease run out.
    async fn off(&self) {
        let bury = "SELECT pg_terminate_backend(a.pid, 5000) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                    WHERE l.locktype = 'advisory' AND l.objid = 4711 AND NOT l.granted \
                    AND a.datname = current_database()";
        self.0.query(bury, &[]).await.unwrap();
        self.0.batch_execute("SELECT pg_advisory_unlock(4711)").await.unwrap();
        for schema in ["orders", "payments"] {
            let age = format!("UPDATE {schema}.idempotency_keys SET created_at = created_at - interval '20 seconds'");
            self.0.batch_execute(&age).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_is_killed_between_effect_and_answer() {
    let _slot = slot().await;
    let (mut deployment, shirt, admin) = deployment().await;
    let owner = deployment.db.owner().await;
    let hold = Hold::plant(&deployment).await;
    let kinds = calls(&deployment, &shirt, &admin).await.len();
    for round in 0..kinds {
        let call = calls(&deployment, &shirt, &admin).await.swap_remove(round % kinds);
        let victim = round % 3;
        let public = deployment.processes[victim].public();
        hold.on().await;
        let headers = call
            .headers
            .iter()
            .fold(reqwest::Client::new().post(format!("{public}{}", call.path)), |r, h| r.header(h.0, &h.1));
        let first = tokio::spawn(headers.json(&call.body).send());
        hold.holds().await;
        deployment.processes[victim].kill();
        assert!(first.await.unwrap().is_err(), "{}: the dead have answered", call.what);
        // Nobody knows yet that the first is dead: the twin has to wait.
        let early = call.send(&deployment).await;
        assert_eq!((early.status, &early.body["code"]), (409, &json!("idempotency_in_progress")), "{}", call.what);
        hold.off().await;
        let answer = call.answered(&deployment).await;
        call.assert_one_effect(&owner).await;
        let again = call.answered(&deployment).await;
        assert_eq!(id(&again.body), id(&answer.body));
        assert_eq!(again.header("idempotency-replayed"), "true", "{}", call.what);
        deployment.processes[victim].start();
        deployment.processes[victim].wait_until_ready().await;
    }
    deployment.is_told_all().await;
    assert_eq!(deployment.verify(), Vec::<Value>::new());
}
