//! The catalogue: products, their variants, the category tree, the search, and the stock.
//!
//! The module owns the schema `products` and keeps true that
//! - `reserved <= on_hand` for every variant that may not be sold beyond its stock, whatever comes at
//!   once; a CHECK says so, not code that looked first;
//! - `on_hand` is the sum of the variant's movements, and every change of it writes one;
//! - `reserved` is the sum of the lines that orders hold, and what is held past its deadline is freed;
//! - a product has a variant at least, and its price range is that of its variants;
//! - who is no admin sees active products only.

mod contract;
pub mod csv;
pub mod demo;
mod domain;
mod error;
mod http;
mod jobs;
mod meters;
mod personal;
mod schema;
mod service;
mod store;
pub mod transfer;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use eshopz_kernel::{Currency, Fault, OrderId, VariantId};
use eshopz_platform::books::Report;
use eshopz_platform::cache::Redis;
use eshopz_platform::db::{Db, StoreError};
use eshopz_platform::events::Listener;
use eshopz_platform::jobs::Periodic;
use eshopz_product_api::ProductApi;
use tokio::io::AsyncRead;
use tokio::sync::watch;
use utoipa_actix_web::service_config::ServiceConfig;

pub use error::{PROBLEMS, ProductError};
pub use http::routes;
pub use meters::METRICS;
pub use personal::PERSONAL;

use service::ProductService;
use transfer::{ImportReport, Progress};

/// Where copies of what everybody may see are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// In memory, and in Redis where there is one.
    On,
    /// In Redis only.
    Redis,
    Off,
}

/// What an operator can choose.
#[derive(Clone, Debug)]
pub struct ProductSettings {
    /// The one currency of all prices.
    pub currency: Currency,
    /// How often reservations past their deadline are looked for.
    pub free_overdue_every: Duration,
    pub cache: Cache,
    /// Imports of files by one admin in an hour.
    pub imports_per_admin: u64,
}

impl Default for ProductSettings {
    fn default() -> Self {
        Self {
            currency: Currency::USD,
            free_overdue_every: Duration::from_secs(10),
            cache: Cache::On,
            imports_per_admin: 600,
        }
    }
}

/// What the module needs to run.
pub struct ProductDeps {
    pub db: Db,
    /// For copies and counters; [`Redis::none`] will do.
    pub redis: Redis,
    pub settings: ProductSettings,
}

/// The module, running. Clones share it.
#[derive(Clone, Debug)]
pub struct ProductModule {
    service: Arc<ProductService>,
}

impl ProductModule {
    #[must_use]
    pub fn new(deps: ProductDeps) -> Self {
        Self { service: Arc::new(ProductService::new(deps.db, deps.redis, deps.settings)) }
    }

    /// The contract for other modules of this process.
    #[must_use]
    pub fn api(&self) -> Arc<dyn ProductApi> {
        self.service.clone()
    }

    /// Adds the endpoints and what they need.
    pub fn configure(&self, cfg: &mut ServiceConfig<'_>) {
        cfg.app_data(web::Data::from(Arc::clone(&self.service)));
        routes(cfg);
    }

    /// None: the catalogue follows no other module.
    #[must_use]
    pub fn listeners(&self) -> Vec<Arc<dyn Listener>> {
        Vec::new()
    }

    #[must_use]
    pub fn jobs(&self) -> Vec<Periodic> {
        jobs::all(&self.service)
    }

    /// Hears what other processes change in the catalogue, until it is told to stop. Essential: without it
    /// nothing is kept in memory.
    pub async fn follow(self, shutdown: watch::Receiver<bool>) {
        self.service.shelf.clone().listen(shutdown).await;
    }

    /// Imports a product CSV, as [`transfer::import`] does, and tells every process what it has changed.
    ///
    /// # Errors
    /// As [`transfer::import`].
    pub async fn import<R: AsyncRead + Unpin>(
        &self,
        reader: R,
        progress: impl FnMut(Progress),
    ) -> Result<ImportReport, ProductError> {
        let service = &self.service;
        transfer::import_and_tell(&service.db, Some(&service.shelf), service.currency(), reader, progress).await
    }

    /// Frees what an order still holds, although it should not, and says why in the ledger; false when it holds
    /// nothing, or has bought it.
    ///
    /// # Errors
    /// The database's.
    pub async fn free_held(&self, order: OrderId, reason: &str, actor: &str) -> Result<bool, Fault> {
        Ok(self.service.free_held(order, reason, actor).await?)
    }

    /// Counts anew how much of a variant is reserved, and says why in its ledger; false when it was right.
    ///
    /// # Errors
    /// 409 when orders hold more than there is.
    pub async fn count_reserved(&self, variant: VariantId, reason: &str, actor: &str) -> Result<bool, Fault> {
        Ok(self.service.count_reserved(variant, reason, actor).await?)
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
