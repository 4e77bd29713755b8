//! NUL characters, which PostgreSQL keeps in no text: refused where requests are read, so that no field can forget to.

use std::borrow::Cow;

use eshopz_kernel::{Fault, FieldError};
use serde_json::Value;

use super::body::escaped;

/// The places that are named at most.
const SHOWN: usize = 100;

fn error(field: String) -> FieldError {
    let message = "must not have a NUL character in it".to_owned();
    FieldError { field, code: Cow::Borrowed("nul_character"), message }
}

/// Refuses a NUL in any text or name of a JSON body. Only what has the escape in it is read for that.
///
/// # Errors
/// 422 `validation_failed` with every place.
pub(super) fn refuse_in_json(bytes: &[u8]) -> Result<(), Fault> {
    if !bytes.contains(&b'\\') || !bytes.windows(6).any(|bytes| bytes == b"\\u0000") {
        return Ok(());
    }
    // What cannot be read at all is explained by who reads it in earnest.
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return Ok(()) };
    let mut found = Vec::new();
    find(&value, String::new(), &mut found);
    if found.is_empty() { Ok(()) } else { Err(Fault::validation(found)) }
}

fn find(value: &Value, at: String, found: &mut Vec<FieldError>) {
    if found.len() >= SHOWN {
        return;
    }
    match value {
        Value::String(text) if text.contains('\0') => found.push(error(at)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| find(item, format!("{at}/{index}"), found));
        }
        Value::Object(members) => {
            for (name, member) in members {
                let at = format!("{at}/{}", escaped(name));
                if name.contains('\0') {
                    found.push(error(at));
                } else {
                    find(member, at, found);
                }
            }
        }
        _ => {}
    }
}

/// Refuses a NUL in a query string or a form.
///
/// # Errors
/// 422 `validation_failed` with the first place.
pub(super) fn refuse_in_query(query: &[u8]) -> Result<(), Fault> {
    let escaped_nul = query.contains(&b'%') && query.windows(3).any(|bytes| bytes == b"%00");
    if !escaped_nul && !query.contains(&0) {
        return Ok(());
    }
    let pairs: Vec<(String, String)> = serde_html_form::from_bytes(query).unwrap_or_default();
    let with_nul = pairs.into_iter().find(|(name, value)| name.contains('\0') || value.contains('\0'));
    with_nul.map_or(Ok(()), |(name, _)| Err(Fault::validation(vec![error(format!("/{}", escaped(&name)))])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(refused: Result<(), Fault>) -> Vec<String> {
        refused.err().map(|fault| fault.errors.into_iter().map(|error| error.field).collect()).unwrap_or_default()
    }

    #[test]
    fn a_nul_is_found_wherever_it_is() {
        let found = |json: &str| places(refuse_in_json(json.as_bytes()));
        assert_eq!(found(r#"{"a": [{"b": "x\u0000"}, "\u0000"]}"#), ["/a/0/b", "/a/1"]);
        assert_eq!(found(r#"{"a/b\u0000": 1}"#), ["/a~1b\0"]);
        assert_eq!(found(r#""\u0000""#), [""]);
        for good in [r#"{"a": "\\u0000"}"#, r#"{"a": "\u00001"}x"#, r#"{"a": "\u0001"}"#, r#"["\n"]"#] {
            assert_eq!(found(good), Vec::<String>::new(), "{good}");
        }
        let many = format!("[{}1]", r#""\u0000","#.repeat(50_000));
        assert_eq!(found(&many).len(), SHOWN);
    }

    #[test]
    fn a_query_has_none_either() {
        let found = |query: &[u8]| places(refuse_in_query(query));
        assert_eq!(found(b"tag=a&tag=%00&q=%00"), ["/tag"]);
        assert_eq!(found(b"q=\0"), ["/q"]);
        assert_eq!(found(b"a%2fb%00=1"), ["/a~1b\0"]);
        assert_eq!(found(b"q=%2500&x=%0"), Vec::<String>::new());
    }
}
