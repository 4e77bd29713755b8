//! What a secret has to look like: a JSON object whose members are texts. Others may be somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::SecretsError;
use super::rds;

/// The content of a secret: the members with a value, and the names of those whose value is no text.
pub(super) type Content = (BTreeMap<String, String>, BTreeSet<String>);

/// Reads the content of a secret.
pub(super) fn read(name: &str, text: &str) -> Result<Content, SecretsError> {
    let Ok(Value::Object(mut members)) = serde_json::from_str(text) else {
        return Err(SecretsError::NotAnObject(name.to_owned()));
    };
    rds::fold(name, &mut members)?;
    Ok(sorted(members))
}

/// An empty text and `null` count as no value, as they do where a form made the secret.
fn sorted(members: Map<String, Value>) -> Content {
    let (mut values, mut not_texts) = Content::default();
    for (key, value) in members {
        match value {
            Value::String(text) if text.is_empty() => {}
            Value::Null => {}
            Value::String(text) => drop(values.insert(key, text)),
            Value::Number(number) => drop(values.insert(key, number.to_string())),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => drop(not_texts.insert(key)),
        }
    }
    (values, not_texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_texts_and_empty_ones_are_absent() {
        let (values, not_texts) = read("shop", r#"{"a": "x", "b": "", "c": null, "d": 5}"#).unwrap();
        assert_eq!(values, BTreeMap::from([("a".to_owned(), "x".to_owned()), ("d".to_owned(), "5".to_owned())]));
        assert_eq!(not_texts, BTreeSet::new());
    }

    #[test]
    fn members_that_are_no_texts_do_not_stand_in_the_way() {
        let (values, not_texts) = read("shop", r#"{"a": "x", "b": true, "c": {"d": "y"}, "e": ["z"]}"#).unwrap();
        assert_eq!(values, BTreeMap::from([("a".to_owned(), "x".to_owned())]));
        assert_eq!(not_texts, ["b", "c", "e"].map(str::to_owned).into());
    }

    #[test]
    fn what_is_no_object_is_refused_without_showing_it() {
        for bad in ["", "hunter2", r#""hunter2""#, r#"["hunter2"]"#, r#"{"a": "hunter2""#] {
            let error = read("shop", bad).unwrap_err();
            assert_eq!(error, SecretsError::NotAnObject("shop".to_owned()), "{bad}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }
}
