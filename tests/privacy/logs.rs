//! Nothing of a person, and nothing that opens a door, is told to a log: planted texts are sent in every field of every
//! operation, well formed and not, by everybody, and searched for in all that the processes say at their most talkative.

use eshopz::modules::Module;
use eshopz::openapi;
use serde_json::{Value, json};

use super::life::{PLANTED, lived};
use crate::support::{Deployment, Events, PASSWORD, Plan, Shop, Topology};

/// What no log may have, beside what a person leaves anyway.
const SECRETS: [&str; 8] = [
    "planted-password-e1f0",
    "planted-bearer-a77b",
    "planted-cart-token-0c9d",
    "planted-order-token-52aa",
    "planted-refresh-c3d4",
    "planted-query-97be",
    "planted-cookie-18ef",
    "planted-body-6f6f",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_sent_is_told_to_a_log() {
    let talkative = vec![("RUST_LOG", "trace".to_owned())];
    let plan = Plan { events: Events::Local, environment: talkative, ..Plan::of(Topology::five()) };
    let shop = Deployment::start(plan).await;
    let traces = lived(&shop).await;
    let me = [("authorization", traces.authorization.as_str())];
    assert_eq!(shop.send("GET", "/api/v1/users/me/export", &me, None).await.status, 200);
    sign_ins(&shop).await;
    let mut sent = 0;
    for authorization in ["", "Bearer planted-bearer-a77b", &traces.authorization, &traces.admin] {
        sent += every_operation(&shop, authorization).await;
    }
    assert!(sent > 1_000, "only {sent} requests: has the document become smaller?");
    assert_eq!(shop.send("DELETE", "/api/v1/users/me", &me, None).await.status, 204);
    shop.is_told_all().await;

    let tokens = [&traces.authorization, &traces.admin].map(|bearer| bearer.split('.').next_back().unwrap().to_owned());
    let forbidden = PLANTED.into_iter().chain(SECRETS).chain([PASSWORD]).chain(tokens.iter().map(String::as_str));
    let said: Vec<String> = shop.processes.iter().map(crate::support::Process::said_in_all).collect();
    for text in forbidden {
        for (process, said) in shop.processes.iter().zip(&said) {
            let lines: Vec<&str> = said.lines().filter(|line| line.contains(text)).collect();
            assert!(lines.is_empty(), "{} tells {text} in {} lines, first in {}", process.name, lines.len(), lines[0]);
        }
    }
    // They are talkative, and the search can find what is there.
    for (process, said) in shop.processes.iter().zip(&said) {
        assert!(said.contains("\"level\":\"TRACE\"") || said.contains("\"level\":\"DEBUG\""), "{}", process.name);
        assert!(said.contains("request_id"), "{}", process.name);
    }
}

/// What goes wrong when somebody comes in, and what goes right.
async fn sign_ins(shop: &Shop) {
    let post = async |path: &str, body: Value| shop.send("POST", path, &[], Some(body)).await.status;
    for email in ["planted-email-7f3a@example.com", "planted-email-7f3a@nowhere.example"] {
        let wrong = json!({"email": email, "password": "planted-password-e1f0"});
        assert_eq!(post("/api/v1/auth/login", wrong).await, 401);
        assert_eq!(post("/api/v1/auth/password-reset", json!({"email": email})).await, 202);
    }
    let token = json!({"refresh_token": "planted-refresh-c3d4"});
    assert_eq!(post("/api/v1/auth/refresh", token).await, 401);
    let reset = json!({"token": "planted-refresh-c3d4", "new_password": "planted-password-e1f0"});
    assert_eq!(post("/api/v1/auth/password-reset/confirm", reset).await, 422);
    assert_eq!(post("/api/v1/auth/verify-email", json!({"token": "planted-refresh-c3d4"})).await, 422);
    let form = "grant_type=password&username=planted-email-7f3a%40example.com&password=planted-password-e1f0";
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    shop.raw("POST", "/api/v1/auth/token", &headers, form.into()).await;
    // Taken, and so an error of the database's.
    let twice =
        json!({"email": "planted-email-7f3a@example.com", "password": PASSWORD, "full_name": "PlantedName91bc"});
    assert_eq!(post("/api/v1/users", twice).await, 409);
}

/// Sends each operation of the document some bodies that hold planted texts, with planted queries and headers; the number
/// of requests.
async fn every_operation(shop: &Shop, authorization: &str) -> usize {
    let document = openapi::document(&Module::ALL);
    let mut sent = 0;
    for (path, methods) in openapi::methods_by_path(&document) {
        // Its effect is that of signing out, or the end of the account.
        if ["/api/v1/auth/logout", "/api/v1/users/me/password"].contains(&path.as_str()) {
            continue;
        }
        for method in methods {
            if (method.as_str(), path.as_str()) == ("DELETE", "/api/v1/users/me") {
                continue;
            }
            let operation = &document["paths"][&path][method.to_lowercase()];
            for (query, body) in attempts(&document, operation) {
                let target = format!("{}?{query}", filled(&path));
                let mut headers = vec![
                    ("x-cart-token", "planted-cart-token-0c9d"),
                    ("x-order-token", "planted-order-token-52aa"),
                    ("idempotency-key", "planted-key-c0de-7"),
                    ("user-agent", "planted-agent-5d20"),
                    ("cookie", "session=planted-cookie-18ef"),
                    ("if-match", "\"planted-cookie-18ef\""),
                    ("if-none-match", "\"planted-cookie-18ef\""),
                    ("sandbox-signature", "t=1,v1=planted-cookie-18ef"),
                    ("content-type", "application/json"),
                ];
                if !authorization.is_empty() {
                    headers.push(("authorization", authorization));
                }
                let answer = shop.raw(&method, &target, &headers, body).await;
                assert_ne!(answer.status, 500, "{method} {target}: {}", answer.text);
                sent += 1;
            }
        }
    }
    sent
}

/// A path of which nothing exists.
fn filled(path: &str) -> String {
    let none = "/0198c5a6-7d3c-7b2e-9f10-3a5d0c1e2f34";
    let parts = path.split('/').skip(1);
    parts.map(|part| if part.starts_with('{') { none.to_owned() } else { format!("/{part}") }).collect()
}

/// Queries and bodies: with a planted text in every field there is, of a wrong kind, broken off, and with a field too many.
fn attempts(document: &Value, operation: &Value) -> Vec<(String, Vec<u8>)> {
    let names: Vec<&str> = operation["parameters"]
        .as_array()
        .map(|parameters| parameters.iter().filter(|one| one["in"] == "query").filter_map(|one| one["name"].as_str()))
        .map(Iterator::collect)
        .unwrap_or_default();
    let planted: Vec<String> = names.iter().map(|name| format!("{name}=planted-query-97be")).collect();
    let mut attempts: Vec<(String, Vec<u8>)> =
        planted.into_iter().chain(["planted=planted-query-97be".to_owned()]).map(|query| (query, Vec::new())).collect();
    if let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") {
        let full = example(document, schema, 0);
        let mut more = full.clone();
        if let Some(members) = more.as_object_mut() {
            members.insert("planted-body-6f6f".to_owned(), json!("planted-body-6f6f"));
        }
        let broken = format!("{}\"planted-body-6f6f", full.to_string().trim_end_matches('}'));
        let bodies = [full.to_string(), more.to_string(), broken, json!("planted-body-6f6f").to_string()];
        attempts.extend(bodies.map(|body| (String::new(), body.into_bytes())));
    }
    attempts.push((String::new(), b"Handle,Title\nplanted-body-6f6f,\"planted-body-6f6f".to_vec()));
    attempts
}

