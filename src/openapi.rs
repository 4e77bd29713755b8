//! The OpenAPI documents: what the handlers declare, merged, with what holds for every operation added
//! in one place: problem responses, the two ways to sign in, the catalogue of problem codes.

mod patterns;

use std::collections::BTreeMap;

use actix_web::App;
use eshopz_platform::http::problem::{COMMON_CODES, MEDIA_TYPE, status_of};
use eshopz_platform::http::{Problem, ProblemCode};
use serde_json::{Map, Value, json};
use utoipa::ToSchema as _;
use utoipa_actix_web::AppExt as _;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::modules::Module;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The document of some modules.
#[must_use]
pub fn document(modules: &[Module]) -> Value {
    let mut merged = utoipa::openapi::OpenApi::default();
    for module in modules {
        let routes = routes_of(*module);
        let (_, part) = App::new().into_utoipa_app().configure(|cfg: &mut ServiceConfig| routes(cfg)).split_for_parts();
        merged.merge(part);
    }
    let mut document = serde_json::to_value(&merged).unwrap_or_default();
    if let Some(root) = document.as_object_mut() {
        root.insert("openapi".into(), json!("3.1.0"));
        root.insert("info".into(), info());
        root.insert("servers".into(), json!([{ "url": "/", "description": "This shop" }]));
        root.insert("tags".into(), modules.iter().map(|module| tag(*module)).collect());
        add_components(root, modules);
        each_operation(root, complete);
    }
    patterns::spell_out(&mut document);
    document
}

/// Every file of `openapi/` with its text.
///
/// # Errors
/// When a document cannot be written as JSON.
pub fn files() -> anyhow::Result<Vec<(String, String)>> {
    let mut files = vec![("eshopz.json".to_owned(), to_json(&document(&Module::ALL))? + "\n")];
    for module in Module::ALL {
        files.push((format!("{module}.json"), to_json(&document(&[module]))? + "\n"));
    }
    Ok(files)
}

/// A document as text with sorted keys, so that it does not depend on how it was made.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn to_json(document: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&sorted(document))?)
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let ordered: BTreeMap<&String, Value> = members.iter().map(|(name, inner)| (name, sorted(inner))).collect();
            Value::Object(ordered.into_iter().map(|(name, inner)| (name.clone(), inner)).collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The paths of a document, each with the methods that it has, in capitals.
#[must_use]
pub fn methods_by_path(document: &Value) -> Vec<(String, Vec<String>)> {
    let Some(paths) = document.get("paths").and_then(Value::as_object) else { return Vec::new() };
    paths
        .iter()
        .map(|(path, item)| {
            let methods = METHODS.iter().filter(|method| item.get(**method).is_some());
            (path.clone(), methods.map(|method| method.to_uppercase()).collect())
        })
        .collect()
}

fn routes_of(module: Module) -> fn(&mut ServiceConfig) {
    match module {
        Module::User => eshopz_user::routes,
        Module::Product => eshopz_product::routes,
        Module::Cart => eshopz_cart::routes,
        Module::Payment => eshopz_payment::routes,
        Module::Order => eshopz_order::routes,
    }
}

/// The problem codes of a module beside the common ones.
#[must_use]
pub fn problems_of(module: Module) -> &'static [ProblemCode] {
    match module {
        Module::User => eshopz_user::PROBLEMS,
        Module::Product => eshopz_product::PROBLEMS,
        Module::Cart => eshopz_cart::PROBLEMS,
        Module::Payment => eshopz_payment::PROBLEMS,
        Module::Order => eshopz_order::PROBLEMS,
    }
}

fn info() -> Value {
    json!({
        "title": "EShopz",
        "version": env!("CARGO_PKG_VERSION"),
        "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        "description": "The REST contract of the shop. Money is in integer minor units. Errors are RFC 9457 problem \
            documents with a stable `code`. Lists are pages by cursor. A resource that can change has an `ETag`.\n\n\
            **Try it**: press *Authorize*, sign in with your email and password, and every call below is made as you. \
            A guest needs no account: make a cart with `POST /api/v1/carts` and put its `token` into `X-Cart-Token`.",
    })
}

