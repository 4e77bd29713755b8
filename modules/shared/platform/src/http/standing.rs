//! How a caller stands with a limit, and how an answer tells it: the fields `RateLimit-Policy` and `RateLimit` of
//! draft-ietf-httpapi-ratelimit-headers-11.

use std::fmt::Write as _;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// How a caller stands with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The limit's name.
    pub policy: &'static str,
    /// At most so many…
    pub limit: u64,
    /// …in this time.
    pub window_seconds: u64,
    /// How many more fit now.
    pub remaining: u64,
    /// Until there is room for more: as `Retry-After` when there is none, else to the end of the window.
    pub seconds: u32,
}

/// Tells of each limit that was asked for the request.
pub(super) fn tell(headers: &mut HeaderMap, standings: &[Standing]) {
    if standings.is_empty() {
        return;
    }
    let (mut policies, mut limits) = (String::new(), String::new());
    for Standing { policy, limit, window_seconds, remaining, seconds } in standings {
        let comma = if policies.is_empty() { "" } else { ", " };
        // A `String` takes all.
        let _ = write!(policies, "{comma}\"{policy}\";q={limit};w={window_seconds}");
        let _ = write!(limits, "{comma}\"{policy}\";r={remaining};t={seconds}");
    }
    for (name, text) in [(&POLICY, policies), (&LIMIT, limits)] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_a_member_of_both_lists() {
        let one = Standing { policy: "client", limit: 1_200, window_seconds: 60, remaining: 7, seconds: 31 };
        let two = Standing { policy: "import", limit: 5, window_seconds: 3_600, remaining: 0, seconds: 900 };
        let mut headers = HeaderMap::new();
        tell(&mut headers, &[]);
        assert!(headers.is_empty());
        tell(&mut headers, &[one, two]);
        assert_eq!(headers.get(&POLICY).unwrap(), "\"client\";q=1200;w=60, \"import\";q=5;w=3600");
        assert_eq!(headers.get(&LIMIT).unwrap(), "\"client\";r=7;t=31, \"import\";r=0;t=900");
    }
}
