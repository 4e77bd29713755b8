//! The listeners of a process, what is around every request, and how it comes up and goes down.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError as _, web};
use anyhow::Context as _;
use eshopz_kernel::{Fault, FaultKind};
use eshopz_platform::cache::Throttle;
use eshopz_platform::home;
use eshopz_platform::http::connections::{Connections, note_requests};
use eshopz_platform::http::methods::method_not_allowed;
use eshopz_platform::http::middleware::request_context;
use eshopz_platform::http::{HttpFault, TrustedProxies};
use rustls::ServerConfig;
use serde_json::json;
use utoipa_actix_web::AppExt as _;

use crate::compose::Shop;
use crate::docs::Docs;
use crate::edge::{self, Edge, KnownPaths, Origins};
use crate::meters::Meters;
use crate::modules::Module;
use crate::openapi;
use crate::telemetry::LogFilter;

/// Whether the process wants traffic.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::SeqCst);
    }

    #[must_use]
    pub fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What the public listener needs to know.
#[derive(Debug)]
pub struct PublicListener {
    pub address: SocketAddr,
    pub workers: usize,
    pub grace: Duration,
    /// How long a connection is kept on which nothing is asked.
    pub keep_alive: Duration,
    pub client_limit: Option<Throttle>,
    pub proxies: TrustedProxies,
    pub origins: Origins,
    /// What it speaks TLS with, if it does.
    pub tls: Option<ServerConfig>,
    /// Whether clients are told to come by TLS only, although it is somebody before the shop who speaks it.
    pub behind_tls: bool,
}

/// Starts the public listener.
///
/// # Errors
/// When the address cannot be bound.
pub fn public(
    shop: &Shop,
    modules: &[Module],
    listener: PublicListener,
    readiness: &Readiness,
) -> anyhow::Result<Server> {
    let document = openapi::document(modules);
    let text = web::Bytes::from(openapi::to_json(&document)?);
    let authenticator = web::Data::new(shop.authenticator());
    let proxies = web::Data::new(listener.proxies);
    let edge = web::Data::new(Edge {
        limit: listener.client_limit,
        origins: listener.origins,
        tls: listener.tls.is_some() || listener.behind_tls,
        readiness: readiness.clone(),
        paths: KnownPaths::new(&document),
    });
    let shop = shop.clone();
    let docs = Docs::new();
    let connections = Connections::new(listener.keep_alive);
    let handshakes = connections.handshakes(listener.workers);
    let per_worker = connections.per_worker(listener.workers);
    let server = HttpServer::new(move || {
        // Here, in the worker's thread.
        home::settle();
        let text = text.clone();
        let (shop, docs) = (shop.clone(), docs.clone());
        App::new()
            .wrap(from_fn(edge::pass))
            .wrap(from_fn(request_context))
            .wrap(from_fn(note_requests))
            .app_data(authenticator.clone())
            .app_data(proxies.clone())
            .app_data(edge.clone())
            .into_utoipa_app()
            .configure(|cfg| shop.configure(cfg))
            .into_app()
            .route("/openapi.json", web::get().to(move || send_document(text.clone())))
            .configure(|cfg| docs.configure(cfg))
            .default_service(web::to(unmatched))
    })
    .on_connect(connections.on_connect())
    .keep_alive(listener.keep_alive)
    .workers(listener.workers)
    .max_connections(per_worker)
    .shutdown_timeout(listener.grace.as_secs())
    .disable_signals();
    let bound = match listener.tls {
        Some(tls) => server.max_connection_rate(handshakes).bind_rustls_0_23(listener.address, tls),
        None => server.bind(listener.address),
    };
    let server =
        bound.with_context(|| format!("cannot listen on {}; choose another with --listen", listener.address))?;
    Ok(server.run())
}

/// What the management listener tells of.
#[derive(Clone, Debug)]
pub struct Told {
    pub readiness: Readiness,
    pub meters: Meters,
    pub log: LogFilter,
}

/// The longest filter of the log, in bytes.
const LONGEST_FILTER: usize = 4 * 1024;

/// Starts the management listener: health, metrics, info, and what is logged.
///
/// # Errors
/// When the address cannot be bound.
pub fn management(address: SocketAddr, modules: &[Module], told: Told) -> anyhow::Result<Server> {
    let info = json!({
        "name": "eshopz",
        "version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("ESHOPZ_COMMIT").unwrap_or("unknown"),
        "modules": modules.iter().map(|module| module.name()).collect::<Vec<_>>(),
    });
    let server = HttpServer::new(move || {
        let (Told { readiness, meters, log }, info) = (told.clone(), info.clone());
        App::new()
            .wrap(DefaultHeaders::new().add((header::X_CONTENT_TYPE_OPTIONS, "nosniff")))
            .route("/health/live", web::get().to(|| async { HttpResponse::Ok().json(json!({ "status": "live" })) }))
            .route("/health/ready", web::get().to(move || answer_ready(readiness.get())))
            .route("/metrics", web::get().to(move || render(meters.read())))
            .service(
                web::resource("/log")
                    .app_data(web::PayloadConfig::new(LONGEST_FILTER))
                    .app_data(web::Data::new(log))
                    .route(web::get().to(tell_log))
                    .route(web::put().to(set_log)),
            )
            .route("/info", web::get().to(move || std::future::ready(HttpResponse::Ok().json(&info))))
    })
    .workers(1)
    .disable_signals()
    .bind(address)
    .with_context(|| format!("cannot listen on {address} for health and metrics; choose another port with --listen"))?;
    Ok(server.run())
}

async fn answer_ready(ready: bool) -> HttpResponse {
    if ready {
        HttpResponse::Ok().json(json!({ "status": "ready" }))
    } else {
        HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, "1"))
            .json(json!({ "status": "not ready" }))
    }
}

async fn tell_log(log: web::Data<LogFilter>) -> String {
    log.get() + "\n"
}

async fn set_log(log: web::Data<LogFilter>, text: String) -> HttpResponse {
    let text = text.trim();
    match log.set(text) {
        Ok(()) => {
            tracing::warn!(filter = text, "what is logged was changed");
            HttpResponse::NoContent().finish()
        }
        Err(error) => {
            let advice = "send a level or a filter such as `info,eshopz_order=debug`, as RUST_LOG has it";
            HttpResponse::BadRequest().body(format!("{error}; {advice}\n"))
        }
    }
}

async fn render(text: String) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")).body(text)
}

async fn send_document(text: web::Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60")))
        .body(text)
}

async fn unmatched(req: HttpRequest) -> HttpResponse {
    let allowed = req.app_data::<web::Data<Edge>>().and_then(|edge| edge.paths.methods(req.path()));
    match allowed {
        Some(methods) => method_not_allowed(methods),
        None => {
            let message = "There is nothing at this path; see /docs/ for what there is.";
            HttpFault(Fault::new(FaultKind::NotFound, "not_found", message)).error_response()
        }
    }
}