fn tag(module: Module) -> Value {
    let description = match module {
        Module::User => "Accounts, sign-in, sessions, addresses",
        Module::Product => "Catalogue, search, categories, stock, import and export",
        Module::Cart => "Carts of guests and customers",
        Module::Payment => "Confirming, capturing and refunding payments",
        Module::Order => "Checkout and what happens to an order afterwards",
    };
    json!({ "name": module.name(), "description": description })
}

fn add_components(root: &mut Map<String, Value>, modules: &[Module]) {
    let mut schemas = vec![(Problem::name().into_owned(), <Problem<'_> as utoipa::PartialSchema>::schema())];
    Problem::schemas(&mut schemas);
    let components = root.entry("components").or_insert_with(|| json!({}));
    let Some(components) = components.as_object_mut() else { return };
    components.insert("securitySchemes".into(), security_schemes());
    components.insert("responses".into(), common_responses());
    let known = components.entry("schemas").or_insert_with(|| json!({}));
    let Some(known) = known.as_object_mut() else { return };
    for (name, schema) in schemas {
        known.insert(name, serde_json::to_value(schema).unwrap_or_default());
    }
    known.insert("ProblemCode".into(), catalogue(modules));
    known.insert("Country".into(), patterns::country());
    if let Some(code) = known.get_mut("Problem").and_then(|problem| problem.pointer_mut("/properties/code")) {
        *code = json!({ "$ref": "#/components/schemas/ProblemCode" });
    }
}

fn catalogue(modules: &[Module]) -> Value {
    let mut codes: BTreeMap<&str, ProblemCode> = COMMON_CODES.iter().map(|entry| (entry.code, *entry)).collect();
    for module in modules {
        codes.extend(problems_of(*module).iter().map(|entry| (entry.code, *entry)));
    }
    let rows: Vec<String> = codes
        .values()
        .map(|entry| format!("| `{}` | {} | {} |", entry.code, status_of(entry.kind).as_u16(), entry.meaning))
        .collect();
    json!({
        "type": "string",
        "enum": codes.keys().collect::<Vec<_>>(),
        "description": format!("Stable; one meaning each.\n\n| code | status | meaning |\n|---|---|---|\n{}", rows.join("\n")),
    })
}

fn security_schemes() -> Value {
    json!({
        "sign_in": {
            "type": "oauth2",
            "description": "Sign in with the email (as username) and password of an account without a second factor; with one, \
                send its code to `POST /api/v1/auth/login`.",
            "flows": { "password": { "tokenUrl": "/api/v1/auth/token", "scopes": {} } },
        },
        "bearer": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "An access token from `POST /api/v1/auth/login`.",
        },
        "cart_token": {
            "type": "apiKey", "in": "header", "name": "X-Cart-Token",
            "description": "The token of a guest's cart.",
        },
        "order_token": {
            "type": "apiKey", "in": "header", "name": "X-Order-Token",
            "description": "The token of a guest's order; it opens the order and its payment.",
        },
    })
}

fn each_operation(root: &mut Map<String, Value>, complete: fn(&str, &str, &mut Map<String, Value>)) {
    let Some(paths) = root.get_mut("paths").and_then(Value::as_object_mut) else { return };
    for (path, item) in paths {
        let Some(item) = item.as_object_mut() else { continue };
        for method in METHODS {
            if let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) {
                complete(path, method, operation);
            }
        }
    }
}

/// Adds to an operation what its declaration leaves to the house.
fn complete(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let admin = operation.get("description").and_then(Value::as_str).is_some_and(|text| text.contains("Admin."))
        || operation.get("summary").and_then(Value::as_str).is_some_and(|text| text.contains("Admin."));
    if let Some(Value::String(summary)) = operation.get_mut("summary") {
        *summary = summary.trim_end_matches('.').to_owned();
    }
    let has_body = operation.contains_key("requestBody");
    let has_query = operation
        .get("parameters")
        .and_then(Value::as_array)
        .is_some_and(|parameters| parameters.iter().any(|parameter| parameter.get("in") == Some(&json!("query"))));
    allow_sign_in(operation);
    let on_resource = path.contains('{');
    let mut statuses: Vec<u16> = vec![414, 429, 431, 500, 503];
    if has_body {
        statuses.extend([400, 413, 415, 422]);
    }
    if has_query {
        statuses.push(422);
    }
    if on_resource {
        statuses.extend([400, 404]);
    }
    if operation.contains_key("security") {
        statuses.push(401);
    }
    if admin {
        statuses.push(403);
    }
    if on_resource && ["patch", "put", "delete"].contains(&method) {
        statuses.push(412);
    }
    add_problems(operation, &statuses);
}

