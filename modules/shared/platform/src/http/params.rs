//! Parameters in the path and in the query string.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use eshopz_kernel::Fault;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use validator::Validate;

use super::body::{data_error, validate};
use super::{HttpFault, nul};

/// The default length of a page.
pub const DEFAULT_LIMIT: u32 = 20;

/// An id in the path, by the parameter's position: the first one, or the second.
///
/// Refused with 400 `invalid_id` when it is no UUID.
#[derive(Clone, Copy, Debug)]
pub struct PathId<T, const N: usize = 0>(pub T);

impl<T: FromStr + 'static, const N: usize> FromRequest for PathId<T, N> {
    type Error = HttpFault;
    type Future = Ready<Result<Self, HttpFault>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = req.match_info().iter().nth(N).map(|(_, value)| value).unwrap_or_default();
        ready(text.parse().map(Self).map_err(|_| {
            Fault::malformed("invalid_id", "The id in the path is not a UUID; take it from an earlier answer.").into()
        }))
    }
}

/// The query string. Unknown parameters are refused (422) when `T` denies them; a parameter may be
/// repeated where `T` has a `Vec`.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Validate + 'static> FromRequest for Query<T> {
    type Error = HttpFault;
    type Future = Ready<Result<Self, HttpFault>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(req.query_string().as_bytes()).map(Self).map_err(HttpFault))
    }
}

/// Reads `name=value&…`, from a query string or a form.
pub(super) fn parse<T: DeserializeOwned + Validate>(query: &[u8]) -> Result<T, Fault> {
    nul::refuse_in_query(query)?;
    let deserializer = serde_html_form::Deserializer::from_bytes(query);
    let value: T = serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().iter().next().map(|segment| format!("/{segment}")).unwrap_or_default();
        let (code, field, message) = data_error(&error.inner().to_string(), path);
        Fault::field(field, code, message)
    })?;
    validate(&value)?;
    Ok(value)
}

/// For `#[serde(default, deserialize_with = "given")]`, on parameters that are not text: `name=` is refused like any other
/// value that is none. Without it, it counts as left out.
///
/// # Errors
/// When it cannot be read.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The length of a page that was asked for, as a count of rows.
#[must_use]
pub fn page_limit(limit: Option<u32>) -> usize {
    usize::try_from(limit.unwrap_or(DEFAULT_LIMIT).clamp(1, 100)).unwrap_or(20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        #[validate(range(min = 1, max = 100))]
        #[serde(default, deserialize_with = "given")]
        limit: Option<u32>,
        #[serde(default, deserialize_with = "given")]
        facets: Option<bool>,
        #[serde(default)]
        tag: Vec<String>,
    }

    #[test]
    fn a_query_is_read_or_explained() {
        let filter: Filter = parse(b"limit=5&tag=a&tag=b").unwrap();
        assert_eq!((filter.limit, filter.tag.len()), (Some(5), 2));
        let field = |query: &str| parse::<Filter>(query.as_bytes()).unwrap_err().errors[0].field.clone();
        assert_eq!(field("limit=x"), "/limit");
        assert_eq!(field("limit=0"), "/limit");
        assert_eq!(field("limit="), "/limit");
        assert_eq!(field("facets="), "/facets");
        assert_eq!(parse::<Filter>(b"facets=true").unwrap().facets, Some(true));
        assert_eq!(field("limt=1"), "/limt");
    }
}
