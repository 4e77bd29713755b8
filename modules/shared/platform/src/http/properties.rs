//! What requests bring in their headers, queries and bodies, against what nobody has thought of. `PROPTEST_CASES` makes it more.

use std::collections::BTreeMap;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::test::TestRequest;
use actix_web::{FromRequest as _, dev};
use eshopz_kernel::FaultKind;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use validator::Validate;

use super::middleware::{is_harmless, is_traceparent};
use super::{IfMatch, body, conditional, params};
use crate::idempotency::IdempotencyKey;

/// What a client may send in a header: everything but controls, in any encoding.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof!["[ -~]{0,300}", "[a-z0-9.:_-]{0,130}", "[\"*W/, 0-9a-f-]{0,60}"];
    prop_oneof![
        text.prop_map(String::into_bytes),
        prop::collection::vec(prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8], 0..300)
    ]
}

#[derive(Debug, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
struct Query {
    q: Option<String>,
    #[serde(default)]
    tag: Vec<String>,
    limit: Option<u32>,
    facets: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize, PartialEq, Validate)]
#[serde(deny_unknown_fields)]
struct Request {
    text: String,
    #[serde(default)]
    numbers: Vec<i64>,
    #[serde(default)]
    names: BTreeMap<String, Option<bool>>,
}

/// JSON near to what is expected, and far from it.
fn json_text() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof![any::<String>(), Just("\0".to_owned())].prop_map(Value::from)
    ];
    let value = leaf.prop_recursive(4, 32, 6, |inner| {
        let name =
            prop_oneof![Just("text".to_owned()), Just("numbers".to_owned()), Just("names".to_owned()), any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6).prop_map(|members| json!(members))
        ]
    });
    prop_oneof![
        value.prop_map(|value| value.to_string().into_bytes()),
        "[\\[\\]{}:,\"\\\\u0d8ef1-9. tnrals-]{0,60}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..60)
    ]
}

proptest! {
    #[test]
    fn a_request_id_that_is_taken_ends_no_line(text in prop_oneof![any::<String>(), "[A-Za-z0-9._:-]{0,130}"]) {
        if is_harmless(&text) {
            let ends_a_line = text.contains(['\r', '\n', ' ', '"', ';', '\u{1b}']);
            prop_assert!((1..=128).contains(&text.len()) && !ends_a_line);
            let header = HeaderValue::from_str(&text).unwrap();
            prop_assert_eq!(header.as_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn a_trace_that_is_taken_is_of_its_form(text in prop_oneof![any::<String>(), "0[0-1]-[0-9a-f]{30,33}-[0-9a-f]{15,17}-[0-9a-fA-F]{2}"]) {
        if is_traceparent(&text) {
            let parts: Vec<usize> = text.split('-').map(str::len).collect();
            prop_assert_eq!(parts, [2, 32, 16, 2]);
            prop_assert_eq!(text.to_ascii_lowercase(), text);
        }
    }

    #[test]
    fn a_key_is_taken_as_it_is_or_refused(value in header()) {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let req = TestRequest::default().insert_header((HeaderName::from_static("idempotency-key"), value.clone()));
        match IdempotencyKey::from_request(&req.to_http_request(), &mut dev::Payload::None).into_inner() {
            Ok(key) => {
                prop_assert_eq!(key.0.as_bytes(), value.as_bytes());
                prop_assert!((1..=255).contains(&key.0.len()) && key.0.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            Err(refused) => prop_assert_eq!(refused.0.kind, FaultKind::Invalid),
        }
    }

    #[test]
    fn any_if_match_is_compared(value in header(), version: i64) {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let of = |value: HeaderValue| {
            let req = TestRequest::default().insert_header((HeaderName::from_static("if-match"), value)).to_http_request();
            IfMatch::from_request(&req, &mut dev::Payload::None).into_inner().unwrap()
        };
        if of(value.clone()).check(version).is_ok() {
            let text = value.to_str().unwrap();
            let named = text.contains('*') || text.contains(&format!("\"{version}-"));
            prop_assert!(named, "{}", text);
        }
        let own = HeaderValue::from_str(&conditional::etag(version, value.as_bytes())).unwrap();
        prop_assert!(of(own.clone()).check(version).is_ok());
        prop_assert!(of(own).check(version.wrapping_add(1)).is_err());
    }

    #[test]
    fn a_query_is_read_as_it_was_written(q: Option<String>, tag in prop::collection::vec(any::<String>(), 0..4), limit: Option<u32>, facets: Option<bool>) {
        let query = Query { q, tag, limit, facets };
        let written = serde_html_form::to_string(&query).unwrap();
        let texts = query.tag.iter().chain(&query.q);
        match params::parse::<Query>(written.as_bytes()) {
            Ok(read) => {
                prop_assert_eq!(serde_html_form::to_string(&read).unwrap(), written);
                prop_assert!(texts.into_iter().all(|text| !text.contains('\0')));
            }
            Err(fault) => {
                prop_assert!(texts.into_iter().any(|text| text.contains('\0')), "{}: {}", written, fault);
                prop_assert_eq!(fault.errors[0].code.as_ref(), "nul_character");
            }
        }
    }

    #[test]
    fn any_query_is_read_or_explained(query in prop_oneof!["[a-z=&%0-9+;]{0,80}", "(q|tag|limit|facets)=[ -~]{0,30}", any::<String>()]) {
        match params::parse::<Query>(query.as_bytes()) {
            Ok(read) => prop_assert!(read.tag.iter().chain(&read.q).all(|text| !text.contains('\0'))),
            Err(fault) => prop_assert!(fault.kind == FaultKind::Invalid && fault.errors[0].field.starts_with('/')),
        }
    }

    #[test]
    fn any_body_is_read_or_explained(bytes in json_text()) {
        match body::parse::<Request>(&bytes) {
            Ok(read) => {
                prop_assert!(!read.text.contains('\0') && read.names.keys().all(|name| !name.contains('\0')));
                let again = serde_json::to_vec(&read).unwrap();
                prop_assert_eq!(body::parse::<Request>(&again).unwrap(), read);
            }
            Err(fault) => match fault.kind {
                FaultKind::Malformed => prop_assert!(fault.errors.is_empty()),
                FaultKind::Invalid => {
                    let is_pointer = |field: &str| field.is_empty() || field.starts_with('/');
                    prop_assert!(!fault.errors.is_empty() && fault.errors.iter().all(|error| is_pointer(&error.field)));
                }
                kind => prop_assert!(false, "{:?}", kind),
            },
        }
    }
}
