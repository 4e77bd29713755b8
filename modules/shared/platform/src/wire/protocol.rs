//! What both ends of a call have in common: paths, headers, and how long is left.

use std::time::Duration;

use actix_web::http::header::HeaderName;
use tokio::time::Instant;

/// Every internal path begins with it; the module and the method follow.
pub const PREFIX: &str = "/internal/v1";

/// On a response that is a [`eshopz_kernel::Fault`] in JSON, rather than something of the way there.
pub static FAULT: HeaderName = HeaderName::from_static("x-eshopz-fault");

/// Milliseconds that the caller still waits. A duration and no time of day: clocks differ.
pub static DEADLINE: HeaderName = HeaderName::from_static("x-eshopz-deadline-ms");

/// On every response of a process that is about to stop: the next call goes over a new connection, which
/// leads elsewhere. [`NOT_TAKEN`] as value says that the call was refused before anything was done.
pub static LEAVING: HeaderName = HeaderName::from_static("x-eshopz-leaving");

/// See [`LEAVING`].
pub const NOT_TAKEN: &str = "not-taken";

/// The code of the refusal of arguments. Both ends are ours, so for the consumer it is our mistake: the client
/// makes an internal fault of it.
pub(super) const ARGUMENTS_UNREADABLE: &str = "arguments_unreadable";

/// The code of the refusal of a service token.
pub const TOKEN_INVALID: &str = "service_token_invalid";

/// A little less than is left, so that the called module's own answer about the time comes before the
/// caller has gone.
pub(super) fn to_announce(left: Duration) -> u128 {
    left.saturating_sub((left / 10).min(Duration::from_millis(100))).as_millis()
}

/// The deadline that a header announces, from now.
pub(super) fn announced(millis: &str) -> Option<Instant> {
    // An hour bounds what a mistaken peer may ask for.
    let millis = millis.parse::<u64>().ok()?.min(3_600_000);
    Some(Instant::now() + Duration::from_millis(millis))
}
