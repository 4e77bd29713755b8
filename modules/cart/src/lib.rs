//! Carts: what a buyer means to buy, before it is an order.
//!
//! The module owns the schema `carts` and keeps true that
//! - a customer has one open cart at most, and a guest's cart opens to its token only;
//! - no change of a line is lost, however many come at once, and `version` rises with each;
//! - a cart that was ordered, abandoned or merged never changes again;
//! - prices and stock are the catalogue's of the moment. Stock is not reserved here: only a checkout
//!   holds it.

mod domain;
mod error;
mod export;
mod http;
mod jobs;
mod listeners;
mod meters;
mod personal;
mod pricing;
mod schema;
mod service;
mod store;
mod token;
mod verify;

use std::sync::Arc;

use actix_web::web;
use chrono::TimeDelta;
use eshopz_cart_api::CartApi;
use eshopz_kernel::{Fault, Pricing};
use eshopz_platform::books::Report;
use eshopz_platform::db::{Db, StoreError};
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

use service::CartService;

/// What an operator can choose.
#[derive(Clone, Debug)]
pub struct CartSettings {
    pub pricing: Pricing,
    /// Lines per cart.
    pub max_lines: usize,
    /// Of one variant in a cart.
    pub max_quantity: i64,
    /// How long a guest's cart stays open after its last change.
    pub guest_ttl: TimeDelta,
    /// How long a customer's cart stays open after its last change.
    pub customer_ttl: TimeDelta,
}

impl Default for CartSettings {
    fn default() -> Self {
        Self {
            pricing: Pricing::default(),
            max_lines: 1_000,
            max_quantity: 99_999,
            guest_ttl: TimeDelta::days(30),
            customer_ttl: TimeDelta::days(180),
        }
    }
}

/// What the module needs to run.
pub struct CartDeps {
    pub db: Db,
    pub products: Arc<dyn ProductApi>,
    pub settings: CartSettings,
}

/// The module, running. Clones share it.
#[derive(Clone, Debug)]
pub struct CartModule {
    service: Arc<CartService>,
}

impl CartModule {
    #[must_use]
    pub fn new(deps: CartDeps) -> Self {
        Self { service: Arc::new(CartService::new(deps.db, deps.products, deps.settings)) }
    }

    /// The contract for other modules of this process.
    #[must_use]
    pub fn api(&self) -> Arc<dyn CartApi> {
        self.service.clone()
    }

    /// Adds the endpoints and what they need.
    pub fn configure(&self, cfg: &mut ServiceConfig<'_>) {
        cfg.app_data(web::Data::from(Arc::clone(&self.service)));
        routes(cfg);
    }

    /// What the module does about events. `users` takes what is handed over for a person.
    #[must_use]
    pub fn listeners(&self, users: &Arc<dyn UserApi>) -> Vec<Arc<dyn Listener>> {
        listeners::all(&self.service, users)
    }

    #[must_use]
    pub fn jobs(&self) -> Vec<Periodic> {
        jobs::all(&self.service)
    }

    /// Whether the module's books balance.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn verify(&self) -> Result<Report, Fault> {
        let mut conn = self.service.db.conn().await?;
        Ok(verify::books(&mut conn).await.map_err(StoreError::from)?)
    }
}