/// A value of a schema's form with planted texts wherever a text goes.
fn example(document: &Value, schema: &Value, depth: usize) -> Value {
    if depth > 6 {
        return Value::Null;
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        return example(document, document.pointer(name).unwrap(), depth + 1);
    }
    for any in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema[any].as_array() {
            let chosen = choices.iter().find(|choice| choice["type"] != "null").unwrap();
            return example(document, chosen, depth + 1);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default(),
        kind => kind.clone(),
    };
    match kind.as_str() {
        Some("object") => {
            let members = schema["properties"].as_object().cloned().unwrap_or_default();
            let member = |(name, inner): (String, Value)| {
                let value = match name.as_str() {
                    "email" => json!("planted-email-7f3a@other.example"),
                    "password" | "new_password" | "current_password" => json!("planted-password-e1f0"),
                    "phone" => json!("+49 5550731924"),
                    "country" => json!("GB"),
                    _ => example(document, &inner, depth + 1),
                };
                (name, value)
            };
            Value::Object(members.into_iter().map(member).collect())
        }
        Some("array") => json!([example(document, &schema["items"], depth + 1)]),
        Some("integer" | "number") => json!(5_550_731_924_i64),
        Some("boolean") => json!(false),
        _ => json!("planted-body-6f6f"),
    }
}
