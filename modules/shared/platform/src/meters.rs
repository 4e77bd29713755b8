//! What is measured: each metric is declared once, in the crate that measures it, and what is declared is what
//! `/metrics` describes and `docs/metrics.md` lists.
//!
//! Names and units are Prometheus' (<https://prometheus.io/docs/practices/naming/>): seconds, and `_total` for what
//! only grows. Every metric has the label `module`; no label has values that a client can make up.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// As the exposition format has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A label beside `module`.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    pub name: &'static str,
    /// All that it can be, or none where that depends on what runs.
    pub values: &'static [&'static str],
}

/// A label with any value of a bounded set that is not known here, such as routes.
#[must_use]
pub const fn label(name: &'static str) -> Label {
    Label { name, values: &[] }
}

/// A label with one of these values.
#[must_use]
pub const fn one_of(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values }
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [Label],
    /// One sentence, with the unit where the name does not say it.
    pub about: &'static str,
}

impl Metric {
    #[must_use]
    pub const fn counter(name: &'static str, labels: &'static [Label], about: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels, about }
    }

    #[must_use]
    pub const fn gauge(name: &'static str, labels: &'static [Label], about: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, labels, about }
    }

    #[must_use]
    pub const fn histogram(name: &'static str, labels: &'static [Label], about: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, labels, about }
    }

    /// Tells the recorder what this is.
    pub fn describe(&self) {
        match self.kind {
            Kind::Counter => metrics::describe_counter!(self.name, self.about),
            Kind::Gauge => metrics::describe_gauge!(self.name, self.about),
            Kind::Histogram => metrics::describe_histogram!(self.name, self.about),
        }
    }

    /// A counter whose labels are all known begins with 0: one that appears with its first 1 has no increase that
    /// Prometheus could see, and a query for what has not happened yet would find nothing.
    pub fn begin(&self, module: &'static str) {
        if self.kind != Kind::Counter || self.labels.iter().any(|label| label.values.is_empty()) {
            return;
        }
        let mut all = vec![vec![("module", module)]];
        for label in self.labels {
            let with = |known: &Vec<_>, value| known.iter().copied().chain([(label.name, value)]).collect();
            all = all.iter().flat_map(|known| label.values.iter().map(move |value| with(known, *value))).collect();
        }
        for labels in all {
            metrics::counter!(self.name, &labels).absolute(0);
        }
    }
}

/// What is looked at whenever somebody reads the metrics: queues and pools, whose length is of use only at that moment.
/// Clones share it.
#[derive(Clone, Default)]
pub struct Observers(Arc<Mutex<Vec<Observer>>>);

type Observer = Box<dyn Fn() + Send>;

impl Observers {
    /// `look` sets gauges, and waits for nothing.
    pub fn add(&self, look: impl Fn() + Send + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(look));
    }

    /// Looks at all.
    pub fn look(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|look| look());
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers").finish_non_exhaustive()
    }
}

