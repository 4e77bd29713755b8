//! One exchange with Stripe over HTTP, without repetition. What matters most to the callers: of a request
//! that failed, whether Stripe may have seen it.

use std::time::Duration;

use actix_web::web::Bytes;
use eshopz_kernel::error_chain;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, InvalidHeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use uuid::Uuid;

/// The shapes of requests and answers that this was written for; Stripe keeps them as long as it is asked to.
const VERSION: &str = "2025-03-31.basil";
/// A page of a hundred payments has some hundred kilobytes.
const LARGEST_ANSWER: usize = 16 << 20;
/// Unused connections are closed by us first, so that none is used at the moment Stripe closes it.
const IDLE: Duration = Duration::from_secs(30);

/// The connections to Stripe.
pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Without a slash at the end.
    base: String,
}

/// A request; a body makes it a POST.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    /// With the query, from `/v1` on.
    pub path: &'a str,
    pub form: Option<&'a str>,
    pub idempotency_key: Option<Uuid>,
    pub secret_key: &'a str,
}

/// An answer, whatever it says.
pub(super) struct Reply {
    pub status: u16,
    pub body: Bytes,
    /// How long Stripe wants us to wait before we ask again.
    pub retry_after: Option<Duration>,
    /// Whether Stripe wants to be asked again, if it says so.
    pub should_retry: Option<bool>,
}

/// There was no answer.
pub(super) enum Broken {
    /// And no request: there was no connection.
    Unsent(String),
    /// The request may have arrived.
    Unanswered(String),
}

impl Transport {
    /// # Errors
    /// When this machine trusts no certificate at all.
    pub(super) fn new(url: &str, connect_patience: Duration) -> std::io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(connect_patience));
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(connector);
        Ok(Self { client, base: url.trim_end_matches('/').to_owned() })
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn exchange(&self, message: Message<'_>, patience: Duration) -> Result<Reply, Broken> {
        let request = self.request(message).map_err(|error| Broken::Unsent(error.to_string()))?;
        match tokio::time::timeout(patience, self.send(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Broken::Unanswered("no answer in time".to_owned())),
        }
    }

    fn request(&self, message: Message<'_>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let uri: Uri = format!("{}{}", self.base, message.path).parse()?;
        let mut request = Request::new(Full::new(Bytes::copy_from_slice(message.form.unwrap_or_default().as_bytes())));
        *request.uri_mut() = uri;
        if message.form.is_some() {
            *request.method_mut() = Method::POST;
        }
        set_headers(request.headers_mut(), message)?;
        Ok(request)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply, Broken> {
        let answer = self.client.request(request).await.map_err(|error| {
            let told = error_chain(&error);
            if error.is_connect() { Broken::Unsent(told) } else { Broken::Unanswered(told) }
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| Broken::Unanswered(format!("the answer broke off: {error}")))?.to_bytes();
        Ok(Reply {
            status: head.status.as_u16(),
            body,
            retry_after: text(&head.headers, RETRY_AFTER.as_str())
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
            should_retry: text(&head.headers, "stripe-should-retry").and_then(|word| word.parse().ok()),
        })
    }
}

fn set_headers(headers: &mut HeaderMap, message: Message<'_>) -> Result<(), InvalidHeaderValue> {
    let mut secret = HeaderValue::from_str(&format!("Bearer {}", message.secret_key))?;
    secret.set_sensitive(true);
    headers.insert(AUTHORIZATION, secret);
    headers.insert("stripe-version", HeaderValue::from_static(VERSION));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("eshopz/", env!("CARGO_PKG_VERSION"))));
    if message.form.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    }
    if let Some(key) = message.idempotency_key {
        headers.insert("idempotency-key", HeaderValue::from_str(&key.to_string())?);
    }
    Ok(())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
