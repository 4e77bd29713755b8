//! The program as a process on free ports, with a database of its own, and a client that speaks to it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use eshopz_testkit::db::TestDb;
use serde_json::{Value, json};

pub const PASSWORD: &str = "correct horse battery staple";

/// A running `eshopz serve`.
pub struct Server {
    pub base: String,
    pub management: String,
    pub db: TestDb,
    pub boot: Duration,
    child: Child,
    client: reqwest::Client,
}

/// A port whose management port is free as well.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 18_000).unwrap();
    for _ in 0..2_000 {
        let port = 20_000 + (offset + NEXT.fetch_add(1, Ordering::SeqCst) * 7) % 20_000;
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + 6_000) {
            return port;
        }
    }
    panic!("no free port");
}

/// The program with a clean environment.
pub fn eshopz(database_url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eshopz"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ESHOPZ_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("RUST_LOG", "warn");
    if !database_url.is_empty() {
        command.env("ESHOPZ_DATABASE_URL", database_url);
    }
    command
}

/// Runs a command to its end.
pub fn run(database_url: &str, arguments: &[&str], stdin: &str) -> Output {
    let mut child = eshopz(database_url, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// The body, if the status is the expected one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }
}

impl Server {
    pub async fn start(arguments: &[&str]) -> Self {
        let db = TestDb::new(&["user", "product", "cart", "payment", "order"]).await;
        Self::start_on(db, arguments).await
    }

    pub async fn start_on(db: TestDb, arguments: &[&str]) -> Self {
        let port = free_port();
        let started = Instant::now();
        let mut child = eshopz(&db.url, &["serve", "--listen", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| eprintln!("{line}"))
        });
        let mut server = Self {
            base: format!("http://127.0.0.1:{port}"),
            management: format!("http://127.0.0.1:{}", port + 6_000),
            db,
            boot: Duration::ZERO,
            child,
            client: reqwest::Client::new(),
        };
        server.wait_until_ready(started).await;
        server
    }

    async fn wait_until_ready(&mut self, started: Instant) {
        let url = format!("{}/health/ready", self.management);
        while started.elapsed() < Duration::from_secs(60) {
            if self.client.get(&url).send().await.is_ok_and(|response| response.status().is_success()) {
                self.boot = started.elapsed();
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "the server ended before it was ready");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("not ready in a minute");
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }

    pub async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }

    /// Signs in and gives the `Authorization` header.
    pub async fn sign_in(&self, email: &str, password: &str) -> String {
        let tokens = self.send("POST", "/api/v1/auth/login", &[], Some(json!({"email": email, "password": password})));
        let tokens = tokens.await.expect(200);
        format!("Bearer {}", tokens["access_token"].as_str().unwrap())
    }

    /// Makes an account and signs in.
    pub async fn register(&self, email: &str) -> String {
        let account = json!({"email": email, "password": PASSWORD, "full_name": "Ada Lovelace"});
        self.send("POST", "/api/v1/users", &[], Some(account)).await.expect(201);
        self.sign_in(email, PASSWORD).await
    }

    /// An admin's `Authorization` header, the account made by the command line.
    pub async fn admin(&self) -> String {
        let made = run(&self.db.url, &["admin", "create", "--email", "admin@example.com"], &format!("{PASSWORD}\n"));
        assert!(made.status.success(), "{}", text(&made));
        self.sign_in("admin@example.com", PASSWORD).await
    }

    /// Makes an active product with one variant; gives the variant's id.
    pub async fn product(&self, admin: &str, title: &str, price: i64, on_hand: i64) -> String {
        let product = json!({
            "title": title,
            "variants": [{"price": {"amount": price, "currency": "USD"}, "on_hand": on_hand}],
        });
        let made = self.send("POST", "/api/v1/products", &[("authorization", admin)], Some(product)).await.expect(201);
        made["variants"][0]["id"].as_str().unwrap().to_owned()
    }

    /// A guest's cart with something in it: id and token.
    pub async fn guest_cart(&self, lines: &[(&str, i64)]) -> (String, String) {
        let cart = self.send("POST", "/api/v1/carts", &[], Some(json!({}))).await.expect(201);
        let (id, token) = (cart["id"].as_str().unwrap().to_owned(), cart["token"].as_str().unwrap().to_owned());
        for (variant, quantity) in lines {
            let line = json!({"variant_id": variant, "quantity": quantity});
            let path = format!("/api/v1/carts/{id}/items");
            self.send("POST", &path, &[("x-cart-token", &token)], Some(line)).await.expect(201);
        }
        (id, token)
    }

    /// What `eshopz verify` says; empty findings mean that the books balance.
    pub fn verify(&self) -> Vec<Value> {
        let output = run(&self.db.url, &["verify", "--json"], "");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
        let findings = report["findings"].as_array().unwrap().clone();
        assert_eq!(output.status.success(), findings.is_empty());
        findings
    }

    /// Asks until the answer is right, for what comes by an event.
    pub async fn until(&self, path: &str, headers: &[(&str, &str)], right: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let body = self.send("GET", path, headers, None).await.expect(200);
            if right(&body) {
                return body;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "never so: {body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(&mut self) -> i32 {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A postal address that is good.
pub fn address() -> Value {
    json!({
        "name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London",
        "postal_code": "SW1Y 4JH", "country": "GB",
    })
}
