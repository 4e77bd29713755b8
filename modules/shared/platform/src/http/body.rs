//! JSON bodies: read up to a limit, refused with the path of each field that is wrong.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::BytesMut;
use actix_web::{FromRequest, HttpRequest};
use eshopz_kernel::{Fault, FaultKind, FieldError};
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use tokio::time::{Instant, timeout_at};
use validator::{Validate, ValidationErrors, ValidationErrorsKind};

use super::pace::{BODY_START, broken_off, earned, too_slow};
use super::{HttpFault, nul};

pub use super::pace::paced;

/// The largest JSON body that is read, in bytes.
pub const JSON_LIMIT: usize = 1024 * 1024;

/// The longest that a body which is read whole may take to arrive.
pub const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// The room that is made for a body before any of it is there.
const FIRST_BYTES: usize = 64 * 1024;

/// A required JSON body, read and validated.
///
/// Refused with 400 (not JSON), 413 (over [`JSON_LIMIT`]), 415 (another media type) or 422 (fields
/// unknown, missing, of the wrong type or out of range, each with its JSON Pointer).
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A JSON body that may be left out, or be `null`; it is then `T::default()`.
#[derive(Debug)]
pub struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Validate + 'static> FromRequest for Body<T> {
    type Error = HttpFault;
    type Future = Pin<Box<dyn Future<Output = Result<Self, HttpFault>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            check_media_type(&req, &["application/json"])?;
            let bytes = read(&req, payload, JSON_LIMIT).await?;
            if bytes.is_empty() {
                return Err(Fault::malformed("malformed_json", "The body is empty; JSON is expected.").into());
            }
            Ok(Self(parse(&bytes)?))
        })
    }
}

impl<T: DeserializeOwned + Validate + Default + 'static> FromRequest for OptionalBody<T> {
    type Error = HttpFault;
    type Future = Pin<Box<dyn Future<Output = Result<Self, HttpFault>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let bytes = read(&req, payload, JSON_LIMIT).await?;
            if bytes.is_empty() {
                return Ok(Self(T::default()));
            }
            check_media_type(&req, &["application/json"])?;
            if bytes.trim_ascii() == b"null" {
                return Ok(Self(T::default()));
            }
            Ok(Self(parse(&bytes)?))
        })
    }
}

/// The media type of a body without its parameters (RFC 9110, 8.3.1), in lower case; empty when none is said.
#[must_use]
pub fn media_type(headers: &HeaderMap) -> String {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Refuses a body of another media type than those given, or one that is compressed.
///
/// # Errors
/// 415 `unsupported_media_type`.
pub fn check_media_type(req: &HttpRequest, taken: &[&str]) -> Result<(), Fault> {
    let essence = media_type(req.headers());
    let encoded = req.headers().get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity");
    if taken.contains(&essence.as_str()) && !encoded {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::UnsupportedMediaType,
        "unsupported_media_type",
        format!("Send the body as {}, not compressed.", taken.join(" or ")),
    ))
}

/// Reads a body up to a limit in bytes.
///
/// # Errors
/// 413 `body_too_large` past the limit, 400 `malformed_body` when the client breaks off, 408 `request_timeout`
/// when it dribbles, or takes longer than [`BODY_PATIENCE`].
pub async fn read(req: &HttpRequest, payload: Payload, limit: usize) -> Result<BytesMut, Fault> {
    let announced = req
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok())
        .unwrap_or(0);
    if announced > limit {
        return Err(too_large(limit));
    }
    collect_up_to(payload, announced, limit).await
}

/// When so much of a body has come, the rest has until then.
fn deadline(started: Instant, received: usize) -> Instant {
    started + BODY_START.saturating_add(earned(received)).min(BODY_PATIENCE)
}

