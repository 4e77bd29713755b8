//! Lists by keyset: a page and the opaque cursor that leads to the next one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Fault;

/// One page of a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Pass as `cursor` to get the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of rows that were asked for with `limit + 1`: one row too many means that there
    /// is a next page, and `key` of the last row kept says where it begins.
    pub fn from_rows<R, K: Serialize>(
        mut rows: Vec<R>,
        limit: usize,
        key: impl Fn(&R) -> K,
        view: impl FnMut(R) -> T,
    ) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if more { rows.last().map(|row| Cursor::encode(&key(row))) } else { None };
        Self { items: rows.into_iter().map(view).collect(), next_cursor }
    }
}

fn not_of_this_list() -> Fault {
    Fault::field("/cursor", "invalid_cursor", "is not a cursor of this list; begin without one")
}

/// The opaque text of a position in a list.
#[derive(Debug)]
pub struct Cursor;

impl Cursor {
    /// Writes a position. The content is no secret and is not trusted when it comes back.
    pub fn encode<K: Serialize>(key: &K) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
    }

    /// Reads a position back.
    ///
    /// # Errors
    /// 422 `invalid_cursor` when it is no cursor of this list.
    pub fn decode<K: DeserializeOwned>(text: &str) -> Result<K, Fault> {
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(not_of_this_list)
    }

    /// The time of a position, if there can be a row of it: PostgreSQL's calendar ends before chrono's.
    ///
    /// # Errors
    /// 422 `invalid_cursor`.
    pub fn time(at: DateTime<Utc>) -> Result<DateTime<Utc>, Fault> {
        if (1..=9_999).contains(&at.year()) { Ok(at) } else { Err(not_of_this_list()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_round_and_no_other_text_is_one() {
        let now = Utc::now();
        assert_eq!(Cursor::decode::<(DateTime<Utc>, i32)>(&Cursor::encode(&(now, 7))).unwrap(), (now, 7));
        assert!(Cursor::decode::<i32>("nonsense").is_err());
        assert_eq!(Cursor::time(now).unwrap(), now);
    }

    #[test]
    fn times_that_postgresql_does_not_know_are_no_place() {
        let made_up = Cursor::encode(&"-200000-01-01T00:00:00Z");
        let at: DateTime<Utc> = Cursor::decode(&made_up).unwrap();
        assert!(Cursor::time(at).is_err());
    }
}
