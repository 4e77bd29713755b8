//! The payment module owns payments: one per order, its attempts, captures, refunds and voids, and the
//! way to the gateway. It knows no order beyond its id.
//!
//! What it keeps true:
//! - Money never goes back that was not collected, and never more is collected than was asked for: CHECKs
//!   on the payment's row, not code that looked first.
//! - Whatever is asked of the gateway is written down before, and its id is the idempotency key; the gateway
//!   is called outside any transaction. So nothing is charged twice and nothing is forgotten.
//! - What the gateway says counts in any order and any number of times (`domain::state`); a charge that
//!   comes in late or twice goes back by itself.
//! - No card data: only names of methods at the gateway, brand and last four digits.

mod api;
mod domain;
mod error;
mod export;
mod forget;
pub mod gateway;
mod http;
mod jobs;
mod listeners;
mod meters;
mod personal;
mod schema;
mod service;
mod store;
mod verify;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use chrono::{DateTime, Utc};
use eshopz_kernel::Fault;
use eshopz_payment_api::PaymentApi;
use eshopz_platform::books::Report;
use eshopz_platform::db::Db;
use eshopz_platform::events::Listener;
use eshopz_platform::jobs::Periodic;
use eshopz_user_api::UserApi;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

pub use domain::Method;
pub use error::PROBLEMS;
pub use gateway::{Gateway, SandboxGateway, StripeGateway, StripeSettings};
pub use http::routes;
pub use listeners::SUBSCRIPTIONS;
pub use meters::METRICS;
pub use personal::PERSONAL;

use service::PaymentService;

/// When money is collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CaptureMode {
    /// When the payer confirms.
    #[default]
    Automatic,
    /// The payer's confirmation holds the amount; an admin collects it.
    Manual,
}

/// The module's settings.
#[derive(Clone)]
pub struct PaymentSettings {
    pub capture: CaptureMode,
    /// How long the gateway is waited for.
    pub gateway_timeout: Duration,
    /// The secret that signs the gateway's webhooks. Without one every webhook is refused.
    pub webhook_secret: String,
}

impl Default for PaymentSettings {
    fn default() -> Self {
        Self { capture: CaptureMode::Automatic, gateway_timeout: Duration::from_secs(5), webhook_secret: String::new() }
    }
}

/// Without the secret.
impl fmt::Debug for PaymentSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentSettings")
            .field("capture", &self.capture)
            .field("gateway_timeout", &self.gateway_timeout)
            .finish_non_exhaustive()
    }
}

/// What the module needs.
pub struct PaymentDeps {
    /// In the role `payments`.
    pub db: Db,
    pub gateway: Arc<dyn Gateway>,
    pub settings: PaymentSettings,
}

/// The payment module of a process.
#[derive(Clone)]
pub struct PaymentModule {
    service: Arc<PaymentService>,
}

impl std::fmt::Debug for PaymentModule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaymentModule").finish_non_exhaustive()
    }
}

impl PaymentModule {
    #[must_use]
    pub fn new(deps: PaymentDeps) -> Self {
        Self { service: Arc::new(PaymentService::new(deps.db, deps.gateway, deps.settings)) }
    }

    /// The contract, in process.
    #[must_use]
    pub fn api(&self) -> Arc<dyn PaymentApi> {
        Arc::new(api::InProcess(Arc::clone(&self.service)))
    }

    /// Webhooks are signed with another secret from now on; for a day the one before is good as well.
    pub fn replace_webhook_secret(&self, secret: String) {
        self.service.webhook_secrets.replace(secret);
    }

    /// The gateway is called with another secret key from now on.
    pub fn replace_gateway_key(&self, secret_key: &str) {
        self.service.gateway().replace_secret_key(secret_key);
    }

    /// Adds the endpoints and what they need.
    pub fn configure(&self, cfg: &mut ServiceConfig) {
        cfg.app_data(web::Data::from(Arc::clone(&self.service)));
        routes(cfg);
    }

    /// What the module does about events. `users` takes what is handed over for a person.
    #[must_use]
    pub fn listeners(&self, users: &Arc<dyn UserApi>) -> Vec<Arc<dyn Listener>> {
        listeners::all(&self.service, users)
    }

    /// The periodic jobs.
    #[must_use]
    pub fn jobs(&self) -> Vec<Periodic> {
        jobs::all(&self.service)
    }

    /// One run of the job that takes up what was left open, now.
    ///
    /// # Errors
    /// When the database cannot be asked what there is to do.
    pub async fn reconcile(&self) -> Result<(), Fault> {
        self.service.reconcile().await
    }

    /// Settles what is open, whether it is due or not; a finding for each that stays open. It takes as long as
    /// somebody may still wait for an answer.
    ///
    /// # Errors
    /// When the database cannot be asked what there is to do.
    pub async fn reconcile_all(&self) -> Result<Report, Fault> {
        self.service.reconcile_all().await
    }

    /// Compares the gateway's list of charges with ours, since a moment. `progress` hears how many charges
    /// have been compared. What is on its way at that moment is no difference.
    ///
    /// # Errors
    /// When the gateway does not answer or the database cannot be read.
    pub async fn compare_with_gateway(
        &self,
        since: DateTime<Utc>,
        progress: impl Fn(u64) + Send + Sync,
    ) -> Result<Report, Fault> {
        self.service.compare_with_gateway(since, progress).await
    }

    /// Asks the gateway again about a movement that has no answer; false when it still has none.
    ///
    /// # Errors
    /// When the gateway or the database does not answer.
    pub async fn ask_again(&self, movement: Uuid) -> Result<bool, Fault> {
        Ok(self.service.ask_again(movement).await?)
    }

    /// Applies an event of the gateway that waits; false when what it is about is not known yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn apply_again(&self, event: Uuid) -> Result<bool, Fault> {
        Ok(self.service.apply_again(event).await?)
    }

    /// Goes on giving back a payment whose order is cancelled; false when it is not all given back yet.
    ///
    /// # Errors
    /// When the gateway or the database does not answer.
    pub async fn undo_again(&self, payment: Uuid) -> Result<bool, Fault> {
        Ok(self.service.undo_again(payment).await?)
    }

    /// Whether the books balance.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn verify(&self) -> Result<Report, Fault> {
        verify::verify(&self.service).await
    }
}
