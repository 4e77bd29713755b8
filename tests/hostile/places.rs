//! Where something can be sent to: operations, the members of their bodies and their parameters, out of the document.

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// An operation with a body that is good as far as the document says.
#[derive(Clone, Debug)]
pub struct Operation {
    /// In capitals.
    pub method: String,
    /// With an id that nobody has wherever one is to be.
    pub path: String,
    /// As the document has it.
    pub template: String,
    pub media_type: String,
    pub body: Value,
    /// Names of its query parameters, with their schemas.
    pub queries: Vec<(String, Value)>,
}

const DOCUMENT: &str = include_str!("../../openapi/eshopz.json");

/// The ids of an order and its payment, and the token of whoever pays.
pub struct There {
    pub order: String,
    pub payment: String,
    pub token: String,
}

/// Every operation of the document; those of orders and payments are of what is there.
pub fn operations(there: &There) -> Vec<Operation> {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push(read(&document, path, method, operation, there));
        }
    }
    assert!(found.len() > 50, "hardly anything to try");
    found
}

fn read(document: &Value, path: &str, method: &str, operation: &Value, there: &There) -> Operation {
    let content = operation["requestBody"]["content"].as_object();
    let (media_type, body) = match content.and_then(|content| content.iter().next()) {
        Some((media_type, content)) => (media_type.clone(), sample(document, &content["schema"])),
        None => (String::new(), Value::Null),
    };
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let queries = parameters.iter().filter(|parameter| parameter["in"] == "query");
    let queries =
        queries.map(|parameter| (parameter["name"].as_str().unwrap().to_owned(), parameter["schema"].clone()));
    Operation {
        method: method.to_uppercase(),
        path: filled(path, there),
        template: path.to_owned(),
        media_type,
        body,
        queries: queries.collect(),
    }
}

fn filled(path: &str, there: &There) -> String {
    let fill = |segment: &str| match segment {
        "{id}" if path.starts_with("/api/v1/orders/") => there.order.clone(),
        "{id}" if path.starts_with("/api/v1/payments/") => there.payment.clone(),
        "{gateway}" => "sandbox".to_owned(),
        _ if segment.starts_with('{') => Uuid::now_v7().to_string(),
        _ => segment.to_owned(),
    };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

/// Something of a schema, with every member that there can be.
fn sample(document: &Value, schema: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = document.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("no {name}"));
        return sample(document, schema);
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema[choice].as_array() {
            // What has members tells more than what is only a text.
            let real = || choices.iter().filter(|choice| choice["type"] != "null");
            let chosen = real().find(|choice| choice["$ref"].is_string()).or_else(|| real().next()).unwrap();
            return sample(document, chosen);
        }
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    let kind = schema["type"].as_array().map_or(&schema["type"], |kinds| &kinds[0]);
    match kind.as_str() {
        Some("object") => object(document, schema),
        Some("array") => json!([sample(document, &schema["items"])]),
        Some("integer") => json!(schema["minimum"].as_i64().unwrap_or(1).max(1)),
        Some("number") => json!(1.0),
        Some("boolean") => json!(true),
        Some("string") => text(schema),
        _ => json!({}),
    }
}

fn object(document: &Value, schema: &Value) -> Value {
    let mut members = Map::new();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        members.insert(name.clone(), sample(document, member));
    }
    if schema["additionalProperties"].is_object() {
        members.insert("Size".to_owned(), sample(document, &schema["additionalProperties"]));
    }
    Value::Object(members)
}

fn text(schema: &Value) -> Value {
    let example = schema["examples"].as_array().and_then(|examples| examples.first()).or_else(|| schema.get("example"));
    let example = example.filter(|example| example.is_string());
    match schema["format"].as_str() {
        _ if example.is_some() => example.unwrap().clone(),
        Some("uuid") => json!(Uuid::now_v7()),
        Some("email") => json!("ada@example.com"),
        Some("date-time") => json!("2026-01-01T00:00:00Z"),
        Some("uri") => json!("https://example.com/a.jpg"),
        _ if schema["pattern"] == "^[A-Z]{3}$" => json!("USD"),
        _ if schema["pattern"] == "^[A-Z]{2}$" => json!("GB"),
        _ => json!("text-of-one-line"),
    }
}

/// JSON Pointers to all members of a kind.
pub fn pointers(value: &Value, is: impl Fn(&Value) -> bool + Copy) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, String::new(), is, &mut found);
    found
}

fn collect(value: &Value, at: String, is: impl Fn(&Value) -> bool + Copy, found: &mut Vec<String>) {
    if is(value) {
        found.push(at.clone());
    }
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| collect(item, format!("{at}/{index}"), is, found));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| collect(member, format!("{at}/{name}"), is, found));
        }
        _ => {}
    }
}

/// The body with something else at a place.
pub fn with(body: &Value, place: &str, value: Value) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(place).unwrap() = value;
    body
}

/// A text as it stands in a query string.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
