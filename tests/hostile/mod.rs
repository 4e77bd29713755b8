//! What attackers and broken clients send, at every place where it can go. The places are read from the OpenAPI
//! document, so that a field that is added is tried without being listed here.

mod headers;
mod numbers;
mod paths;
mod places;
mod sizes;
mod texts;

use serde_json::Value;

use crate::support::{Answer, Server, Shop, id};
use places::Operation;

/// A shop of its own, with an admin whose hands are on everything.
struct Attacked {
    shop: Server,
    admin: String,
    /// What is there: some operations look for it before they read what they are sent.
    there: places::There,
}

impl Attacked {
    async fn start() -> Self {
        let shop = Server::start(&[]).await;
        let admin = shop.admin().await;
        let shirt = shop.product(&admin, "Plain Thing", 1_000, 1).await;
        let order = shop.guest_order(&shirt, 1, None).await;
        let there = places::There {
            order: id(&order).to_owned(),
            payment: id(&order["payment"]).to_owned(),
            token: order["token"].as_str().unwrap().to_owned(),
        };
        Self { shop, admin, there }
    }

    /// Every operation of the document.
    fn operations(&self) -> Vec<Operation> {
        places::operations(&self.there)
    }

    /// Those that take a JSON body which is read as such.
    fn with_body(&self) -> Vec<Operation> {
        let mut operations = self.operations();
        operations
            .retain(|operation| operation.media_type == "application/json" && !operation.template.contains("webhooks"));
        assert!(operations.len() > 25, "hardly anything to try");
        operations
    }

    /// Sends an operation with this body, as whoever may, under a key of its own.
    async fn send(&self, operation: &Operation, body: Vec<u8>) -> Answer {
        let key = self.shop.unique("hostile");
        // Not even an admin pays for somebody else.
        let paying = operation.template.ends_with("/confirm") && operation.template.contains("/payments/");
        let caller =
            if paying { ("x-order-token", self.there.token.as_str()) } else { ("authorization", self.admin.as_str()) };
        let headers = [caller, ("content-type", operation.media_type.as_str()), ("idempotency-key", key.as_str())];
        self.shop.raw(&operation.method, &operation.path, &headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.shop.send("GET", path, &[("authorization", &self.admin)], None).await
    }

    /// The books balance, and nobody else can have been served anything odd.
    fn is_unharmed(&self) {
        assert_eq!(self.shop.verify(), Vec::<Value>::new());
    }
}

/// An answer that is either good or says what is wrong; never a mistake of ours.
#[track_caller]
fn is_clean(answer: &Answer, sent: &str) {
    assert!(answer.status < 500, "{sent:.200}: {} {}", answer.status, answer.text);
    if answer.status >= 400 {
        assert_eq!(answer.header("content-type"), "application/problem+json", "{sent:.200}: {}", answer.text);
        assert_eq!(answer.body["status"], answer.status, "{sent:.200}");
        assert!(answer.body["code"].as_str().is_some_and(|code| code != "internal"), "{sent:.200}: {}", answer.text);
    }
}

/// A refusal that names the place.
#[track_caller]
fn is_refused_at(answer: &Answer, place: &str, sent: &str) {
    is_clean(answer, sent);
    assert_eq!(answer.status, 422, "{sent:.200} at {place}: {}", answer.text);
    let fields: Vec<&str> =
        answer.body["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert!(fields.contains(&place), "{sent:.200} at {place}: {}", answer.text);
}

/// The products that a visitor sees.
async fn seen(shop: &Shop, query: &str) -> usize {
    let page = shop.get(&format!("/api/v1/products?limit=100&{query}"), &[]).await;
    page["items"].as_array().unwrap().len()
}
