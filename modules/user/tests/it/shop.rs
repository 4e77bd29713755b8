//! A shop with nothing but the user module, and a person's ways through it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use eshopz_kernel::{Fault, Role, SessionId};
use eshopz_platform::auth::{Authenticator, Identity, PublicKey, SessionCopies, session_copies};
use eshopz_platform::cache::{Counters, Redis};
use eshopz_testkit::db::TestDb;
use eshopz_testkit::{TestAnswer, TestApp};
use eshopz_user::{Mail, Mailer, SendError, UserDeps, UserModule, UserSettings};
use eshopz_user_api::UserApi;
use serde_json::{Value, json};
use tokio::sync::watch;

/// A password that is taken.
pub const PASSWORD: &str = "correct horse battery";

/// Keeps letters instead of sending them.
#[derive(Default)]
pub struct Letters(Mutex<Vec<Mail>>);

#[async_trait]
impl Mailer for Letters {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        self.0.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

/// A mailer that never gets anything off.
pub struct BrokenMailer;

#[async_trait]
impl Mailer for BrokenMailer {
    async fn send(&self, _: &Mail) -> Result<(), SendError> {
        Err(SendError::NotSent("the mail server is down".to_owned()))
    }
}

impl Letters {
    /// How many letters have gone to somebody.
    pub fn count(&self, to: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|mail| mail.to == to).count()
    }

    /// The token of the latest letter to somebody with a subject, once it is there.
    pub async fn token(&self, to: &str, subject: &str) -> String {
        let found = || {
            let letters = self.0.lock().unwrap();
            let letter = letters.iter().rev().find(|mail| mail.to == to && mail.subject.contains(subject))?;
            letter.text.lines().find_map(|line| line.strip_prefix("Token: ")).map(str::to_owned)
        };
        let mut token = None;
        until("the letter is there", || {
            token = found();
            token.is_some()
        })
        .await;
        token.unwrap()
    }
}

/// Waits for something to be so.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The module's contract as the rest of the shop checks tokens by it.
pub struct Issuer(pub Arc<dyn UserApi>);

#[async_trait]
impl Identity for Issuer {
    async fn public_keys(&self) -> Result<Vec<PublicKey>, Fault> {
        let keys = self.0.verifying_keys().await?;
        Ok(keys.into_iter().map(|key| PublicKey { kid: key.kid, x: key.x }).collect())
    }

    async fn session_role(&self, session: SessionId) -> Result<Option<Role>, Fault> {
        self.0.session_role(session).await
    }
}

/// Settings under which hashing costs next to nothing.
pub fn settings() -> UserSettings {
    UserSettings {
        argon2_memory_kib: 64,
        argon2_iterations: 1,
        key_secret: "a secret for tests, not for you".to_owned(),
        ..UserSettings::default()
    }
}

/// The module, as one more process on the same database would run it.
pub fn module(base: &TestDb, mailer: Arc<dyn Mailer>, settings: UserSettings) -> UserModule {
    module_with(base, mailer, settings, session_copies(Redis::none()))
}

/// The same, with the copies of sessions of its process.
pub fn module_with(
    base: &TestDb,
    mailer: Arc<dyn Mailer>,
    settings: UserSettings,
    sessions: SessionCopies,
) -> UserModule {
    let counters = Counters::new(Redis::none());
    UserModule::new(UserDeps { db: base.db("users"), counters, sessions, mailer, settings })
}

/// What a process checks tokens with that asks this user module.
pub fn authenticator(module: &UserModule, sessions: &SessionCopies) -> Authenticator {
    Authenticator::new(Arc::new(Issuer(module.api())), sessions.clone())
}

