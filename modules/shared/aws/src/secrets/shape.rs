//! What a secret has to look like: a JSON object whose members are texts.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::SecretsError;
use super::rds;

/// Reads the content of a secret.
pub(super) fn read(name: &str, text: &str) -> Result<BTreeMap<String, String>, SecretsError> {
    let Ok(Value::Object(mut members)) = serde_json::from_str(text) else {
        return Err(SecretsError::NotAnObject(name.to_owned()));
    };
    rds::fold(name, &mut members)?;
    texts(name, members)
}

/// Members with a value; an empty text and `null` count as none, as they do where a form made the secret.
fn texts(name: &str, members: Map<String, Value>) -> Result<BTreeMap<String, String>, SecretsError> {
    let mut values = BTreeMap::new();
    for (key, value) in members {
        match value {
            Value::String(text) if text.is_empty() => {}
            Value::Null => {}
            Value::String(text) => drop(values.insert(key, text)),
            Value::Number(number) => drop(values.insert(key, number.to_string())),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(SecretsError::NotText(name.to_owned(), key));
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_texts_and_empty_ones_are_absent() {
        let values = read("shop", r#"{"a": "x", "b": "", "c": null, "d": 5}"#).unwrap();
        assert_eq!(values, BTreeMap::from([("a".to_owned(), "x".to_owned()), ("d".to_owned(), "5".to_owned())]));
    }

    #[test]
    fn what_is_no_object_of_texts_is_refused_without_showing_it() {
        for bad in ["", "hunter2", r#""hunter2""#, r#"["hunter2"]"#, r#"{"a": "hunter2""#] {
            let error = read("shop", bad).unwrap_err();
            assert_eq!(error, SecretsError::NotAnObject("shop".to_owned()), "{bad}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        let error = read("shop", r#"{"a": {"b": "hunter2"}}"#).unwrap_err();
        assert_eq!(error.to_string(), "in the secret `shop`, `a` has to be a text");
    }
}
