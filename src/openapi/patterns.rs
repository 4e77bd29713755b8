//! What text may be. Fields name it, as in `#[schema(pattern = "<line>")]`, and the documents spell it out: so that
//! each rule stands once, beside what checks it in the modules.

use eshopz_kernel::country;
use serde_json::{Map, Value, json};

/// What ends a line or turns its direction, and what is not seen, for a class of characters: `eshopz_kernel::text`.
macro_rules! breaks {
    () => {
        r"\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069"
    };
}
macro_rules! unseen {
    () => {
        r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    };
}

/// Regular expressions of ECMA-262, as JSON Schema has them, by their short names.
const PATTERNS: [(&str, &str); 10] = [
    // Anything but NUL, which PostgreSQL keeps in no text.
    ("<text>", r"^[^\u0000]*$"),
    // One line, without control characters and what turns its direction; may be empty.
    ("<line>", concat!("^[^", breaks!(), "]*$")),
    // One line with something to read in it.
    ("<words>", concat!("^[^", breaks!(), "]*[^\\s", breaks!(), unseen!(), "][^", breaks!(), "]*$")),
    // One line without what is not seen; may be empty.
    ("<code>", concat!("^[^", breaks!(), unseen!(), "]*$")),
    // A handle: small letters, digits, `-` and `_`.
    ("<slug>", r"^[\p{Ll}\p{Lo}\p{Nd}_-]+$"),
    // From 3 to 20 digits and what people write between them; or nothing, which clears it.
    ("<phone>", r"^ *$|^[-+()./ x]*([0-9][-+()./ x]*){3,20}$"),
    ("<url>", r"^https?://[^\s\u0000-\u001f\u007f-\u009f]*$"),
    // An order by its id or its number.
    ("<order>", r"^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[Ee][Zz]-[0-9]{1,19})$"),
    // A gateway's name of a payment method.
    ("<method>", r"^pm_[A-Za-z0-9_-]*$"),
    // What a header can carry and be seen.
    ("<visible>", r"^[!-~]+$"),
];

/// Replaces the short names wherever they stand. `<country>` becomes a reference to the list of countries.
pub fn spell_out(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(spell_out),
        Value::Object(members) => {
            replace(members);
            members.values_mut().for_each(spell_out);
        }
        _ => {}
    }
}

fn replace(schema: &mut Map<String, Value>) {
    let name = schema.get("pattern").and_then(Value::as_str).unwrap_or_default();
    if name == "<country>" {
        schema.remove("pattern");
        schema.insert("$ref".into(), json!("#/components/schemas/Country"));
        return;
    }
    let name = if is_any_text(schema) { "<text>" } else { name };
    if let Some((_, expression)) = PATTERNS.iter().find(|(known, _)| *known == name) {
        schema.insert("pattern".into(), json!(expression));
    }
}

/// Whether it is a text of which nothing says what it may be. No NUL gets past the extractors.
fn is_any_text(schema: &Map<String, Value>) -> bool {
    let is_text = schema.get("type").is_some_and(|kind| match kind {
        Value::Array(kinds) => kinds.contains(&json!("string")),
        kind => kind == "string",
    });
    let format = schema.get("format").and_then(Value::as_str).unwrap_or("password");
    is_text && format == "password" && !["pattern", "enum", "const"].iter().any(|rule| schema.contains_key(*rule))
}

/// The schema that `<country>` refers to.
pub fn country() -> Value {
    json!({
        "type": "string",
        "description": "A country of ISO 3166-1 alpha-2.",
        "enum": country::codes().collect::<Vec<_>>(),
    })
}
