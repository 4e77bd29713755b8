//! A client that does not give up: what got no answer, or was put off, it sends again just as it was.

use std::time::{Duration, Instant};

use eshopz_testkit::load::{Call, Http, Reply};
use reqwest::Method;
use serde_json::Value;
use tokio_postgres::Client;

use crate::support::Shop;

/// Longer than a shop that died needs to be back and to have forgotten its leases.
const PATIENCE: Duration = Duration::from_secs(150);
const PAUSE: Duration = Duration::from_millis(20);

/// The client, and a look into the database for what no client can see.
pub struct Patient {
    http: Http,
    pub owner: Client,
}

impl Patient {
    pub async fn of(shop: &Shop) -> Self {
        Self { http: Http::new(&shop.base, Duration::from_secs(20)).unwrap(), owner: shop.db.owner().await }
    }

    /// Sends until there is an answer that says yes or no.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&'static str, &str)], body: Option<Value>) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let call = Call { operation: "", method, path: path.to_owned(), headers, body };
        let (started, mut last) = (Instant::now(), String::new());
        while started.elapsed() < PATIENCE {
            match self.http.once(&call).await {
                Ok(reply) if !is_put_off(&reply) => return reply,
                Ok(reply) => last = format!("{} {}", reply.status, reply.body),
                Err(error) => last = error,
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{path} is never answered: {last}");
    }

    /// As [`Self::send`], and demands one of these statuses.
    pub async fn must(
        &self,
        statuses: &[u16],
        method: &str,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<Value>,
    ) -> Value {
        let reply = self.send(method, path, headers, body).await;
        assert!(statuses.contains(&reply.status), "{method} {path}: {} {}", reply.status, reply.body);
        reply.body
    }

    /// Waits until a query finds something.
    pub async fn until(&self, query: &str, id: &str) {
        let started = Instant::now();
        while self.owner.query(query, &[&id]).await.unwrap().is_empty() {
            assert!(started.elapsed() < PATIENCE, "never so for {id}: {query}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Answers after which a client does the same again.
fn is_put_off(reply: &Reply) -> bool {
    reply.status == 503 || (reply.status == 409 && reply.code() == "idempotency_in_progress")
}
