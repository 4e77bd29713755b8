//! Around what a listener does about an event: the context of the request that caused it, its span, and a net for its panics.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;

use eshopz_kernel::{EventEnvelope, Fault};
use futures::FutureExt as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::is_postponed;
use crate::context::RequestContext;
use crate::trace::{self, Place, Work};

/// An attempt to have an event taken in.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    pub event: &'a EventEnvelope,
    pub listener: &'a str,
    /// From 1.
    pub number: u32,
    pub deadline: Instant,
}

impl Attempt<'_> {
    /// Does the work in the context of the request that caused the event; a panic in it is a fault.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn guard(self, work: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
        let Self { event, listener, number, deadline } = self;
        let began = std::time::Instant::now();
        let place = trace::is_on().then(|| Place::after(event.traceparent.as_deref()));
        let context = RequestContext {
            request_id: event.id.to_string(),
            traceparent: place.map_or_else(|| event.traceparent.clone(), |place| Some(place.traceparent())),
            deadline: Some(deadline),
            ..RequestContext::default()
        };
        let span = tracing::info_span!(
            "deliver", event = %event.name, event_id = %event.id, listener = %listener, attempt = number
        );
        let work = AssertUnwindSafe(work).catch_unwind();
        let (caught, noted) = context.counted(work).instrument(span).await;
        let outcome = caught.unwrap_or_else(|_| Err(Fault::internal("the listener panicked")));
        if let Some(place) = place {
            let failed = outcome.as_ref().err().filter(|fault| is_postponed(fault).is_none());
            let attributes = vec![
                KeyValue::new("messaging.operation.type", "process"),
                KeyValue::new("messaging.message.id", event.id.to_string()),
                KeyValue::new("messaging.destination.name", event.name.clone()),
                KeyValue::new("eshopz.listener", listener.to_owned()),
                KeyValue::new("eshopz.attempt", i64::from(number)),
            ];
            let failed = failed.map(|fault| Cow::Owned(fault.code.to_string()));
            let name = format!("{} {listener}", event.name);
            Work { place, began, name, kind: SpanKind::Consumer, attributes, failed }.end(noted.steps);
        }
        outcome
    }
}
