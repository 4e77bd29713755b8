//! A shop as its users meet it: an address, and nothing known about the processes behind it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use eshopz_testkit::db::TestDb;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{PASSWORD, run, text};

/// How many take part in a race.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// For ten things.
    pub buyers: usize,
    /// Of one request.
    pub twins: usize,
}

/// A deployment of the shop.
pub struct Shop {
    /// The address of the ingress.
    pub base: String,
    pub db: TestDb,
    pub scale: Scale,
    /// The most processes that answer for one path: so many requests in a row meet each of them.
    pub pods: usize,
    mail: PathBuf,
    client: reqwest::Client,
    admin: OnceCell<String>,
    given: AtomicU32,
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

/// A problem document, whole, with one of these statuses and this code.
#[track_caller]
pub fn is_problem(answer: &Answer, statuses: &[u16], code: &str) {
    assert!(statuses.contains(&answer.status), "{} {}", answer.status, answer.text);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.body["status"], answer.status);
    assert_eq!(answer.body["code"], code, "{}", answer.text);
    assert_eq!(answer.body["request_id"], answer.header("x-request-id").as_str());
    for member in ["type", "title", "detail"] {
        assert!(answer.body[member].is_string(), "{}", answer.text);
    }
}

impl Shop {
    /// `mail` is the folder into which the shop puts its letters.
    pub fn new(base: String, db: TestDb, mail: PathBuf, pods: usize) -> Self {
        // Longer than any answer may take, so that a test ends when none comes.
        let client = reqwest::Client::builder()
            // Before the shop closes them after 5 s: a request must not meet that.
            .pool_idle_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(90))
            .build()
            .unwrap();
        let scale = Scale { buyers: 200, twins: 50 };
        Self { base, db, scale, pods, mail, client, admin: OnceCell::new(), given: AtomicU32::new(0) }
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let request = self.request(method, path, headers);
        Self::answer(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    pub async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        Self::answer(self.request(method, path, headers).body(body)).await
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{path}", self.base));
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    }

    async fn answer(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }

    /// A GET that must go well.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Value {
        self.send("GET", path, headers, None).await.expect(200)
    }

    /// A name that nobody else in this shop has.
    pub fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.given.fetch_add(1, Ordering::SeqCst))
    }

    /// An email that nobody else in this shop has.
    pub fn email(&self, name: &str) -> String {
        format!("{}@example.com", self.unique(name))
    }

    /// Signs in and gives the tokens.
    pub async fn tokens(&self, email: &str, password: &str) -> Value {
        let body = json!({"email": email, "password": password});
        self.send("POST", "/api/v1/auth/login", &[], Some(body)).await.expect(200)
    }

    /// Signs in and gives the `Authorization` header.
    pub async fn sign_in(&self, email: &str, password: &str) -> String {
        format!("Bearer {}", self.tokens(email, password).await["access_token"].as_str().unwrap())
    }

    /// Makes an account and signs in.
    pub async fn register(&self, email: &str) -> String {
        let account = json!({"email": email, "password": PASSWORD, "full_name": "Ada Lovelace"});
        self.send("POST", "/api/v1/users", &[], Some(account)).await.expect(201);
        self.sign_in(email, PASSWORD).await
    }

    /// An admin's `Authorization` header, the account made by the command line.
    pub async fn admin(&self) -> String {
        let made = self.admin.get_or_init(|| async {
            let made =
                run(&self.db.url, &["admin", "create", "--email", "admin@example.com"], &format!("{PASSWORD}\n"));
            assert!(made.status.success(), "{}", text(&made));
            self.sign_in("admin@example.com", PASSWORD).await
        });
        made.await.clone()
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

    /// A guest's order of so many of a variant, paid if there is a method.
    pub async fn guest_order(&self, variant: &str, quantity: i64, method: Option<&str>) -> Value {
        let (cart, token) = self.guest_cart(&[(variant, quantity)]).await;
        let mut order = json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address()});
        if let Some(method) = method {
            order["payment_method"] = json!(method);
        }
        let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "order")];
        self.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201)
    }

    /// Demands that so many of a variant can be sold, and that everybody is told so within a second.
    pub async fn assert_available(&self, variant: &str, expected: i64) {
        let right = |answer: &Answer| answer.status == 200 && answer.body["available"] == expected;
        self.within_a_second(&format!("/api/v1/variants/{variant}"), &[], right).await;
    }

    /// The token in the last letter to this address whose subject has this word.
    pub async fn mailed_token(&self, email: &str, word: &str) -> String {
        let started = Instant::now();
        loop {
            let mut letters: Vec<PathBuf> = std::fs::read_dir(&self.mail)
                .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
                .unwrap_or_default();
            letters.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
            // Their names are in the order of time.
            letters.sort();
            let texts = letters.iter().rev().filter_map(|path| std::fs::read_to_string(path).ok());
            let mut wanted = texts.filter(|text| {
                text.contains(&format!("To: {email}\r\n"))
                    && text.lines().any(|line| line.starts_with("Subject: ") && line.to_lowercase().contains(word))
            });
            if let Some(letter) = wanted.next() {
                let token = letter.lines().find_map(|line| line.strip_prefix("Token: "));
                return token.expect("a letter without a token").trim().to_owned();
            }
            assert!(started.elapsed() < Duration::from_secs(20), "no letter to {email}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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
            let answer = self.send("GET", path, headers, None).await;
            if answer.status == 200 && right(&answer.body) {
                return answer.body;
            }
            // Within this time an event is told even by its second attempt.
            assert!(started.elapsed() < Duration::from_secs(45), "{path} is never so: {}", answer.text);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks the database until it finds no row, for what nobody can ask the shop for.
    pub async fn until_none(&self, query: &str, parameter: &str) {
        let (owner, started) = (self.db.owner().await, Instant::now());
        while !owner.query(query, &[&parameter]).await.unwrap().is_empty() {
            assert!(started.elapsed() < Duration::from_secs(45), "{query} still finds something for {parameter}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until every event has been told to everybody who listens, and demands that none could not be.
    pub async fn is_told_all(&self) {
        for schema in ["users", "products", "carts", "payments", "orders"] {
            let open = format!("SELECT 1 FROM {schema}.outbox WHERE remaining IS DISTINCT FROM 0 AND $1 = ''");
            self.until_none(&open, "").await;
        }
    }

    /// Sends a request again and again, and demands that whatever is sent later than a second from now is
    /// answered by `right`, by every process.
    pub async fn within_a_second(&self, path: &str, headers: &[(&str, &str)], right: impl Fn(&Answer) -> bool) {
        let since = Instant::now();
        let mut in_a_row = 0;
        while in_a_row <= 2 * self.pods || since.elapsed() < Duration::from_millis(1_050) {
            let late = since.elapsed() > Duration::from_secs(1);
            let answer = self.send("GET", path, headers, None).await;
            let is_right = right(&answer);
            assert!(is_right || !late, "a second later {path} still answers {} {}", answer.status, answer.text);
            in_a_row = if is_right { in_a_row + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A postal address that is good.
pub fn address() -> Value {
    json!({
        "name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London",
        "postal_code": "SW1Y 4JH", "country": "GB",
    })
}

/// The member `id`.
#[track_caller]
pub fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}
