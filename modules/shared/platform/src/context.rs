//! What a request carries from module to module without being a parameter of every call: its id, its W3C
//! trace context, its deadline, where it comes from and who makes it. The HTTP middleware opens the scope; the relay
//! opens one per delivery, and a command of an operator's one for itself.

use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::time::Instant;
use uuid::Uuid;

use crate::audit::Actor;
use crate::http::Standing;
use crate::trace::{self, Step};

tokio::task_local! {
    static CONTEXT: RequestContext;
    static NOTES: Arc<Notes>;
}

/// What is noted while a request is worked for, by all of its tasks.
#[derive(Debug, Default)]
struct Notes {
    /// The modules in other processes that the request has waited for in vain. It waits for none of them twice.
    silent: Mutex<Vec<&'static str>>,
    /// Statements sent to the database.
    statements: AtomicU32,
    /// What of that the database had to keep.
    commits: AtomicU32,
    /// How the caller stands with the limits that were asked.
    standings: Mutex<Vec<Standing>>,
    /// Who makes the request, once that is known.
    actor: OnceLock<Actor>,
    /// What was done for it.
    steps: Mutex<Vec<Step>>,
}

/// What was noted of a request.
#[derive(Debug)]
pub struct Noted {
    pub asked: Asked,
    /// Of each limit that was asked, in the order in which they first were.
    pub standings: Vec<Standing>,
    pub actor: Option<Actor>,
    /// What was done for it, if spans are kept.
    pub steps: Vec<Step>,
}

/// What a request has asked of the database.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub statements: u32,
    pub commits: u32,
}

/// The request that the present task works for.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    pub request_id: String,
    /// W3C Trace Context `traceparent`, as it came in or as it was made.
    pub traceparent: Option<String>,
    /// After this nobody waits for the outcome. A consumer's request has none; a call between modules has
    /// what its caller left it, and a delivery ends before its lease.
    pub deadline: Option<Instant>,
    /// The client's network address, where there is a client that has one.
    pub address: Option<IpAddr>,
}

impl RequestContext {
    /// Runs a future with this context as the current one.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        NOTES.scope(notes(), CONTEXT.scope(self, future)).await
    }

    /// Runs a request from its beginning to its end; with what was noted of it.
    pub async fn counted<F: Future>(self, future: F) -> (F::Output, Noted) {
        let notes = Arc::<Notes>::default();
        let output = NOTES.scope(Arc::clone(&notes), CONTEXT.scope(self, future)).await;
        let of = |count: &AtomicU32| count.load(Ordering::Relaxed);
        let asked = Asked { statements: of(&notes.statements), commits: of(&notes.commits) };
        let standings = std::mem::take(&mut *notes.standings.lock().unwrap_or_else(PoisonError::into_inner));
        let steps = std::mem::take(&mut *notes.steps.lock().unwrap_or_else(PoisonError::into_inner));
        (output, Noted { asked, standings, actor: notes.actor.get().copied(), steps })
    }
}

/// The current request's, or new ones.
fn notes() -> Arc<Notes> {
    NOTES.try_with(Arc::clone).unwrap_or_default()
}

/// Counts a statement for the current request, if there is one.
pub(crate) fn count_statement() {
    let _ = NOTES.try_with(|notes| notes.statements.fetch_add(1, Ordering::Relaxed));
}

/// Counts a commit for the current request, if there is one.
pub(crate) fn count_commit() {
    let _ = NOTES.try_with(|notes| notes.commits.fetch_add(1, Ordering::Relaxed));
}

/// Notes what was done for the current request, if spans are kept and there is one.
pub fn note_step(step: impl FnOnce() -> Step) {
    if !trace::is_on() {
        return;
    }
    let _ = NOTES.try_with(|notes| {
        let mut steps = notes.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.len() < trace::MOST {
            steps.push(step());
        }
    });
}

/// Notes how the caller of the current request stands with a limit.
pub(crate) fn note_standing(standing: Standing) {
    // Outside a request there is nobody to tell.
    let _ = NOTES.try_with(|notes| {
        let mut noted = notes.standings.lock().unwrap_or_else(PoisonError::into_inner);
        match noted.iter_mut().find(|noted| noted.policy == standing.policy) {
            Some(earlier) => *earlier = standing,
            None => noted.push(standing),
        }
    });
}

/// The current request's id; empty outside a request.
#[must_use]
pub fn current_request_id() -> String {
    CONTEXT.try_with(|context| context.request_id.clone()).unwrap_or_default()
}

/// The network address that the current request comes from.
#[must_use]
pub fn address() -> Option<IpAddr> {
    CONTEXT.try_with(|context| context.address).ok().flatten()
}

/// Notes who makes the current request. The first one who is noted stays.
pub fn note_actor(actor: Actor) {
    // Outside a request nobody asks.
    let _ = NOTES.try_with(|notes| notes.actor.set(actor));
}

/// Who makes the current request, if that is known.
#[must_use]
pub fn actor() -> Option<Actor> {
    NOTES.try_with(|notes| notes.actor.get().copied()).ok().flatten()
}

/// Runs what an operator does at the command line.
pub async fn command<F: Future>(future: F) -> F::Output {
    let notes = Arc::new(Notes { actor: OnceLock::from(Actor::Cli), ..Notes::default() });
    let context = RequestContext { request_id: Uuid::now_v7().to_string(), ..RequestContext::default() };
    NOTES.scope(notes, CONTEXT.scope(context, future)).await
}

/// The current `traceparent`.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    CONTEXT.try_with(|context| context.traceparent.clone()).ok().flatten()
}

/// The id of the current trace, by which its log lines are found in every process; empty outside one.
#[must_use]
pub fn trace_id() -> String {
    let id = |context: &RequestContext| context.traceparent.as_deref().map(trace::id_in).unwrap_or_default().to_owned();
    CONTEXT.try_with(id).unwrap_or_default()
}

/// The current deadline, if there is one.
#[must_use]
pub fn deadline() -> Option<Instant> {
    CONTEXT.try_with(|context| context.deadline).ok().flatten()
}

/// Notes that a module has let the current request wait until its patience was at its end.
pub fn note_silent(module: &'static str) {
    // Outside a request there is nothing to spare.
    let _ = NOTES.try_with(|notes| notes.silent.lock().unwrap_or_else(PoisonError::into_inner).push(module));
}

/// Whether the current request has waited for this module in vain.
#[must_use]
pub fn is_silent(module: &str) -> bool {
    let is_noted = |notes: &Arc<Notes>| notes.silent.lock().unwrap_or_else(PoisonError::into_inner).contains(&module);
    NOTES.try_with(is_noted).unwrap_or(false)
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
    NOTES.scope(notes(), context.scope(future)).in_current_span()
}
