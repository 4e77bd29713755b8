//! The composition root: every module is built here, in the order of the call graph, and handed the
//! contracts of those below it. This is the only place that knows which value stands behind a contract.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eshopz_cart::{CartDeps, CartModule, CartSettings};
use eshopz_kernel::{Fault, Role, SessionId};
use eshopz_order::{OrderDeps, OrderModule, OrderSettings};
use eshopz_payment::{CaptureMode, Gateway, PaymentDeps, PaymentModule, PaymentSettings, SandboxGateway};
use eshopz_platform::auth::{Identity, PublicKey};
use eshopz_platform::cache::Counters;
use eshopz_platform::db::Db;
use eshopz_platform::events::{Listener, LocalTransport, Relay, RelayConfig, Subscriptions};
use eshopz_platform::jobs::Periodic;
use eshopz_product::{ProductDeps, ProductModule, ProductSettings};
use eshopz_user::{FolderMailer, UserDeps, UserModule, UserSettings};
use eshopz_user_api::UserApi;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::cli::{Settings, wrong_call};
use crate::config::{Capture, PaymentGateway};
use crate::database::Database;
use crate::modules::Module;

/// The modules of this process, built and connected.
#[derive(Clone)]
pub struct Shop {
    pub user: UserModule,
    pub product: ProductModule,
    pub cart: CartModule,
    pub payment: PaymentModule,
    pub order: OrderModule,
    pools: Vec<(Module, Db)>,
}

impl std::fmt::Debug for Shop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shop").finish_non_exhaustive()
    }
}

/// Builds the shop.
///
/// # Errors
/// When a URL cannot be read, or a setting is missing in production.
pub fn compose(database: &Database, settings: &Settings) -> anyhow::Result<Shop> {
    let user = user_module(database, settings)?;
    let product = product_module(database, settings)?;
    let cart = CartModule::new(CartDeps {
        db: database.db(Module::Cart)?,
        products: product.api(),
        settings: CartSettings {
            pricing: settings.shop.pricing(),
            max_lines: settings.shop.cart_max_lines,
            max_quantity: settings.shop.cart_max_quantity,
            ..CartSettings::default()
        },
    });
    let payment = payment_module(database, settings)?;
    let order = OrderModule::new(OrderDeps {
        db: database.db(Module::Order)?,
        users: user.api(),
        products: product.api(),
        carts: cart.api(),
        payments: payment.api(),
        settings: OrderSettings {
            pricing: settings.shop.pricing(),
            unpaid_expiry: settings.shop.order_expiry(),
            ..OrderSettings::default()
        },
    });
    let pools =
        Module::ALL.into_iter().map(|module| Ok((module, database.db(module)?))).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Shop { user, product, cart, payment, order, pools })
}

/// The user module by itself, for the commands that need no other.
///
/// # Errors
/// When its URL cannot be read.
pub fn user_module(database: &Database, settings: &Settings) -> anyhow::Result<UserModule> {
    let key_secret = settings.runtime.key_secret(&database.url(Module::User)?);
    Ok(UserModule::new(UserDeps {
        db: database.db(Module::User)?,
        counters: Counters::new(settings.runtime.redis_url.as_deref())?,
        mailer: Arc::new(FolderMailer::new(settings.database.data_dir.join("mail"))),
        settings: UserSettings { key_secret, ..UserSettings::default() },
    }))
}

/// The product module by itself.
///
/// # Errors
/// When its URL cannot be read.
pub fn product_module(database: &Database, settings: &Settings) -> anyhow::Result<ProductModule> {
    Ok(ProductModule::new(ProductDeps {
        db: database.db(Module::Product)?,
        settings: ProductSettings { currency: settings.shop.currency, ..ProductSettings::default() },
    }))
}

fn payment_module(database: &Database, settings: &Settings) -> anyhow::Result<PaymentModule> {
    let runtime = &settings.runtime;
    let db = database.db(Module::Payment)?;
    let gateway: Arc<dyn Gateway> = match wrong_call(runtime.gateway())? {
        PaymentGateway::Sandbox => Arc::new(SandboxGateway::new(db.clone())),
    };
    Ok(PaymentModule::new(PaymentDeps {
        db,
        gateway,
        settings: PaymentSettings {
            capture: match runtime.payment_capture {
                Capture::Automatic => CaptureMode::Automatic,
                Capture::Manual => CaptureMode::Manual,
            },
            gateway_timeout: Duration::from_millis(runtime.gateway_timeout_ms),
            webhook_secret: runtime.webhook_secret.clone(),
        },
    }))
}

impl Shop {
    /// Adds every module's routes and state.
    pub fn configure(&self, cfg: &mut ServiceConfig) {
        self.user.configure(cfg);
        self.product.configure(cfg);
        self.cart.configure(cfg);
        self.payment.configure(cfg);
        self.order.configure(cfg);
    }

    /// Who the bearer tokens are checked with.
    #[must_use]
    pub fn identity(&self) -> Arc<dyn Identity> {
        Arc::new(UserIdentity(self.user.api()))
    }

    fn listeners(&self) -> Vec<Arc<dyn Listener>> {
        [
            self.user.listeners(),
            self.product.listeners(),
            self.cart.listeners(),
            self.payment.listeners(),
            self.order.listeners(),
        ]
        .concat()
    }

    /// One relay per module's outbox.
    #[must_use]
    pub fn relays(&self) -> Vec<Relay> {
        let listeners = self.listeners();
        let subscriptions = Subscriptions::of(&listeners);
        let transport = Arc::new(LocalTransport::new(listeners));
        self.pools
            .iter()
            .map(|(_, db)| Relay::new(db.clone(), transport.clone(), subscriptions.clone(), RelayConfig::default()))
            .collect()
    }

    /// Every module's periodic jobs, each with the pool that holds its lease.
    #[must_use]
    pub fn jobs(&self) -> Vec<(Db, Periodic)> {
        let of = |module: Module| match module {
            Module::User => self.user.jobs(),
            Module::Product => self.product.jobs(),
            Module::Cart => self.cart.jobs(),
            Module::Payment => self.payment.jobs(),
            Module::Order => self.order.jobs(),
        };
        let mut jobs = Vec::new();
        for (module, db) in &self.pools {
            jobs.extend(of(*module).into_iter().map(|job| (db.clone(), job)));
            jobs.push((db.clone(), sweep(db.clone())));
        }
        jobs
    }

    /// A module's pool.
    #[must_use]
    pub fn pools(&self) -> &[(Module, Db)] {
        &self.pools
    }
}

/// Deletes what its retention is over for: delivered events, inbox entries, idempotency keys.
fn sweep(db: Db) -> Periodic {
    Periodic::new("platform.sweep", Duration::from_secs(60), move || {
        let db = db.clone();
        async move {
            let mut conn = db.conn().await?;
            let retention = eshopz_platform::events::sweep::Retention::default();
            eshopz_platform::events::sweep::expired(&mut conn, &retention)
                .await
                .map_err(eshopz_platform::db::StoreError::from)?;
            Ok(())
        }
    })
}

/// The user module's contract as what the edge needs of it.
struct UserIdentity(Arc<dyn UserApi>);

#[async_trait]
impl Identity for UserIdentity {
    async fn public_keys(&self) -> Result<Vec<PublicKey>, Fault> {
        let keys = self.0.verifying_keys().await?;
        Ok(keys.into_iter().map(|key| PublicKey { kid: key.kid, x: key.x }).collect())
    }

    async fn session_role(&self, session: SessionId) -> Result<Option<Role>, Fault> {
        self.0.session_role(session).await
    }
}
