//! A server that speaks Stripe and remembers: localstripe's, a process of its own on a free port, gone when
//! this is dropped.
#![allow(clippy::panic, reason = "a test that cannot have its server has to fail, and say why")]

use serde_json::{Value, json};

use crate::partner::Partner;

/// Names localstripe's program, where it is neither in the repository's `.venv` nor on the path.
pub const PROGRAM_VARIABLE: &str = "ESHOPZ_LOCALSTRIPE";
/// It takes any key of this shape.
pub const SECRET_KEY: &str = "sk_test_local";

/// What keeps it from writing all it knows into a file after every change.
const FORGETFUL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/partners/localstripe");

/// A running server.
#[derive(Debug)]
pub struct Localstripe(Partner);

impl Localstripe {
    /// Starts one without memories and waits until it listens.
    ///
    /// # Panics
    /// When there is no such program, or it does not come up.
    #[must_use]
    pub fn start() -> Self {
        let arguments = ["--from-scratch", "--port", "0"];
        Self(Partner::start_with(PROGRAM_VARIABLE, "localstripe", &arguments, &[("PYTHONPATH", FORGETFUL)]))
    }

    /// Where it is: `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.0.endpoint()
    }

    /// The name of a payment method with one of Stripe's test cards, as the payer's browser would make it.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn method(&self, card: &str) -> String {
        let card = json!({"number": card, "exp_month": 12, "exp_year": 2030, "cvc": "123"});
        let made = self.post("/v1/payment_methods", &json!({"type": "card", "card": card})).await;
        made.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Every event goes to this address from now on, signed with the secret.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn send_webhooks(&self, url: &str, secret: &str) {
        self.post("/_config/webhooks/test", &json!({"url": url, "secret": secret})).await;
    }

    /// The payer's answer to what his bank asks for.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn authenticate(&self, intent: &str, client_secret: &str, success: bool) {
        let answer = json!({"client_secret": client_secret, "success": success});
        self.post(&format!("/v1/payment_intents/{intent}/_authenticate"), &answer).await;
    }

    /// What it has at a path.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn get(&self, path: &str) -> Value {
        self.answered(reqwest::Client::new().get(format!("{}{path}", self.endpoint()))).await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.answered(reqwest::Client::new().post(format!("{}{path}", self.endpoint())).json(body)).await
    }

    async fn answered(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.bearer_auth(SECRET_KEY).send().await.and_then(reqwest::Response::error_for_status);
        let text = answer.unwrap_or_else(|error| panic!("localstripe refuses: {error}")).text().await;
        text.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
    }
}
