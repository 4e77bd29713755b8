//! One request and its answer, whatever that is.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A request.
#[derive(Debug)]
pub struct Call<'a> {
    /// How a tally names it.
    pub operation: &'static str,
    pub method: Method,
    pub path: String,
    pub headers: &'a [(&'static str, &'a str)],
    pub body: Option<Value>,
}

impl Call<'static> {
    /// Of what anybody may read.
    #[must_use]
    pub const fn get(operation: &'static str, path: String) -> Self {
        Self { operation, method: Method::GET, path, headers: &[], body: None }
    }
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// What `Retry-After` says.
    pub pause: Option<Duration>,
    pub request_id: String,
    pub etag: Option<String>,
    /// JSON; `null` when there is none.
    pub body: Value,
}

impl Reply {
    /// The code of a problem; empty for anything else.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body.get("code").and_then(Value::as_str).unwrap_or_default()
    }
}

/// The way to a shop.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    base: String,
}

impl Http {
    /// To the shop at this address; no answer may take longer than `limit`.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(base: &str, limit: Duration) -> Result<Self, String> {
        reqwest::Url::parse(base).map_err(|error| format!("{base}: {error}"))?;
        let client = reqwest::Client::builder()
            .http1_only()
            // Before the shop closes them after 5 s: a request must not meet that.
            .pool_idle_timeout(Duration::from_secs(2))
            .timeout(limit)
            .no_proxy()
            .build();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { client, base: base.to_owned() })
    }

    /// Asks once.
    ///
    /// # Errors
    /// When there is no answer, half of one, or one that is not JSON.
    pub async fn once(&self, call: &Call<'_>) -> Result<Reply, String> {
        let mut request = self.client.request(call.method.clone(), format!("{}{}", self.base, call.path));
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| whole(&error))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.bytes().await.map_err(|error| whole(&error))?;
        let body = if text.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&text) };
        Ok(Reply {
            status,
            pause: member(&headers, "retry-after").and_then(|value| value.parse().ok()).map(Duration::from_secs),
            request_id: member(&headers, "x-request-id").unwrap_or_default(),
            etag: member(&headers, "etag"),
            body: body.map_err(|error| format!("{status}, which is no JSON: {error}"))?,
        })
    }
}

fn member(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// An error with what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", whole(source)),
        None => error.to_string(),
    }
}