async fn collect_up_to(mut payload: Payload, announced: usize, limit: usize) -> Result<BytesMut, Fault> {
    let started = Instant::now();
    // An announcement costs nothing; memory is taken for what has come.
    let mut bytes = BytesMut::with_capacity(announced.min(FIRST_BYTES));
    while let Some(chunk) = timeout_at(deadline(started, bytes.len()), payload.next())
        .await
        .map_err(|elapsed| too_slow().caused_by(elapsed))?
    {
        let chunk = chunk.map_err(|error| broken_off(&error))?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// 413 with the limit in words.
#[must_use]
pub fn too_large(limit: usize) -> Fault {
    Fault::new(FaultKind::TooLarge, "body_too_large", format!("The body is over the limit of {limit} bytes."))
}

/// Reads and validates JSON.
///
/// # Errors
/// 400 `malformed_json`, or 422 `validation_failed` with every field that is wrong.
pub fn parse<T: DeserializeOwned + Validate>(bytes: &[u8]) -> Result<T, Fault> {
    nul::refuse_in_json(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| json_fault(&error, bytes))?;
    deserializer
        .end()
        .map_err(|error| Fault::malformed("malformed_json", format!("The body is not JSON: {error}.")))?;
    // serde reads a struct from an array of its fields, too, which is in no document.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Fault::field("", "invalid", "must be an object"));
    }
    validate(&value)?;
    Ok(value)
}

/// Runs the declared validations.
///
/// # Errors
/// 422 `validation_failed`.
pub fn validate<T: Validate>(value: &T) -> Result<(), Fault> {
    value.validate().map_err(|errors| {
        let mut found = Vec::new();
        collect(&errors, "", &mut found);
        found.sort_by(|a, b| a.field.cmp(&b.field));
        Fault::validation(found)
    })
}

fn json_fault(error: &serde_path_to_error::Error<serde_json::Error>, bytes: &[u8]) -> Fault {
    let inner = error.inner();
    if inner.is_data() {
        let (code, field, message) = data_error(&inner.to_string(), pointer(error.path()));
        return Fault::field(field, code, message);
    }
    // The one mistake for which serde_json has no name of its own, and which it finds in JSON that is well-formed.
    if inner.to_string().starts_with("recursion limit exceeded") {
        return Fault::malformed("malformed_json", "The body is nested too deep.");
    }
    // serde_json calls it a syntax error, too, when what is written well cannot be held, and when a number or `null`
    // stands where an enum is meant.
    if std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() {
        return Fault::field(pointer(error.path()), "invalid", unheld(&inner.to_string()));
    }
    Fault::malformed("malformed_json", format!("The body is not JSON: {inner}."))
}

/// What is wrong with JSON that follows the grammar, by what serde_json says of it.
fn unheld(said: &str) -> &'static str {
    let is = |words: &str| said.contains(words);
    if is("surrogate") || is("hex escape") {
        "has half of a surrogate pair in it, which is no character"
    } else if is("out of range") {
        "is a number that nothing can hold"
    } else if is("recursion limit") {
        "is nested too deeply"
    } else {
        "is of another type than it should be"
    }
}

