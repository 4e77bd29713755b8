//! Metrics of the process: what records them, what is read of them, and the list of all that there are.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use eshopz_platform::meters::{Metric, Observers, label, one_of};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use crate::compose::Shop;
use crate::config::Switch;
use crate::modules::Module;

/// Upper bounds of the duration histograms, in seconds.
const DURATION_BUCKETS: [f64; 14] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Of what may be done within microseconds.
const SHORT_BUCKETS: [f64; 12] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0];

/// Upper bounds of how many statements a request sends to the database, and of its commits.
const STATEMENT_BUCKETS: [f64; 11] = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0];

/// Between two times that what histograms have gathered is added up.
const UPKEEP: Duration = Duration::from_secs(5);

/// What the binary measures itself.
const OWN: &[Metric] = &[
    Metric::gauge(
        "eshopz_build_info",
        &[label("version"), label("commit")],
        "Always 1; its labels tell what runs here.",
    ),
    Metric::counter(
        "eshopz_secrets_looks_total",
        &[one_of("outcome", &["changed", "failed", "unchanged"])],
        "Looks at AWS Secrets Manager.",
    ),
];

/// What is known of the process, under the names that all programs have for it
/// (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).
const PROCESS: &[Metric] = &[
    Metric::counter("process_cpu_seconds_total", &[], "Processor time taken, of the system and its own."),
    Metric::gauge("process_max_fds", &[], "File descriptors that it may open."),
    Metric::gauge("process_open_fds", &[], "Open file descriptors."),
    Metric::gauge("process_resident_memory_bytes", &[], "Memory that it has."),
    Metric::gauge("process_start_time_seconds", &[], "When it was started, in seconds since 1970."),
    Metric::gauge("process_threads", &[], "Its threads."),
    Metric::gauge("process_virtual_memory_bytes", &[], "Addresses that it has."),
    Metric::gauge("process_virtual_memory_max_bytes", &[], "Addresses that it may have."),
];

/// What a module measures beside what all do.
const fn of(module: Module) -> &'static [Metric] {
    match module {
        Module::User => eshopz_user::METRICS,
        Module::Product => eshopz_product::METRICS,
        Module::Cart => eshopz_cart::METRICS,
        Module::Payment => eshopz_payment::METRICS,
        Module::Order => eshopz_order::METRICS,
    }
}

/// All that there are, in groups with a title.
#[must_use]
pub fn groups() -> Vec<(&'static str, Vec<&'static Metric>)> {
    let platform = |part: &str| -> Vec<&'static Metric> {
        let prefix = format!("eshopz_{part}");
        eshopz_platform::meters::METRICS.iter().filter(|metric| metric.name.starts_with(&prefix)).collect()
    };
    let mut groups: Vec<_> =
        Module::ALL.into_iter().map(|module| (module.name(), of(module).iter().collect())).collect();
    groups.extend([
        ("Requests", platform("http")),
        ("PostgreSQL", platform("db")),
        ("Caches and Redis", [platform("cache"), platform("redis")].concat()),
        ("Events and jobs", [platform("outbox"), platform("event"), platform("job")].concat()),
        ("Queues", eshopz_aws::METRICS.iter().collect()),
        ("Calls between processes", platform("wire")),
        ("Process", OWN.iter().chain(PROCESS).collect()),
    ]);
    groups
}

/// The recorder of this process, if anything is measured. Every metric has the label `module`: where it is not one module's,
/// those that run here.
///
/// # Errors
/// When a recorder is installed already.
pub fn record(selected: &[Module], measures: Switch) -> anyhow::Result<Meters> {
    if measures == Switch::Off {
        let recorded = PrometheusBuilder::new().build_recorder().handle();
        return Ok(Meters { recorded, observers: Observers::default(), process: Arc::default() });
    }
    let builder = PrometheusBuilder::new()
        .add_global_label("module", of_all(selected))
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), &DURATION_BUCKETS)?
        .set_buckets_for_metric(Matcher::Prefix("eshopz_db_".to_owned()), &SHORT_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full("eshopz_events_lag_seconds".to_owned()), &DURATION_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full("eshopz_http_db_statements".to_owned()), &STATEMENT_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full("eshopz_http_db_commits".to_owned()), &STATEMENT_BUCKETS)?;
    let meters =
        Meters { recorded: builder.install_recorder()?, observers: Observers::default(), process: Arc::default() };
    groups().into_iter().flat_map(|(_, metrics)| metrics).for_each(Metric::describe);
    for module in selected {
        of(*module).iter().for_each(|metric| metric.begin(module.name()));
    }
    let commit = option_env!("ESHOPZ_COMMIT").unwrap_or("unknown");
    metrics::gauge!("eshopz_build_info", "version" => env!("CARGO_PKG_VERSION"), "commit" => commit).set(1.0);
    Ok(meters)
}

