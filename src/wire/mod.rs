//! The contracts over HTTP, the routes and the client of each side by side, and the listener that serves
//! them to the other processes of the shop.

pub mod cart;
pub mod events;
pub mod payment;
pub mod product;
pub mod user;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, Scope, web};
use anyhow::Context as _;
use eshopz_cart_api::CartApi;
use eshopz_payment_api::PaymentApi;
use eshopz_platform::events::Listener;
use eshopz_platform::http::middleware::request_context;
use eshopz_platform::wire::{Gate, Methods, ServiceKeys, guard, unknown};
use eshopz_product_api::ProductApi;
use eshopz_user_api::UserApi;
use tokio::task::JoinHandle;

use crate::modules::Module;

/// What the answers to those inside need to get to the network after the last of them is made.
const LAST_BYTES: Duration = Duration::from_millis(50);

/// What a process does for its neighbours: the contracts and listeners of its modules.
#[derive(Clone, Default)]
pub struct Served {
    pub user: Option<Arc<dyn UserApi>>,
    pub product: Option<Arc<dyn ProductApi>>,
    pub cart: Option<Arc<dyn CartApi>>,
    pub payment: Option<Arc<dyn PaymentApi>>,
    pub listeners: Vec<Arc<dyn Listener>>,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("listeners", &self.listeners.len()).finish_non_exhaustive()
    }
}

impl Served {
    fn scopes(&self) -> impl Iterator<Item = Scope> {
        Module::ALL.into_iter().map(|module| self.methods(module).into_scope())
    }

    /// A module that is not here has no methods, and says so.
    fn methods(&self, module: Module) -> Methods {
        let methods = Methods::of(module.name());
        let methods = match (module, self) {
            (Module::User, Self { user: Some(api), .. }) => user::routes(methods, api),
            (Module::Product, Self { product: Some(api), .. }) => product::routes(methods, api),
            (Module::Cart, Self { cart: Some(api), .. }) => cart::routes(methods, api),
            (Module::Payment, Self { payment: Some(api), .. }) => payment::routes(methods, api),
            _ => methods,
        };
        let is_its = |listener: &&Arc<dyn Listener>| events::module_of(listener.name()) == module.name();
        let listeners: Vec<_> = self.listeners.iter().filter(is_its).cloned().collect();
        events::routes(methods, &listeners)
    }
}

/// The running internal listener.
#[derive(Debug)]
pub struct InternalListener {
    address: SocketAddr,
    gate: Gate,
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
    grace: Duration,
}

/// Starts the internal listener: HTTP/2 without TLS, HTTP/1.1 for whoever looks at it by hand.
///
/// # Errors
/// When the address cannot be bound.
pub fn internal_listener(
    served: Served,
    keys: ServiceKeys,
    address: SocketAddr,
    workers: usize,
    grace: Duration,
) -> anyhow::Result<InternalListener> {
    let gate = Gate::new(keys);
    let shared = web::Data::new(gate.clone());
    let server = HttpServer::new(move || {
        let app = App::new()
            .wrap(from_fn(guard))
            .wrap(from_fn(request_context))
            .app_data(shared.clone())
            .default_service(web::to(unknown));
        served.scopes().fold(app, App::service)
    })
    .workers(workers)
    .disable_signals()
    .bind_auto_h2c(address)
    .with_context(|| format!("cannot listen on {address} for the other modules; choose another port with --listen"))?;
    let address = server.addrs().first().copied().unwrap_or(address);
    let server = server.run();
    Ok(InternalListener { address, gate, handle: server.handle(), task: tokio::spawn(server), grace })
}

impl InternalListener {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resolves when it has ended by itself, which it should not.
    pub async fn ended(&mut self) -> anyhow::Error {
        anyhow::anyhow!("the internal listener ended by itself: {:?}", (&mut self.task).await)
    }

    /// Asks the neighbours to go to another process from now on, if there is one. Calls are served as before.
    pub fn leave(&self) {
        self.gate.leave();
    }

    /// Takes no more calls, finishes those that are here, and ends. Connections of neighbours that are idle
    /// are not waited for.
    pub async fn stop(self) {
        let grace = self.grace;
        self.stop_within(grace).await;
    }

    /// The same with another time for the calls than the listener was made with.
    pub async fn stop_within(self, grace: Duration) {
        let left = self.gate.shut(grace).await;
        if left > 0 {
            tracing::warn!(left, "calls of other modules were not done in time and are cut");
        }
        tokio::time::sleep(LAST_BYTES).await;
        self.handle.stop(false).await;
        self.task.abort();
    }
}