/// Code, pointer and message of what serde says is wrong with the data.
pub(super) fn data_error(text: &str, path: String) -> (&'static str, String, String) {
    let text = text.rsplit_once(" at line ").map_or(text, |(before, _)| before);
    let quoted = text.split('`').nth(1).unwrap_or_default();
    if let Some(named) = text.strip_prefix("unknown field `") {
        // The path has the field already, escaped; for a query it is empty.
        let last = path.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
        let there = !path.is_empty() && named.starts_with(&format!("{last}`"));
        let field = if there { path } else { format!("{path}/{}", escaped(quoted)) };
        ("unknown_field", field, text.to_owned())
    } else if text.starts_with("missing field") {
        ("required", format!("{path}/{quoted}"), "is required".to_owned())
    } else {
        ("invalid", path, text.to_owned())
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", escaped(key)),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

/// A name as a reference token of RFC 6901.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn collect(errors: &ValidationErrors, path: &str, found: &mut Vec<FieldError>) {
    for (name, kind) in errors.errors() {
        let at = if name == "__all__" { path.to_owned() } else { format!("{path}/{name}") };
        match kind {
            ValidationErrorsKind::Field(failed) => {
                for error in failed {
                    let message = error.message.clone().unwrap_or_else(|| Cow::Owned(describe(error)));
                    found.push(FieldError {
                        field: at.clone(),
                        code: error.code.clone(),
                        message: message.into_owned(),
                    });
                }
            }
            ValidationErrorsKind::Struct(inner) => collect(inner, &at, found),
            ValidationErrorsKind::List(list) => {
                for (index, inner) in list {
                    collect(inner, &format!("{at}/{index}"), found);
                }
            }
        }
    }
}

/// A message for the validations that carry none of their own.
fn describe(error: &validator::ValidationError) -> String {
    let bound = |name: &'static str| error.params.get(name).map(ToString::to_string);
    match (error.code.as_ref(), bound("min"), bound("max")) {
        ("range", Some(min), Some(max)) => format!("must be from {min} to {max}"),
        ("range", Some(min), None) => format!("must be at least {min}"),
        ("range", None, Some(max)) => format!("must be at most {max}"),
        ("length", Some(min), Some(max)) => format!("must have from {min} to {max} characters or entries"),
        ("length", Some(min), None) => format!("must have at least {min} characters or entries"),
        ("length", None, Some(max)) => format!("must have at most {max} characters or entries"),
        ("email", _, _) => "must be an email address".to_owned(),
        ("url", _, _) => "must be a URL".to_owned(),
        (code, _, _) => format!("is not valid ({code})"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[validate(range(min = 1, max = 5))]
        quantity: i32,
        #[serde(default)]
        unit: Unit,
    }

    #[derive(Debug, Default, Deserialize)]
    enum Unit {
        #[default]
        Piece,
    }

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Lines {
        #[validate(nested)]
        items: Vec<Line>,
        #[serde(default)]
        notes: BTreeMap<String, String>,
    }

    fn fault(json: &str) -> (FaultKind, Vec<(String, String)>) {
        let fault = parse::<Lines>(json.as_bytes()).unwrap_err();
        (fault.kind, fault.errors.iter().map(|e| (e.field.clone(), e.code.to_string())).collect())
    }

    #[test]
    fn each_mistake_is_named_by_its_place() {
        assert_eq!(fault("{"), (FaultKind::Malformed, vec![]));
        assert_eq!(fault("{\"items\": []} x"), (FaultKind::Malformed, vec![]));
        let one = |field: &str, code: &str| (FaultKind::Invalid, vec![(field.to_owned(), code.to_owned())]);
        assert_eq!(fault("{}"), one("/items", "required"));
        assert_eq!(fault(r#"{"items": [], "itmes": 1}"#), one("/itmes", "unknown_field"));
        assert_eq!(fault(r#"{"items": [{"quantity": 1, "x": 1}]}"#), one("/items/0/x", "unknown_field"));
        for (name, escaped) in
            [("a/b", "a~1b"), ("a~b", "a~0b"), ("~1", "~01"), ("`x", "`x"), ("", ""), ("items", "items")]
        {
            let body = format!(r#"{{"items": [{{"quantity": 1, "{name}": 1}}]}}"#);
            assert_eq!(fault(&body), one(&format!("/items/0/{escaped}"), "unknown_field"));
        }
        assert_eq!(fault(r#"{"items": [{"quantity": "1"}]}"#), one("/items/0/quantity", "invalid"));
        assert_eq!(fault(r#" [[{"quantity": 1}]]"#), one("", "invalid"));
        assert_eq!(fault(r#"{"items": [{"quantity": 1, "unit": null}]}"#), one("/items/0/unit", "invalid"));
        assert_eq!(fault(r#"{"items": [{"quantity": 1}, {"quantity": 9}]}"#), one("/items/1/quantity", "range"));
        // However deep it is, and whether it is whole or not.
        #[derive(Debug, Deserialize, Validate)]
        struct Anything {
            _any: Vec<serde_json::Value>,
        }
        for deep in ["[".repeat(100_000), format!("{}{}", "[".repeat(1_000), "]".repeat(1_000))] {
            let refused = parse::<Anything>(format!("{{\"_any\": {deep}}}").as_bytes()).unwrap_err();
            assert_eq!((refused.kind, refused.code.as_ref()), (FaultKind::Malformed, "malformed_json"));
        }
        let lines = parse::<Lines>(br#"{"items": [{"quantity": 5, "unit": "Piece"}]}"#).unwrap();
        assert!(lines.items[0].quantity == 5 && matches!(lines.items[0].unit, Unit::Piece) && lines.notes.is_empty());
    }

    #[test]
    fn what_cannot_be_held_is_told_from_what_is_no_json() {
        let told = |json: &[u8]| {
            let fault = parse::<Lines>(json).unwrap_err();
            let error = fault.errors.first().map(|error| format!("{} {}", error.field, error.message));
            (fault.kind, error.unwrap_or_default())
        };
        let invalid = |field: &str, words: &str| (FaultKind::Invalid, format!("{field} {words}"));
        let half = "has half of a surrogate pair in it, which is no character";
        assert_eq!(told(br#"{"items": [], "notes": {"a": "\ud800"}}"#), invalid("/notes/a", half));
        assert_eq!(told(br#"{"items": [], "notes": {"a": "\udc00x"}}"#), invalid("/notes/a", half));
        let number = "is a number that nothing can hold";
        assert_eq!(told(br#"{"items": [{"quantity": 1e999}]}"#), invalid("/items/0/quantity", number));
        for number in ["9223372036854775808", "18446744073709551616", "-0", "1e2", "-9223372036854775809"] {
            let (kind, text) = told(format!(r#"{{"items": [{{"quantity": {number}}}]}}"#).as_bytes());
            assert!(kind == FaultKind::Invalid && text.starts_with("/items/0/quantity "), "{number}: {text}");
        }
        assert_eq!(told(b"{\"items\": [], \"notes\": {\"a\": \"\xff\"}}").0, FaultKind::Malformed);
        assert_eq!(told(b"{\"items\": [], \"notes\": {\"a\": \"\0\"}}").0, FaultKind::Malformed);
        assert_eq!(told(format!(r#"{{"items": {}"#, "[".repeat(100_000)).as_bytes()).0, FaultKind::Invalid);
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(told(deep.as_bytes()).0, FaultKind::Invalid);
        let deep = format!(r#"{{"items": [], "notes": {{"a": {deep}}}}}"#);
        assert_eq!(told(deep.as_bytes()).0, FaultKind::Invalid);
    }
}
