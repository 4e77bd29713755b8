//! What a request carries from module to module without being a parameter of every call: its id, its W3C
//! trace context and its deadline. The HTTP middleware opens the scope; the relay opens one per delivery.

use std::future::Future;

use tokio::time::Instant;

tokio::task_local! {
    static CONTEXT: RequestContext;
}

/// The request that the present task works for.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    pub request_id: String,
    /// W3C Trace Context `traceparent`, as it came in or as it was made.
    pub traceparent: Option<String>,
    /// After this nobody waits for the outcome. A consumer's request has the listener's; a call between modules
    /// has what its caller left it, and a delivery ends before its lease.
    pub deadline: Option<Instant>,
}

impl RequestContext {
    /// Runs a future with this context as the current one.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CONTEXT.scope(self, future).await
    }
}

/// The current request's id; empty outside a request.
#[must_use]
pub fn current_request_id() -> String {
    CONTEXT.try_with(|context| context.request_id.clone()).unwrap_or_default()
}

/// The current `traceparent`.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    CONTEXT.try_with(|context| context.traceparent.clone()).ok().flatten()
}

/// The current deadline, if there is one.
#[must_use]
pub fn deadline() -> Option<Instant> {
    CONTEXT.try_with(|context| context.deadline).ok().flatten()
}

/// Runs a future in the current context with another deadline.
pub async fn with_deadline<F: Future>(deadline: Option<Instant>, future: F) -> F::Output {
    let context = CONTEXT.try_with(Clone::clone).unwrap_or_default();
    RequestContext { deadline, ..context }.scope(future).await
}

/// Takes the current context along into a task that will be spawned.
pub fn carry<F: Future>(future: F) -> impl Future<Output = F::Output> {
    use tracing::Instrument as _;
    let context = CONTEXT.try_with(Clone::clone).unwrap_or_default();
    context.scope(future).in_current_span()
}
