//! One request after another, each timed and counted. A clean 503 is tried again, as a client should.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tokio::time::sleep;

use crate::tally::Tally;

/// Longer than any answer of a shop takes.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a request is tried again.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request.
#[derive(Debug)]
pub struct Call<'a> {
    /// How the tally names it.
    pub operation: &'static str,
    pub method: Method,
    pub path: String,
    pub headers: &'a [(&'static str, &'a str)],
    pub body: Option<Value>,
}

impl Call<'static> {
    /// Of what anybody may read.
    pub const fn get(operation: &'static str, path: String) -> Self {
        Self { operation, method: Method::GET, path, headers: &[], body: None }
    }
}

/// An answer other than a 503.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
    /// Whether it took more than one request, any of which may have had its effect.
    pub repeated: bool,
}

/// The way to the shop, and the tally of what was asked.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    pub tally: RefCell<Tally>,
}

impl Client {
    /// Of the shop at this address.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(base: &str) -> Result<Self, String> {
        reqwest::Url::parse(base).map_err(|error| format!("{base}: {error}"))?;
        let http = reqwest::Client::builder().http1_only().timeout(LIMIT).no_proxy().build();
        let http = http.map_err(|error| error.to_string())?;
        Ok(Self { http, base: base.to_owned(), tally: RefCell::default() })
    }

    /// Asks, and asks again while the answer is a clean 503.
    ///
    /// # Errors
    /// When there is no answer, or only 503s for too long.
    pub async fn call(&self, call: Call<'_>) -> Result<Reply, String> {
        let began = Instant::now();
        let mut repeated = false;
        loop {
            let (status, pause, body) = self.once(&call).await?;
            if status != 503 {
                if repeated {
                    self.tally.borrow_mut().mended += 1;
                }
                return Ok(Reply { status, body, repeated });
            }
            let pause = pause.ok_or_else(|| format!("503 without Retry-After: {body}"))?;
            if began.elapsed() > PATIENCE {
                return Err(format!("still 503 after {} s: {body}", PATIENCE.as_secs()));
            }
            repeated = true;
            sleep(pause).await;
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<(u16, Option<Duration>, Value), String> {
        let mut request = self.http.request(call.method.clone(), format!("{}{}", self.base, call.path));
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let began = Instant::now();
        let response = request.send().await.map_err(|error| whole(&error))?;
        let status = response.status().as_u16();
        let pause = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let text = response.bytes().await.map_err(|error| whole(&error))?;
        self.tally.borrow_mut().answered(call.operation, status, began.elapsed());
        let body = serde_json::from_slice(&text).map_err(|error| format!("{status}, which is no JSON: {error}"))?;
        Ok((status, pause.map(Duration::from_secs), body))
    }
}

/// An error with what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", whole(source)),
        None => error.to_string(),
    }
}
