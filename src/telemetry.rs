//! Logs and metrics of the process.

use std::io::IsTerminal as _;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Upper bounds of the duration histograms, in seconds.
const DURATION_BUCKETS: [f64; 14] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds of how many statements a request sends to the database, and of its commits.
const STATEMENT_BUCKETS: [f64; 11] = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0];

/// Between two times that what histograms have gathered is added up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Libraries that put what they send and receive into their lower levels: credentials, statements with their
/// parameters, whole answers. No `RUST_LOG` gets more than `info` out of them.
const TALKATIVE: [&str; 9] =
    ["aws_", "h2", "hyper", "reqwest", "rustls", "tokio_postgres", "postgres_protocol", "redis", "actix_http"];

/// Logs to standard error, readable on a terminal and as JSON otherwise. `RUST_LOG` sets the level.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn,eshopz_platform::http::middleware=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let discreet = filter_fn(|metadata| *metadata.level() <= Level::INFO || !is_talkative(metadata.target()));
    let installed = if std::io::stderr().is_terminal() {
        builder.with_target(false).compact().finish().with(discreet).try_init()
    } else {
        let builder = builder.json().flatten_event(true).with_current_span(true).with_span_list(false);
        builder.finish().with(discreet).try_init()
    };
    if installed.is_err() {
        tracing::debug!("logging was set up before");
    }
}

fn is_talkative(target: &str) -> bool {
    TALKATIVE.iter().any(|name| target.starts_with(name))
}

/// Makes the process's metrics recorder; `/metrics` renders it.
///
/// # Errors
/// When a recorder is installed already.
pub fn record_metrics() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), &DURATION_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full("eshopz_events_lag_seconds".to_owned()), &DURATION_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full("eshopz_http_db_statements".to_owned()), &STATEMENT_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full("eshopz_http_db_commits".to_owned()), &STATEMENT_BUCKETS)?;
    Ok(builder.install_recorder()?)
}

/// Adds up what histograms have gathered, for ever: each measured value takes room until somebody reads the
/// metrics or this is done, and nobody need read them.
pub async fn keep_up(metrics: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}
