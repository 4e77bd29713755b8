//! The order module owns orders: what was bought, for how much, where it goes, and how far it has come.
//!
//! What it keeps true:
//! - One cart makes one order, by a unique index on the cart.
//! - An order's sum is the sum of its lines, with shipping and tax, by CHECK constraints.
//! - Every change of state is in the timeline and in the outbox, in the transaction of the change.
//! - No lock and no transaction is held across a call to another module. What a request leaves undone,
//!   because it fails or its process dies, is done by a listener of the order's own events, by a job
//!   behind that, or it is freed by time.

mod domain;
mod error;
mod export;
mod http;
mod jobs;
mod listeners;
mod meters;
mod personal;
mod schema;
mod service;
mod store;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use eshopz_cart_api::CartApi;
use eshopz_kernel::{Fault, OrderId, Pricing};
use eshopz_payment_api::PaymentApi;
use eshopz_platform::books::Report;
use eshopz_platform::db::Db;
use eshopz_platform::events::Listener;
use eshopz_platform::jobs::Periodic;
use eshopz_product_api::ProductApi;
use eshopz_user_api::UserApi;
use utoipa_actix_web::service_config::ServiceConfig;

pub use error::PROBLEMS;
pub use http::routes;
pub use listeners::SUBSCRIPTIONS;
pub use meters::METRICS;
pub use personal::PERSONAL;

use service::OrderService;

/// What a shop decides about its orders.
#[derive(Clone, Debug)]
pub struct OrderSettings {
    pub pricing: Pricing,
    /// After so long an unpaid order is cancelled.
    pub unpaid_expiry: Duration,
    /// How much longer its stock stays reserved, for a payment in the last moment.
    pub reservation_grace: Duration,
}

impl Default for OrderSettings {
    fn default() -> Self {
        Self {
            pricing: Pricing::default(),
            unpaid_expiry: Duration::from_secs(30 * 60),
            reservation_grace: Duration::from_secs(5 * 60),
        }
    }
}

/// What the module needs from outside.
pub struct OrderDeps {
    /// In the schema `orders`.
    pub db: Db,
    pub users: Arc<dyn UserApi>,
    pub products: Arc<dyn ProductApi>,
    pub carts: Arc<dyn CartApi>,
    pub payments: Arc<dyn PaymentApi>,
    pub settings: OrderSettings,
}

/// The module. It is at the top of the call graph: nobody calls it but clients.
#[derive(Clone)]
pub struct OrderModule {
    service: Arc<OrderService>,
}

impl OrderModule {
    #[must_use]
    pub fn new(deps: OrderDeps) -> Self {
        Self { service: Arc::new(OrderService::new(deps)) }
    }

    /// Adds the module's routes and what they need.
    pub fn configure(&self, cfg: &mut ServiceConfig) {
        cfg.app_data(Data::from(Arc::clone(&self.service)));
        routes(cfg);
    }

    /// What the module does about events.
    #[must_use]
    pub fn listeners(&self) -> Vec<Arc<dyn Listener>> {
        listeners::all(&self.service)
    }

    /// What the module does from time to time.
    #[must_use]
    pub fn jobs(&self) -> Vec<Periodic> {
        jobs::all(&self.service)
    }

    /// Goes on with an order that was left somewhere, and notes it in its timeline; false when there is none, or
    /// that changed nothing.
    ///
    /// # Errors
    /// Those of the modules below.
    pub async fn repair(&self, number: &str, reason: &str) -> Result<bool, Fault> {
        Ok(self.service.repair(number, reason).await?)
    }

    /// Sells, or frees, what an order still holds that is paid, or cancelled, and notes it in its timeline.
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn repair_sale(&self, number: &str, reason: &str) -> Result<bool, Fault> {
        Ok(self.service.repair_sale(number, reason).await?)
    }

    /// Closes the cart that an order was made of, and notes it in the order's timeline.
    ///
    /// # Errors
    /// Those of the cart.
    pub async fn repair_cart(&self, number: &str, reason: &str) -> Result<bool, Fault> {
        Ok(self.service.repair_cart(number, reason).await?)
    }

    /// Asks again for an order's refunds that failed, and notes it in its timeline; false when nothing is owed.
    ///
    /// # Errors
    /// Those of the payment module.
    pub async fn repair_refunds(&self, number: &str, reason: &str) -> Result<bool, Fault> {
        Ok(self.service.repair_refunds(number, reason).await?)
    }

    /// Notes in an order's timeline what was mended elsewhere; false when there is no such order.
    ///
    /// # Errors
    /// The database's.
    pub async fn note_repair(&self, order: OrderId, reason: &str) -> Result<bool, Fault> {
        Ok(self.service.note_repair(order, reason).await?)
    }

    /// Whether the module's books balance.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn verify(&self) -> Result<Report, Fault> {
        verify::books(&self.service.db).await
    }
}