/// The shop.
pub struct Shop {
    pub app: TestApp,
    pub module: UserModule,
    pub letters: Arc<Letters>,
    pub base: TestDb,
    /// Ends the sender of letters with the shop.
    _open: watch::Sender<bool>,
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_with(settings()).await
    }

    pub async fn open_with(settings: UserSettings) -> Self {
        let letters = Arc::<Letters>::default();
        Self::open_mailing(letters.clone(), letters, settings).await
    }

    pub async fn open_mailing(mailer: Arc<dyn Mailer>, letters: Arc<Letters>, settings: UserSettings) -> Self {
        Self::open_sharing(Redis::none(), mailer, letters, settings).await
    }

    /// The shop with a Redis for its copies of sessions.
    pub async fn open_sharing(
        redis: Redis,
        mailer: Arc<dyn Mailer>,
        letters: Arc<Letters>,
        settings: UserSettings,
    ) -> Self {
        let base = TestDb::new(&["user"]).await;
        let sessions = session_copies(redis);
        let module = module_with(&base, mailer, settings, sessions.clone());
        module.prepare().await.unwrap();
        let configured = module.clone();
        let app = TestApp::start_as(authenticator(&module, &sessions), move |cfg| configured.configure(cfg)).await;
        let (open, closed) = watch::channel(false);
        tokio::spawn(module.clone().deliver_mail(closed));
        Self { app: app.unwrap(), module, letters, base, _open: open }
    }

    /// Sends a request; without a token when it is empty, without a body when it is `null`.
    pub async fn call(&self, method: &str, path: &str, token: &str, body: Value) -> TestAnswer {
        self.call_with(method, path, token, &[], body).await
    }

    pub async fn call_with(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> TestAnswer {
        let bearer = format!("Bearer {token}");
        let mut all = headers.to_vec();
        if !token.is_empty() {
            all.push(("authorization", &bearer));
        }
        let body = (!body.is_null()).then_some(body);
        self.app.send(method, &format!("/api/v1{path}"), &all, body).await.unwrap()
    }

    /// Makes an account and gives it back.
    pub async fn register(&self, email: &str) -> Value {
        let body = json!({"email": email, "password": PASSWORD, "full_name": "Ann Example"});
        let answer = self.call("POST", "/users", "", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    pub async fn try_sign_in(&self, email: &str, password: &str) -> TestAnswer {
        self.call("POST", "/auth/login", "", json!({"email": email, "password": password})).await
    }

    /// Signs somebody in and gives the tokens.
    pub async fn sign_in(&self, email: &str) -> Value {
        let answer = self.try_sign_in(email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    pub async fn refresh(&self, refresh_token: &Value) -> TestAnswer {
        self.call("POST", "/auth/refresh", "", json!({"refresh_token": refresh_token})).await
    }

    /// Makes an account, signs it in and gives its access token.
    pub async fn customer(&self, email: &str) -> String {
        self.register(email).await;
        access(&self.sign_in(email).await)
    }

    /// An admin's access token; the account is `admin@example.com`.
    pub async fn admin(&self) -> String {
        self.module.create_admin("admin@example.com", PASSWORD).await.unwrap();
        access(&self.sign_in("admin@example.com").await)
    }

    /// Whether an access token opens the door.
    pub async fn is_signed_in(&self, token: &str) -> bool {
        self.call("GET", "/users/me", token, Value::Null).await.status == 200
    }

    /// Runs SQL as the owner of the database.
    pub async fn sql(&self, statement: &str) {
        self.base.owner().await.batch_execute(statement).await.unwrap();
    }

    /// A number from the database.
    pub async fn number(&self, query: &str) -> i64 {
        self.base.owner().await.query_one(query, &[]).await.unwrap().get(0)
    }
}

/// The access token among tokens.
pub fn access(tokens: &Value) -> String {
    tokens["access_token"].as_str().unwrap().to_owned()
}

/// `(field, code)` of each error of a validation problem.
pub fn field_errors(answer: &TestAnswer) -> Vec<(String, String)> {
    let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
    let problem = answer.json();
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| (text(error, "field"), text(error, "code"))).collect()
}

/// Expects a validation problem with one field.
pub fn assert_field(answer: &TestAnswer, field: &str, code: &str) {
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(field_errors(answer), [(field.to_owned(), code.to_owned())], "{}", answer.text);
}
