//! Spans: what was done for a request, where, and how long it took, in the form of OpenTelemetry.
//!
//! What happens on the way is noted as it happens, which is cheap, and becomes spans when the request has ended: by then it
//! is known whether it failed, and those that did are always kept. Of the others so many are as was asked for, chosen by the
//! trace's id, so that every process chooses the same (<https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased>).
//! The flag of a `traceparent` is not asked: whoever may set it could have everything kept.
//!
//! Nothing in a span tells of a person: statements have their names and no values, paths are routes.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks, SpanProcessor};

/// Spans of a request at most; what comes after these is not noted.
pub(crate) const MOST: usize = 512;

static EXPORT: OnceLock<Export> = OnceLock::new();

/// Where spans go, and how many.
struct Export {
    processor: Box<dyn SpanProcessor>,
    /// Traces whose number is below it are kept.
    below: f64,
    scope: InstrumentationScope,
}

/// From now on spans go there. `share` of the traces are kept, from 0 to 1, and all that fail. False when there was
/// something before.
pub fn export_to(processor: impl SpanProcessor + 'static, share: f64) -> bool {
    EXPORT.set(Export::to(processor, share)).is_ok()
}

/// Whether spans go anywhere.
#[must_use]
pub fn is_on() -> bool {
    EXPORT.get().is_some()
}

/// Sends what has not been sent, and no more after that. Waits for it: not to be called by an async task.
pub fn end(patience: Duration) {
    if let Some(export) = EXPORT.get()
        && let Err(error) = export.processor.shutdown_with_timeout(patience)
    {
        tracing::warn!(%error, "the last spans could not be sent");
    }
}

/// The number below which so many of all numbers of 32 bits are.
fn bound(share: f64) -> f64 {
    share.clamp(0.0, 1.0) * (f64::from(u32::MAX) + 1.0)
}

/// A place in a trace: the span that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    trace: u128,
    span: u64,
    /// Zero: it is the first.
    parent: u64,
    sampled: bool,
}

impl Place {
    /// The next span after `traceparent`, which is well formed, or the first of a new trace.
    #[must_use]
    pub fn after(traceparent: Option<&str>) -> Self {
        let (trace, parent) = traceparent.and_then(read).unwrap_or_else(|| (rand::random::<u128>().max(1), 0));
        let sampled = EXPORT.get().is_some_and(|export| export.chooses(trace));
        Self { trace, span: new_span(), parent, sampled }
    }

    /// What whoever is asked from here is told (W3C Trace Context, 3.2).
    #[must_use]
    pub fn traceparent(&self) -> String {
        traceparent(self.trace, self.span, self.sampled)
    }
}

fn new_span() -> u64 {
    rand::random::<u64>().max(1)
}

fn traceparent(trace: u128, span: u64, sampled: bool) -> String {
    format!("00-{trace:032x}-{span:016x}-{:02x}", u8::from(sampled))
}

/// The id of the trace, as it is written in a `traceparent`: what the log lines of one trace have in common, in every process.
pub(crate) fn id_in(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap_or_default()
}

/// The trace and the span that a `traceparent` names.
fn read(traceparent: &str) -> Option<(u128, u64)> {
    let span = traceparent.split('-').nth(2)?;
    Some((u128::from_str_radix(id_in(traceparent), 16).ok()?, u64::from_str_radix(span, 16).ok()?))
}

/// Something that was done for a request.
#[derive(Debug)]
pub struct Step {
    what: What,
    span: u64,
    began: Instant,
    took: Duration,
    failed: bool,
}