fn of_all(selected: &[Module]) -> String {
    if selected.len() == Module::ALL.len() {
        return "all".to_owned();
    }
    selected.iter().map(|module| module.name()).collect::<Vec<_>>().join("+")
}

/// What is measured, and what is looked at when somebody asks. Clones share it.
#[derive(Clone)]
pub struct Meters {
    recorded: PrometheusHandle,
    observers: Observers,
    process: Arc<Collector>,
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

impl Meters {
    /// All of it in Prometheus' text format.
    #[must_use]
    pub fn read(&self) -> String {
        self.process.collect();
        self.observers.look();
        self.recorded.render()
    }

    /// From now on the shop's queues and pools are part of it.
    pub fn observe(&self, shop: &Shop) {
        for (_, db) in shop.pools() {
            let db = db.clone();
            self.observers.add(move || db.observe());
        }
        if let Some(user) = shop.user.clone() {
            self.observers.add(move || user.observe());
        }
    }

    /// Adds up what histograms have gathered, for ever: each measured value takes room until somebody reads the
    /// metrics or this is done, and nobody need read them.
    pub async fn keep_up(self) {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            self.recorded.run_upkeep();
        }
    }
}

/// `docs/metrics.md`.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(HEAD);
    for (title, metrics) in groups() {
        let module = Module::ALL.iter().any(|module| module.name() == title);
        let title = if module { format!("Module `{title}`") } else { title.to_owned() };
        let _ = write!(text, "\n## {title}\n\n| name | kind | labels | what |\n|---|---|---|---|\n");
        let sorted: BTreeMap<_, _> = metrics.into_iter().map(|metric| (metric.name, metric)).collect();
        for metric in sorted.into_values() {
            let labels: Vec<String> = metric.labels.iter().map(|label| described(label.name, label.values)).collect();
            let Metric { name, kind, about, .. } = metric;
            let _ = writeln!(text, "| `{name}` | {} | {} | {about} |", kind.name(), labels.join(", "));
        }
    }
    text
}

fn described(name: &str, values: &[&str]) -> String {
    if values.is_empty() { format!("`{name}`") } else { format!("`{name}` ({})", values.join(", ")) }
}

const HEAD: &str = "# Metrics

Written by `eshopz metrics`; a test compares. Each process answers `GET /metrics` on its management listener, in
Prometheus' text format.

Every metric has the label `module`: `user`, `product`, `cart`, `payment` or `order` where it is one module's, `edge` for
requests that belong to none, and else the modules of the process, joined by `+`, or `all`. No label has values that a client
can make up: what matches no route has the route `unmatched`, an unknown method is `other`. Durations are in seconds, money is in
minor units. Counters with no or known labels begin with 0.
";

#[cfg(test)]
mod tests {
    use eshopz_platform::meters::Kind;

    use super::*;

    #[test]
    fn each_is_declared_once() {
        let all: Vec<_> = groups().into_iter().flat_map(|(_, metrics)| metrics).collect();
        let names: std::collections::BTreeSet<_> = all.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), all.len());
        let grouped =
            all.iter().filter(|metric| eshopz_platform::meters::METRICS.iter().any(|own| own.name == metric.name));
        assert_eq!(grouped.count(), eshopz_platform::meters::METRICS.len(), "one is in no group");
        for metric in &all {
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        }
    }

    #[test]
    fn a_process_is_named_by_its_modules() {
        assert_eq!(of_all(&Module::ALL), "all");
        assert_eq!(of_all(&[Module::Cart, Module::Order]), "cart+order");
    }
}
