//! Logs of the process.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

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
