//! The use cases of payments. Each follows one pattern, since a gateway cannot take part in a transaction:
//! write down what will be asked (one transaction), ask the gateway (no transaction, no connection),
//! write down what came of it (another one). Whatever is cut off in between is taken up by [`reconcile`].

mod access;
mod attempts;
mod by_hand;
mod capture;
mod confirm;
mod create;
mod drift;
mod lists;
mod metering;
mod pay;
mod reconcile;
mod refunds;
mod releases;
mod repair;
mod replaced;
mod settle;
mod surplus;
mod undo;
mod voids;
mod webhooks;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use diesel_async::AsyncPgConnection;
use eshopz_platform::context;
use eshopz_platform::db::Db;
use eshopz_platform::idempotency::{Claim, InFlight, record};
use eshopz_platform::trace::{Step, What};
use uuid::Uuid;

pub use access::Access;
pub use lists::PaymentQuery;

use crate::PaymentSettings;
use crate::error::PaymentError;
use crate::gateway::{Gateway, GatewayError, WebhookSecrets};
use crate::store::{Payment, payments};

/// The longest reason that is kept, in characters.
const REASON_LENGTH: usize = 500;

/// The use cases, and what they need.
pub struct PaymentService {
    pub(crate) db: Db,
    pub(crate) in_flight: InFlight,
    gateway: Arc<dyn Gateway>,
    pub(crate) webhook_secrets: WebhookSecrets,
    settings: PaymentSettings,
}

impl std::fmt::Debug for PaymentService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaymentService").field("gateway", &self.gateway.name()).finish_non_exhaustive()
    }
}

#[eshopz_crash::crash_points]
impl PaymentService {
    pub(crate) fn new(db: Db, gateway: Arc<dyn Gateway>, settings: PaymentSettings) -> Self {
        let webhook_secrets = WebhookSecrets::new(settings.webhook_secret.clone());
        Self { db, in_flight: InFlight::default(), gateway, webhook_secrets, settings }
    }

    pub(crate) fn gateway(&self) -> &dyn Gateway {
        self.gateway.as_ref()
    }

    /// Waits for the gateway no longer than the setting says; then nobody knows whether it did it.
    async fn ask<T, F>(&self, call: F) -> Result<T, GatewayError>
    where
        F: Future<Output = Result<T, GatewayError>>,
    {
        self.ask_within(self.settings.gateway_timeout, call).await
    }

    /// Waits so long.
    async fn ask_within<T, F>(&self, patience: Duration, call: F) -> Result<T, GatewayError>
    where
        F: Future<Output = Result<T, GatewayError>>,
    {
        let began = Instant::now();
        let answer = tokio::time::timeout(patience, call)
            .await
            .unwrap_or_else(|_| Err(GatewayError::Timeout("no answer in time".to_owned())));
        let failed = matches!(answer, Err(GatewayError::Timeout(_) | GatewayError::Unavailable(_)));
        context::note_step(|| Step::since(began, What::Gateway { name: self.gateway.name() }, failed));
        answer
    }

    /// How long somebody may wait for what was asked.
    const fn patience(&self) -> Duration {
        self.settings.gateway_timeout.saturating_mul(2).saturating_add(Duration::from_secs(1))
    }

    /// Whether a payment is at the gateway in use: another one knows nothing of it, and its "nothing" would
    /// be taken for an answer.
    fn at_ours(&self, payment: &Payment) -> Result<(), PaymentError> {
        if payment.gateway == self.gateway.name() {
            return Ok(());
        }
        Err(PaymentError::OtherGateway(payment.gateway.clone()))
    }

    async fn load(&self, payment: Uuid) -> Result<Payment, PaymentError> {
        let mut conn = self.db.conn().await?;
        payments::find(&mut conn, payment).await?.ok_or(PaymentError::NotFound)
    }
}

/// A reason as it is kept: PostgreSQL knows no NUL in text, and nobody reads more than so much.
fn kept_reason(reason: &str) -> String {
    reason.chars().filter(|character| *character != '\0').take(REASON_LENGTH).collect()
}

/// So much before a moment.
fn earlier(moment: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    moment - TimeDelta::from_std(time).unwrap_or(TimeDelta::minutes(1))
}

/// The time as a row keeps it, in microseconds: an answer shows the same before and after it is stored.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Writes the request's idempotency key, if it has one, with what it will make.
#[eshopz_crash::crash_points]
async fn claim_key(conn: &mut AsyncPgConnection, claim: Option<&Claim>, resource: Uuid) -> Result<(), PaymentError> {
    match claim {
        Some(claim) if !record(conn, claim, resource).await? => Err(PaymentError::KeyTaken),
        Some(_) | None => Ok(()),
    }
}