/// A count as gauges have it; far more than there can be is as good as the exact figure.
#[must_use]
pub fn gauge(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// What this crate measures, in each module or in the whole process.
pub const METRICS: &[Metric] = &[
    Metric::histogram(
        "eshopz_http_request_duration_seconds",
        &[label("method"), label("route"), one_of("status_class", &["1xx", "2xx", "3xx", "4xx", "5xx"])],
        "From the head of a request to the head of its answer.",
    ),
    Metric::counter(
        "eshopz_http_responses_total",
        &[label("method"), label("route"), label("status")],
        "Answers, by their status code.",
    ),
    Metric::histogram(
        "eshopz_http_db_statements",
        &[label("method"), label("route"), label("status")],
        "Statements that a request sends to PostgreSQL.",
    ),
    Metric::histogram(
        "eshopz_http_db_commits",
        &[label("method"), label("route"), label("status")],
        "Transactions of a request that PostgreSQL has to keep.",
    ),
    Metric::gauge("eshopz_http_connections", &[], "Open connections of the public listener."),
    Metric::counter(
        "eshopz_http_shut_total",
        &[label("reason")],
        "Connections that were closed on somebody who kept others waiting.",
    ),
    Metric::histogram(
        "eshopz_db_statement_duration_seconds",
        &[label("statement")],
        "From sending a statement to the end of its answer. A statement is named by what it does with which tables.",
    ),
    Metric::counter("eshopz_db_statements_total", &[], "Statements sent, those of jobs and relays included."),
    Metric::counter("eshopz_db_commits_total", &[], "Transactions that PostgreSQL has to keep."),
    Metric::counter(
        "eshopz_db_reads_total",
        &[one_of("from", &["reader", "writer"])],
        "Reads that a replica may answer, by who did.",
    ),
    Metric::histogram(
        "eshopz_db_acquire_duration_seconds",
        &[POOL],
        "Until a connection was lent, its opening included; also of those who got none.",
    ),
    Metric::counter("eshopz_db_acquire_failures_total", &[POOL], "Times that no connection was to be had."),
    Metric::gauge(
        "eshopz_db_pool_connections",
        &[POOL, one_of("state", &["idle", "used"])],
        "Open connections of a pool.",
    ),
    Metric::gauge("eshopz_db_pool_connections_max", &[POOL], "Connections that a pool may open."),
    Metric::gauge("eshopz_db_pool_waiting", &[POOL], "Requests that wait for a connection."),
    Metric::counter(
        "eshopz_cache_requests_total",
        &[label("cache"), one_of("level", &["memory", "redis"]), one_of("outcome", &["away", "hit", "miss"])],
        "Looks into a cache: in the process (memory), then in Redis.",
    ),
    Metric::gauge("eshopz_redis_up", &[], "1 while Redis answers; there is none without a Redis."),
    Metric::gauge("eshopz_outbox_pending", &[], "Events that are not delivered to everybody yet."),
    Metric::gauge("eshopz_outbox_dead", &[], "Deliveries that were given up: dead letters."),
    Metric::gauge("eshopz_outbox_lag_seconds", &[], "How long the oldest event waits that is not delivered yet."),
    Metric::counter("eshopz_events_published_total", &[label("event")], "Events that a relay has taken up."),
    Metric::counter(
        "eshopz_event_deliveries_total",
        &[label("event"), label("listener"), label("outcome")],
        "Attempts to deliver an event to a listener.",
    ),
    Metric::histogram(
        "eshopz_event_handler_duration_seconds",
        &[label("event"), label("listener")],
        "What a listener took for an event.",
    ),
    Metric::histogram(
        "eshopz_events_lag_seconds",
        &[label("listener")],
        "From the transaction that published an event to the end of what a listener did about it.",
    ),
    Metric::counter("eshopz_job_runs_total", &[label("job"), label("outcome")], "Runs of periodic work."),
    Metric::histogram("eshopz_job_duration_seconds", &[label("job")], "What a run of periodic work took."),
    Metric::histogram(
        "eshopz_wire_call_duration_seconds",
        &[label("neighbour"), label("method"), one_of("outcome", &["answered", "failed", "fault"])],
        "Calls of a module that runs in another process.",
    ),
    Metric::counter(
        "eshopz_wire_retries_total",
        &[label("neighbour"), label("method")],
        "Calls of another process that were tried a second time.",
    ),
    Metric::gauge(
        "eshopz_wire_breaker_open",
        &[label("neighbour")],
        "1 while calls of a module that does not answer fail at once.",
    ),
];

const POOL: Label = one_of("pool", &["reader", "writer"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_prometheus() {
        for metric in METRICS {
            assert!(metric.name.starts_with("eshopz_"), "{metric:?}");
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{metric:?}");
            assert!(metric.about.ends_with('.'), "{metric:?}");
        }
    }
}
