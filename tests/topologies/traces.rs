//! Spans, as a collector of OpenTelemetry receives them: whatever is done for one checkout is one tree, in every topology.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use prost::Message as _;

use super::slot;
use crate::support::{Deployment, Events, Plan, Topology, single_port};

/// A span as the test looks at it.
#[derive(Clone, Debug)]
struct Span {
    service: String,
    name: String,
    id: Vec<u8>,
    parent: Vec<u8>,
    trace: String,
    failed: bool,
    values: BTreeMap<String, String>,
}

/// A collector that keeps all that it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

impl Collector {
    /// Gives its address.
    fn start(&self) -> String {
        let (kept, port) = (self.clone(), single_port());
        let server = HttpServer::new(move || {
            let kept = kept.clone();
            App::new().app_data(web::PayloadConfig::new(16 << 20)).route(
                "/v1/traces",
                web::post().to(move |body: web::Bytes| {
                    kept.take(&body);
                    async { HttpResponse::Ok().content_type("application/x-protobuf").body(Vec::new()) }
                }),
            )
        });
        drop(tokio::spawn(server.workers(1).disable_signals().bind(("127.0.0.1", port)).unwrap().run()));
        format!("http://127.0.0.1:{port}")
    }

    fn take(&self, body: &[u8]) {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        for of_resource in request.resource_spans {
            let attributes = of_resource.resource.unwrap().attributes;
            let service = values(&attributes).remove("service.name").unwrap();
            for span in of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans) {
                let trace = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
                let failed = span.status.is_some_and(|status| status.code == 2);
                let (name, id, parent) = (span.name, span.span_id, span.parent_span_id);
                let values = values(&span.attributes);
                self.0.lock().unwrap().push(Span { service: service.clone(), name, id, parent, trace, failed, values });
            }
        }
    }

    fn of_trace(&self, trace: &str) -> Vec<Span> {
        self.0.lock().unwrap().iter().filter(|span| span.trace == trace).cloned().collect()
    }

    /// Waits until a trace has these spans.
    async fn until(&self, trace: &str, wanted: &[(&str, &str)]) {
        let started = Instant::now();
        loop {
            let spans = self.of_trace(trace);
            let Some((service, part)) = wanted.iter().find(|(service, part)| !has(&spans, service, part)) else {
                return;
            };
            assert!(started.elapsed() < Duration::from_secs(45), "no {part} of {service} in {spans:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn has(spans: &[Span], service: &str, part: &str) -> bool {
    spans.iter().any(|span| span.service == service && span.name.contains(part))
}

/// What a process is told: where to send them, how many, and not to wait long for more of them.
fn environment(collector: &Collector, share: &str) -> Vec<(&'static str, String)> {
    vec![
        ("ESHOPZ_OTLP_URL", collector.start()),
        ("ESHOPZ_TRACE_SAMPLE", share.to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ]
}

fn values(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue]) -> BTreeMap<String, String> {
    let text = |value: Any| match value {
        Any::StringValue(text) => text,
        Any::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |of: &opentelemetry_proto::tonic::common::v1::KeyValue| of.value.clone().and_then(|value| value.value);
    attributes.iter().filter_map(|of| Some((of.key.clone(), text(value(of)?)))).collect()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Some of what is done for a checkout, and in which process.
const WANTED: [(&str, &str); 7] = [
    ("order", "INSERT"),
    ("order", "cart/"),
    ("cart", "POST /internal/v1/cart/"),
    ("product", "UPDATE"),
    ("payment", "INSERT payments"),
    ("payment", "sandbox"),
    ("order", "order.placed.v1"),
];

/// Buys something in five processes, with every trace kept. Gives its spans, and what was sent for it.
async fn one_checkout(events: Events) -> (Vec<Span>, Vec<String>) {
    let collector = Collector::default();
    let environment = environment(&collector, "1");
    let _slot = slot().await;
    let mut shop = Deployment::start(Plan { events, redis: true, environment, ..Plan::of(Topology::five()) }).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 5).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 2)]).await;
    let order = serde_json::json!({
        "cart_id": cart, "email": "guest@example.com", "shipping_address": crate::support::address(),
        "payment_method": "pm_card_visa",
    });
    let parent = format!("00-{TRACE}-b7ad6b7169203331-00");
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "order"), ("traceparent", parent.as_str())];
    shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
    shop.is_told_all().await;
    collector.until(TRACE, &WANTED).await;
    // What they have not sent yet they send when they end.
    for process in &mut shop.processes {
        process.terminate().await;
    }
    let mut sent = vec![token, "guest@example.com".to_owned(), "pm_card".to_owned(), "Linen".to_owned()];
    let address = crate::support::address();
    // A country is two letters, which may be anywhere.
    let parts = address.as_object().unwrap().values().filter_map(|part| part.as_str());
    sent.extend(parts.filter(|part| part.len() > 3).map(str::to_owned));
    (collector.of_trace(TRACE), sent)
}

fn is_one_tree((spans, sent): &(Vec<Span>, Vec<String>)) {
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| span.id.as_slice()).collect();
    assert_eq!(ids.len(), spans.len(), "each span is sent once");
    let roots: Vec<&Span> = spans.iter().filter(|span| !ids.contains(span.parent.as_slice())).collect();
    assert_eq!(roots.len(), 1, "one root in {spans:#?}");
    assert_eq!((roots[0].name.as_str(), roots[0].service.as_str()), ("POST /api/v1/orders", "order"));
    assert_eq!(roots[0].parent, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31], "the consumer's");
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    assert!(services.is_superset(&["cart", "order", "payment", "product"].into()), "{services:?}");
    let told = format!("{spans:?}");
    for value in sent {
        assert!(!told.contains(value.as_str()), "{value} is nobody's business: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_checkout_is_one_tree_across_five_processes() {
    is_one_tree(&one_checkout(Events::Local).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_checkout_is_one_tree_through_queues() {
    is_one_tree(&one_checkout(Events::Sns).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_kept_and_of_the_rest_what_was_asked_for() {
    let collector = Collector::default();
    let environment = environment(&collector, "0");
    let _slot = slot().await;
    let mut shop =
        Deployment::start(Plan { environment, ..Plan::of(Topology::without(&[eshopz::modules::Module::Product])) })
            .await;
    let asked = format!("00-{TRACE}-b7ad6b7169203331-01");
    shop.send("GET", "/api/v1/categories", &[("traceparent", &asked)], None).await;
    shop.process(eshopz::modules::Module::Product).kill();
    let cart = shop.send("POST", "/api/v1/carts", &[], Some(serde_json::json!({}))).await.expect(201);
    let line = serde_json::json!({"variant_id": "0197c0de-0000-7000-8000-000000000001", "quantity": 1});
    let failing = "00-11111111111111111111111111111111-b7ad6b7169203331-00";
    let headers = [("x-cart-token", cart["token"].as_str().unwrap()), ("traceparent", failing)];
    let path = format!("/api/v1/carts/{}/items", cart["id"].as_str().unwrap());
    shop.send("POST", &path, &headers, Some(line)).await.expect(503);
    shop.process(eshopz::modules::Module::Cart).terminate().await;
    assert!(collector.of_trace(TRACE).is_empty(), "nobody has a trace kept by asking for it");
    let kept = collector.of_trace("11111111111111111111111111111111");
    let failed = kept.iter().find(|span| span.name == "POST /api/v1/carts/{id}/items").unwrap();
    assert!(failed.failed && failed.values["http.response.status_code"] == "503", "{failed:?}");
    assert!(kept.iter().any(|span| span.name.starts_with("product/") && span.failed), "{kept:#?}");
}