/// What was done.
#[derive(Debug)]
pub enum What {
    /// A statement, by its name.
    Statement { module: &'static str, name: Arc<str> },
    /// Commands that were sent to Redis together.
    Redis { commands: usize },
    /// A call of a module in another process.
    Call { neighbour: &'static str, method: String },
    /// Something asked of a payment gateway.
    Gateway { name: &'static str },
}

impl Step {
    /// What began then and has ended now.
    #[must_use]
    pub fn since(began: Instant, what: What, failed: bool) -> Self {
        Self { what, span: new_span(), began, took: began.elapsed(), failed }
    }
}

/// A call of another process that is about to be made, which the other one has to be told of.
#[derive(Clone, Copy, Debug)]
pub struct Calling {
    span: u64,
    began: Instant,
}

impl Calling {
    /// From the span that `traceparent` names; with what the other process is told. Nothing when no spans are kept.
    #[must_use]
    pub fn from(traceparent: &str) -> Option<(Self, String)> {
        is_on().then(|| Self::of(traceparent)).flatten()
    }

    fn of(traceparent: &str) -> Option<(Self, String)> {
        let (span, flags) = (new_span(), traceparent.split('-').nth(3)?);
        let told = format!("00-{}-{span:016x}-{flags}", id_in(traceparent));
        Some((Self { span, began: Instant::now() }, told))
    }

    /// It has ended.
    #[must_use]
    pub fn ended(self, neighbour: &'static str, method: &str, failed: bool) -> Step {
        let what = What::Call { neighbour, method: method.to_owned() };
        Step { what, span: self.span, began: self.began, took: self.began.elapsed(), failed }
    }
}

/// A request, or the delivery of an event, that has ended.
#[derive(Debug)]
pub struct Work {
    pub place: Place,
    pub began: Instant,
    pub name: String,
    pub kind: SpanKind,
    pub attributes: Vec<KeyValue>,
    /// Why, if it failed by our own fault.
    pub failed: Option<Cow<'static, str>>,
}

impl Work {
    /// Sends its span and those of its steps, if they are to be kept.
    pub fn end(self, steps: Vec<Step>) {
        if let Some(export) = EXPORT.get() {
            export.take(self, steps);
        }
    }
}

impl Export {
    fn to(processor: impl SpanProcessor + 'static, share: f64) -> Self {
        let scope = InstrumentationScope::builder("eshopz").with_version(env!("CARGO_PKG_VERSION")).build();
        Self { processor: Box::new(processor), below: bound(share), scope }
    }

    fn chooses(&self, trace: u128) -> bool {
        // The SDKs of OpenTelemetry go by the last eight bytes of an id. The first four of these are exact enough.
        let last = trace & u128::from(u64::MAX);
        u32::try_from(last >> 32).is_ok_and(|number| f64::from(number) < self.below)
    }

    fn take(&self, work: Work, steps: Vec<Step>) {
        let Work { place, began, name, kind, attributes, failed } = work;
        if !place.sampled && failed.is_none() {
            return;
        }
        let took = began.elapsed();
        let start = SystemTime::now().checked_sub(took).unwrap_or(SystemTime::UNIX_EPOCH);
        for step in steps {
            self.send(&place, start + step.began.saturating_duration_since(began), step);
        }
        let status = failed.map_or(Status::Unset, |description| Status::Error { description });
        let span = self.span(&place, place.span, (SpanId::from(place.parent), place.parent != 0), (start, took));
        self.processor.on_end(SpanData { span_kind: kind, name: name.into(), attributes, status, ..span });
    }

    fn send(&self, place: &Place, began: SystemTime, step: Step) {
        let span = self.span(place, step.span, (SpanId::from(place.span), false), (began, step.took));
        let (name, kind, attributes) = step.what.told();
        let status = if step.failed { Status::error("") } else { Status::Unset };
        self.processor.on_end(SpanData { span_kind: kind, name, attributes, status, ..span });
    }

    fn span(
        &self,
        place: &Place,
        id: u64,
        (parent, parent_span_is_remote): (SpanId, bool),
        (start_time, took): (SystemTime, Duration),
    ) -> SpanData {
        let trace = TraceId::from(place.trace);
        let context = SpanContext::new(trace, SpanId::from(id), TraceFlags::SAMPLED, false, TraceState::default());
        SpanData {
            span_context: context,
            parent_span_id: parent,
            parent_span_is_remote,
            span_kind: SpanKind::Internal,
            name: Cow::Borrowed(""),
            start_time,
            end_time: start_time + took,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

impl What {
    /// Name, kind and attributes, as OpenTelemetry's semantic conventions have them.
    fn told(self) -> (Cow<'static, str>, SpanKind, Vec<KeyValue>) {
        match self {
            Self::Statement { module, name } => {
                let attributes = vec![
                    KeyValue::new("db.system.name", "postgresql"),
                    KeyValue::new("db.query.summary", name.to_string()),
                    KeyValue::new("eshopz.module", module),
                ];
                (name.to_string().into(), SpanKind::Client, attributes)
            }
            Self::Redis { commands } => {
                let size = i64::try_from(commands).unwrap_or(i64::MAX);
                let attributes =
                    vec![KeyValue::new("db.system.name", "redis"), KeyValue::new("db.operation.batch.size", size)];
                ("redis".into(), SpanKind::Client, attributes)
            }
            Self::Call { neighbour, method } => {
                let name = format!("{neighbour}/{method}");
                let attributes = vec![KeyValue::new("rpc.system", "eshopz"), KeyValue::new("rpc.method", name.clone())];
                (name.into(), SpanKind::Client, attributes)
            }
            Self::Gateway { name } => (name.into(), SpanKind::Client, vec![KeyValue::new("peer.service", name)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use opentelemetry::Context;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::Span;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// Keeps what it is handed.
    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Kept {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span);
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    fn export(share: f64) -> (Export, Kept) {
        let kept = Kept::default();
        (Export::to(kept.clone(), share), kept)
    }

    fn work(place: Place, failed: Option<Cow<'static, str>>) -> Work {
        let (began, name) = (Instant::now(), "POST /api/v1/orders".to_owned());
        Work { place, began, name, kind: SpanKind::Server, attributes: Vec::new(), failed }
    }

    #[test]
    fn a_place_is_after_the_one_it_came_from() {
        let place = Place::after(Some(PARENT));
        assert_eq!((place.trace, place.parent), (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad_6b71_6920_3331));
        assert_ne!(place.span, place.parent);
        assert!(!place.sampled, "nobody has spans kept by asking for it");
        let told = place.traceparent();
        assert_eq!(told, format!("00-0af7651916cd43dd8448eb211c80319c-{:016x}-00", place.span));
        assert_eq!(read(&told), Some((place.trace, place.span)));
        let first = Place::after(None);
        assert_eq!(first.parent, 0);
        assert_ne!(first.trace, Place::after(None).trace);
    }

    #[test]
    fn a_traceparent_names_a_trace_and_a_span() {
        assert_eq!(id_in(PARENT), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(read(PARENT), Some((0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad_6b71_6920_3331)));
        for nothing in ["", "00", "00-0af7651916cd43dd8448eb211c80319c", "00-x-b7ad6b7169203331-01", "nonsense"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn as_many_traces_are_chosen_as_was_asked_for() {
        let chosen = |share, trace| export(share).0.chooses(trace);
        assert!(chosen(1.0, u128::MAX) && chosen(2.0, u128::MAX) && !chosen(0.0, 0) && !chosen(-1.0, 0));
        let low = |number: u64| (7 << 64) | u128::from(number);
        assert!(chosen(0.5, low(u64::MAX / 2)) && !chosen(0.5, low(u64::MAX / 2 + 1)), "by the last eight bytes");
        let twentieth = export(0.05).0;
        let ids = (0..10_000_u64).map(|number| low(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let count = ids.filter(|id| twentieth.chooses(*id)).count();
        assert!((450..550).contains(&count), "{count} of 10000");
    }

    #[test]
    fn steps_are_below_what_they_were_done_for() {
        let (export, kept) = export(0.0);
        let place = Place { sampled: true, ..Place::after(Some(PARENT)) };
        let work = work(place, None);
        let name = Arc::from("INSERT orders");
        let (calling, told) = (Calling::of(&place.traceparent()).unwrap(), place.traceparent());
        let steps = vec![
            Step::since(work.began, What::Statement { module: "order", name }, false),
            calling.0.ended("cart", "for_checkout", true),
        ];
        export.take(work, steps);
        let spans = kept.0.lock().unwrap().clone();
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(names, ["INSERT orders", "cart/for_checkout", "POST /api/v1/orders"]);
        let [statement, call, whole] = spans.as_slice() else { panic!("{spans:?}") };
        assert!(spans.iter().all(|span| span.span_context.trace_id() == TraceId::from(place.trace)));
        assert!(spans.iter().all(|span| span.span_context.is_sampled()), "or else the processor drops it");
        assert!(spans.iter().all(|span| span.start_time >= whole.start_time && span.end_time <= whole.end_time));
        let own = SpanId::from(place.span);
        assert_eq!((statement.parent_span_id, call.parent_span_id, whole.span_context.span_id()), (own, own, own));
        assert_eq!((whole.parent_span_id, whole.parent_span_is_remote), (SpanId::from(place.parent), true));
        assert_eq!((&statement.status, &call.status), (&Status::Unset, &Status::error("")));
        assert_eq!(id_in(&calling.1), id_in(&told));
        assert_eq!(read(&calling.1).map(|(_, span)| SpanId::from(span)), Some(call.span_context.span_id()));
    }

    #[test]
    fn what_failed_is_kept_and_the_rest_only_if_it_was_chosen() {
        let (export, kept) = export(0.0);
        let place = Place::after(Some(PARENT));
        export.take(work(place, None), Vec::new());
        assert!(kept.0.lock().unwrap().is_empty());
        export.take(work(place, Some("orders.broken".into())), Vec::new());
        let statuses: Vec<Status> = kept.0.lock().unwrap().iter().map(|span| span.status.clone()).collect();
        assert_eq!(statuses, [Status::error("orders.broken")]);
    }
}
