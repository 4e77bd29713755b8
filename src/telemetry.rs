//! Logs of the process.
//!
//! On a terminal they are to be read, and JSON otherwise, a line each, with what ties a line to others at its top:
//! `request_id`, `trace_id` (W3C Trace Context), `module`, and `actor_id` for whoever is signed in.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use eshopz_platform::context;
use json_subscriber::JsonLayer;
use tracing::{Event, Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt as readable, reload};

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "info,actix_server=warn,eshopz_platform::http::middleware=warn";

/// Libraries that put what they send and receive into their lower levels: credentials, statements with their
/// parameters, whole answers. No `RUST_LOG` gets more than `info` out of them.
const TALKATIVE: [&str; 9] =
    ["aws_", "h2", "hyper", "reqwest", "rustls", "tokio_postgres", "postgres_protocol", "redis", "actix_http"];

/// Where logs go: what a command prints is for somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Standard,
    Error,
}

impl Output {
    fn is_terminal(self) -> bool {
        match self {
            Self::Standard => io::stdout().is_terminal(),
            Self::Error => io::stderr().is_terminal(),
        }
    }

    fn writer(self) -> Box<dyn io::Write> {
        match self {
            Self::Standard => Box::new(io::stdout()),
            Self::Error => Box::new(io::stderr()),
        }
    }
}

/// What is logged, which can be changed while the process runs. Clones share it.
#[derive(Clone)]
pub struct LogFilter(Option<Arc<reload::Handle<EnvFilter, Registry>>>);

impl LogFilter {
    /// As `RUST_LOG` has it.
    #[must_use]
    pub fn get(&self) -> String {
        self.0.as_ref().and_then(|handle| handle.with_current(ToString::to_string).ok()).unwrap_or_default()
    }

    /// Takes `text`, as `RUST_LOG` has it, in place of what was before, until the process ends.
    ///
    /// # Errors
    /// When it cannot be read; with what is wrong with it.
    pub fn set(&self, text: &str) -> Result<(), String> {
        // Both are filters by which nothing but errors is logged, and neither is what was meant.
        if text.is_empty() || text.contains(char::is_control) {
            return Err("an empty filter, or one with line feeds in it".to_owned());
        }
        let filter = EnvFilter::builder().parse(text).map_err(|error| error.to_string())?;
        let handle = self.0.as_ref().ok_or("logging was set up by somebody else")?;
        handle.reload(filter).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogFilter").field(&self.get()).finish()
    }
}

/// Begins to log. `RUST_LOG` sets the level.
#[must_use]
pub fn log(output: Output) -> LogFilter {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let (filter, handle) = reload::Layer::new(filter);
    let discreet = filter_fn(|metadata| *metadata.level() <= Level::INFO || !is_talkative(metadata.target()));
    let written: Box<dyn Layer<_> + Send + Sync> = if output.is_terminal() {
        readable::layer().with_writer(move || output.writer()).with_target(false).compact().boxed()
    } else {
        json(output).boxed()
    };
    if tracing_subscriber::registry().with(filter).with(discreet).with(written).try_init().is_err() {
        tracing::debug!("logging was set up before");
        return LogFilter(None);
    }
    LogFilter(Some(Arc::new(handle)))
}

fn is_talkative(target: &str) -> bool {
    TALKATIVE.iter().any(|name| target.starts_with(name))
}

fn json<S>(output: Output) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a> + Send + Sync,
{
    let mut layer = JsonLayer::new(move || output.writer());
    layer.with_timer("timestamp", SystemTime);
    layer.with_level("level");
    layer.with_target("target");
    layer.with_flattened_event();
    layer.with_current_span("span");
    layer.add_multiple_dynamic_fields(|event: &Event<'_>, _, writer| {
        let (metadata, text) = (event.metadata(), |text: String| Some(text).filter(|text| !text.is_empty()));
        let ties = [
            ("request_id", text(context::current_request_id())),
            ("trace_id", text(context::trace_id())),
            ("module", module_of(metadata).map(str::to_owned)),
            ("actor_id", context::actor().and_then(|actor| actor.id())),
        ];
        for (name, value) in ties {
            // The event's own comes first: no key may be there twice.
            if let Some(value) = value.filter(|_| metadata.fields().field(name).is_none()) {
                let _ = writer.write_field(name, value);
            }
        }
    });
    layer
}

/// The module whose code tells.
fn module_of(metadata: &Metadata<'_>) -> Option<&'static str> {
    let krate = metadata.target().split("::").next()?.strip_prefix("eshopz_")?;
    crate::modules::Module::ALL.into_iter().map(crate::modules::Module::name).find(|name| *name == krate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        let filter = LogFilter(None);
        assert!(filter.set("eshopz=loud").unwrap_err().contains("level filter"), "{:?}", filter.set("eshopz=loud"));
        assert_eq!(filter.set("debug").unwrap_err(), "logging was set up by somebody else");
    }
}