/// Lets the *Authorize* dialog's password form stand for the bearer token everywhere. `security: [{}]`
/// alone says no more than no `security` at all, and goes.
fn allow_sign_in(operation: &mut Map<String, Value>) {
    let Some(security) = operation.get_mut("security").and_then(Value::as_array_mut) else { return };
    if security.iter().any(|option| option.get("bearer").is_some()) {
        security.push(json!({ "sign_in": [] }));
    }
    if security.iter().all(|option| option.as_object().is_some_and(Map::is_empty)) {
        operation.remove("security");
    }
}

fn add_problems(operation: &mut Map<String, Value>, statuses: &[u16]) {
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    let Some(responses) = responses.as_object_mut() else { return };
    for status in statuses {
        let name = status.to_string();
        responses.entry(name).or_insert_with(|| json!({ "$ref": format!("#/components/responses/Problem{status}") }));
    }
    for (status, response) in responses {
        if !status.starts_with(['4', '5']) {
            continue;
        }
        let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else { continue };
        if let Some(problem) = content.remove("application/json") {
            content.insert(MEDIA_TYPE.to_owned(), problem);
        }
    }
}

/// The responses that any operation may give, once for all of them.
fn common_responses() -> Value {
    let responses = COMMON_STATUSES.iter().map(|(status, title, code)| {
        let mut response = json!({ "description": format!("{title}: `{code}`"), "content": { MEDIA_TYPE: {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "example": example(*status, title, code),
        }}});
        if let (429, Some(members)) = (status, response.as_object_mut()) {
            members.insert("headers".into(), limit_headers());
        }
        (format!("Problem{status}"), response)
    });
    Value::Object(responses.collect())
}

/// What a client is told that asked too often.
fn limit_headers() -> Value {
    let header = |description: &str, schema: &str, example: Value| json!({ "description": description, "schema": { "type": schema }, "example": example });
    json!({
        "Retry-After": header("Seconds until there is room for one more.", "integer", json!(17)),
        "RateLimit-Policy": header(
            "Each limit that was asked: `q` requests in `w` seconds (draft-ietf-httpapi-ratelimit-headers-11).",
            "string", json!("\"client\";q=1200;w=60"),
        ),
        "RateLimit": header(
            "How one stands with each: `r` are left, and in `t` seconds there will be more.",
            "string", json!("\"client\";r=0;t=17"),
        ),
    })
}

fn example(status: u16, title: &str, code: &str) -> Value {
    let detail = COMMON_CODES.iter().find(|entry| entry.code == code).map_or("", |entry| entry.meaning);
    let mut problem = json!({
        "type": format!("urn:eshopz:problem:{code}"), "title": title, "status": status, "detail": detail,
        "code": code, "request_id": "0198c5a6-7d3c-7b2e-9f10-3a5d0c1e2f34",
    });
    if let (422, Some(members)) = (status, problem.as_object_mut()) {
        let error = json!({ "field": "/quantity", "code": "range", "message": "must be from 1 to 99999" });
        members.insert("errors".into(), json!([error]));
    }
    problem
}

/// Status, title, and the code of the example.
const COMMON_STATUSES: [(u16, &str, &str); 13] = [
    (400, "Bad Request", "malformed_json"),
    (401, "Unauthorized", "unauthenticated"),
    (403, "Forbidden", "forbidden"),
    (404, "Not Found", "not_found"),
    (412, "Precondition Failed", "etag_mismatch"),
    (413, "Payload Too Large", "body_too_large"),
    (414, "URI Too Long", "uri_too_long"),
    (415, "Unsupported Media Type", "unsupported_media_type"),
    (422, "Unprocessable Entity", "validation_failed"),
    (429, "Too Many Requests", "rate_limited"),
    (431, "Request Header Fields Too Large", "headers_too_large"),
    (500, "Internal Server Error", "internal"),
    (503, "Service Unavailable", "unavailable"),
];
