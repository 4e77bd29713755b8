//! What all actors share: the way to the shop, what there is to buy, what was told, and one admin.

use std::cell::{Cell, RefCell};

use clap::ValueEnum;
use eshopz_testkit::load::{Call, Shelf};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client, Outcome};
use crate::ledger::Ledger;

pub const PASSWORD: &str = "correct horse battery staple";

/// When a payment is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Capture {
    /// At once.
    Automatic,
    /// By staff, after it was authorised.
    Manual,
}

impl Capture {
    /// As the program's setting has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Manual => "manual",
        }
    }
}

/// The shop as its clients know it.
pub struct Shop {
    pub client: Client,
    pub shelf: Shelf,
    /// Variants of which there are few, and which everybody wants.
    pub scarce: Vec<String>,
    pub ledger: RefCell<Ledger>,
    /// The admin's `Authorization` header.
    pub admin: RefCell<String>,
    pub checkouts: Cell<u64>,
    pub capture: Capture,
}

/// A request of somebody with a header that lets him in.
pub struct Request<'a> {
    pub operation: &'static str,
    pub method: Method,
    pub path: String,
    pub who: (&'static str, String),
    pub key: Option<&'a str>,
    pub body: Option<Value>,
}

impl Shop {
    /// Asks until there is an answer, which has one of these statuses.
    pub async fn expect(&self, request: Request<'_>, statuses: &[u16]) -> Outcome<Answer> {
        let who = (request.who.0, request.who.1.as_str());
        let headers = [who, ("idempotency-key", request.key.unwrap_or_default())];
        let headers = if request.key.is_some() { &headers[..] } else { headers.get(..1).unwrap_or_default() };
        let Request { operation, method, path, body, .. } = request;
        self.client.expect(&Call { operation, method, path, headers, body }, statuses).await
    }

    /// Whether it is time for another checkout, which is then counted.
    pub fn may_check_out(&self, requests_each: u64) -> bool {
        let is_time = self.checkouts.get() * requests_each <= self.client.asked.get();
        self.checkouts.set(self.checkouts.get() + u64::from(is_time));
        is_time
    }

    /// Notes what must not be, unless this is so.
    pub fn check(&self, right: bool, operation: &'static str, what: &str, body: &Value) -> bool {
        if !right {
            self.client.wrong(operation, &format!("{what}: {body}"));
        }
        right
    }
}

/// Where everybody lives.
pub fn address() -> Value {
    json!({
        "name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH",
        "country": "GB",
    })
}
