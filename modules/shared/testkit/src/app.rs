//! A module behind a real HTTP server on a free port, with an identity that signs tokens for anybody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use async_trait::async_trait;
use eshopz_kernel::{Fault, Role, SessionId, UserId};
use eshopz_platform::auth::{AUDIENCE, Authenticator, Claims, ISSUER, Identity, PublicKey, session_copies};
use eshopz_platform::cache::Redis;
use eshopz_platform::http::middleware::request_context;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;
use utoipa_actix_web::AppExt as _;
use utoipa_actix_web::service_config::ServiceConfig;

/// An identity for tests: every session that it made is good until it is revoked.
#[derive(Debug, Default)]
pub struct TestIdentity {
    sessions: Mutex<HashMap<SessionId, Role>>,
}

/// PKCS#8 and public half of a key that is used in tests only.
const TEST_SEED: [u8; 32] = [7; 32];
const TEST_KID: &str = "test";

impl TestIdentity {
    #[must_use]
    pub fn shared() -> Arc<Self> {
        Arc::default()
    }

    /// An access token for an account, good for 15 minutes.
    pub fn token(&self, user: UserId, role: Role) -> String {
        let sid = SessionId::new();
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(sid, role);
        let now = chrono::Utc::now().timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            sid,
            role,
            iat: now,
            exp: now + 900,
            jti: uuid::Uuid::now_v7(),
        };
        let header = Header { kid: Some(TEST_KID.to_owned()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &encoding_key()).unwrap_or_default()
    }

    /// A customer's bearer header.
    pub fn customer(&self, user: UserId) -> String {
        format!("Bearer {}", self.token(user, Role::Customer))
    }

    /// An admin's bearer header.
    pub fn admin(&self) -> String {
        format!("Bearer {}", self.token(UserId::new(), Role::Admin))
    }
}

fn encoding_key() -> EncodingKey {
    use ed25519_dalek::pkcs8::EncodePrivateKey as _;
    let key = ed25519_dalek::SigningKey::from_bytes(&TEST_SEED);
    key.to_pkcs8_der().map_or_else(|_| EncodingKey::from_ed_der(&[]), |der| EncodingKey::from_ed_der(der.as_bytes()))
}

#[async_trait]
impl Identity for TestIdentity {
    async fn public_keys(&self) -> Result<Vec<PublicKey>, Fault> {
        use base64::Engine as _;
        let key = ed25519_dalek::SigningKey::from_bytes(&TEST_SEED).verifying_key();
        let x = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key.as_bytes());
        Ok(vec![PublicKey { kid: TEST_KID.to_owned(), x }])
    }

    async fn session_role(&self, session: SessionId) -> Result<Option<Role>, Fault> {
        Ok(self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(&session).copied())
    }
}

/// A running server.
pub struct TestApp {
    pub base: String,
    pub identity: Arc<TestIdentity>,
    client: reqwest::Client,
    handle: ServerHandle,
}

impl std::fmt::Debug for TestApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestApp").field("base", &self.base).finish_non_exhaustive()
    }
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct TestAnswer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl TestAnswer {
    /// The body as JSON; `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// A header as text; empty without it.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    /// The problem's `code`; empty when there is none.
    #[must_use]
    pub fn code(&self) -> String {
        self.json().get("code").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

impl TestApp {
    /// Starts a server with the routes that `configure` adds.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start<F>(configure: F) -> std::io::Result<Self>
    where
        F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
    {
        Self::start_with(TestIdentity::shared(), configure).await
    }

    /// The same with an identity of the caller's.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_with<F>(identity: Arc<TestIdentity>, configure: F) -> std::io::Result<Self>
    where
        F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
    {
        let issuer: Arc<dyn Identity> = identity.clone();
        Self::serve(identity, Authenticator::new(issuer, session_copies(Redis::none())), configure)
    }

    /// The same with the tokens of a user module; `identity` of the app then signs for nobody.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_as<F>(authenticator: Authenticator, configure: F) -> std::io::Result<Self>
    where
        F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
    {
        Self::serve(TestIdentity::shared(), authenticator, configure)
    }

    fn serve<F>(identity: Arc<TestIdentity>, authenticator: Authenticator, configure: F) -> std::io::Result<Self>
    where
        F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
    {
        let authenticator = web::Data::new(authenticator);
        let server = HttpServer::new(move || {
            let configure = configure.clone();
            App::new()
                .wrap(from_fn(request_context))
                .app_data(authenticator.clone())
                .into_utoipa_app()
                .configure(move |cfg| configure(cfg))
                .into_app()
        })
        .workers(2)
        // A client may come back after any time.
        .keep_alive(std::time::Duration::from_secs(120))
        .client_request_timeout(std::time::Duration::ZERO)
        .disable_signals()
        .bind(("127.0.0.1", 0))?;
        let address = server.addrs().first().copied().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { base: format!("http://{address}"), identity, client: reqwest::Client::new(), handle })
    }

    /// Sends a request. `headers` may hold `authorization` and the like; an empty `body` sends none.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<TestAnswer, reqwest::Error> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or(reqwest::Method::GET);
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(TestAnswer { status, headers, text: response.text().await? })
    }

    /// A module's audit log as an admin reads it, the first entry first. `path` ends in `audit-log`, perhaps with
    /// filters.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn audit_log(&self, path: &str, bearer: &str) -> Result<Vec<Value>, reqwest::Error> {
        let mut answer = self.send("GET", path, &[("authorization", bearer)], None).await?.json();
        let mut entries = answer.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
        entries.reverse();
        Ok(entries)
    }

    /// Sends raw bytes under a media type.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send_raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<TestAnswer, reqwest::Error> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or(reqwest::Method::POST);
        let mut request = self.client.request(method, format!("{}{path}", self.base)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(TestAnswer { status, headers, text: response.text().await? })
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // The stop message is sent at once; nobody waits for its end.
        drop(self.handle.stop(false));
    }
}
