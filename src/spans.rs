//! Where the spans of this process go: to an OpenTelemetry collector, by OTLP over HTTP.

use std::time::Duration;

use actix_web::http::Uri;
use eshopz_platform::trace;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanProcessor as _};

use crate::cli::WrongCall;
use crate::config::RuntimeArgs;
use crate::modules::Module;

/// How long a collector may take to accept some spans. Nobody waits for it but other spans, of which the first ones are
/// dropped when there are too many.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the process has to send its last spans when it ends.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Sends spans there, if that was asked for.
///
/// # Errors
/// When the address cannot be read.
pub fn begin(runtime: &RuntimeArgs, selected: &[Module]) -> anyhow::Result<()> {
    let Some(url) = &runtime.otlp_url else { return Ok(()) };
    let is_address = url.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
    if !is_address {
        let advice =
            "is no address such as http://collector:4318; the collector is beside the shop, and takes OTLP over HTTP";
        return Err(WrongCall(format!("ESHOPZ_OTLP_URL: `{url}` {advice}")).into());
    }
    let endpoint = format!("{}/v1/traces", url.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).with_timeout(PATIENCE).build()?;
    let mut processor = BatchSpanProcessor::builder(exporter).build();
    processor.set_resource(
        &Resource::builder_empty()
            .with_service_name(name_of(selected))
            .with_attribute(opentelemetry::KeyValue::new("service.namespace", "eshopz"))
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build(),
    );
    trace::export_to(processor, runtime.trace_sample);
    Ok(())
}

/// A process of one module has its name; one of several is the shop.
fn name_of(selected: &[Module]) -> &'static str {
    match selected {
        [one] => one.name(),
        _ => "eshopz",
    }
}

/// Sends the last of them.
pub async fn end() {
    if trace::is_on() {
        // It waits for a thread.
        let _ = tokio::task::spawn_blocking(|| trace::end(LAST_SPANS)).await;
    }
}
