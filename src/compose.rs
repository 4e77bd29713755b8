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
    pools: Pools,
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
    let pools = Pools::open(database)?;
    let user = user_module(pools.user.clone(), database, settings)?;
    let product = product_module(pools.product.clone(), settings);
    let cart = CartModule::new(CartDeps {
        db: pools.cart.clone(),
        products: product.api(),
        settings: CartSettings {
            pricing: settings.shop.pricing(),
            max_lines: settings.shop.cart_max_lines,
            max_quantity: settings.shop.cart_max_quantity,
            ..CartSettings::default()
        },
    });
    let payment = payment_module(pools.payment.clone(), settings)?;
    let order = OrderModule::new(OrderDeps {
        db: pools.order.clone(),
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
    Ok(Shop { user, product, cart, payment, order, pools })
}

/// One pool per module, for its requests, its relay and its jobs.
#[derive(Clone)]
struct Pools {
    user: Db,
    product: Db,
    cart: Db,
    payment: Db,
    order: Db,
}

impl Pools {
    fn open(database: &Database) -> anyhow::Result<Self> {
        Ok(Self {
            user: database.db(Module::User)?,
            product: database.db(Module::Product)?,
            cart: database.db(Module::Cart)?,
            payment: database.db(Module::Payment)?,
            order: database.db(Module::Order)?,
        })
    }

    const fn of(&self, module: Module) -> &Db {
        match module {
            Module::User => &self.user,
            Module::Product => &self.product,
            Module::Cart => &self.cart,
            Module::Payment => &self.payment,
            Module::Order => &self.order,
        }
    }
}

/// The user module by itself, also for the commands that need no other.
///
/// # Errors
/// When its URL cannot be read.
pub fn user_module(db: Db, database: &Database, settings: &Settings) -> anyhow::Result<UserModule> {
    let key_secret = settings.runtime.key_secret(&database.url(Module::User)?);
    Ok(UserModule::new(UserDeps {
        db,
        counters: Counters::new(settings.runtime.redis_url.as_deref())?,
        mailer: Arc::new(FolderMailer::new(settings.database.data_dir.join("mail"))),
        settings: UserSettings { key_secret, ..UserSettings::default() },
    }))
}

fn product_module(db: Db, settings: &Settings) -> ProductModule {
    ProductModule::new(ProductDeps {
        db,
        settings: ProductSettings { currency: settings.shop.currency, ..ProductSettings::default() },
    })
}

fn payment_module(db: Db, settings: &Settings) -> anyhow::Result<PaymentModule> {
    let runtime = &settings.runtime;
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

    /// Every module's listeners.
    #[must_use]
    pub fn listeners(&self) -> Vec<(Module, Vec<Arc<dyn Listener>>)> {
        vec![
            (Module::User, self.user.listeners()),
            (Module::Product, self.product.listeners()),
            (Module::Cart, self.cart.listeners()),
            (Module::Payment, self.payment.listeners()),
            (Module::Order, self.order.listeners()),
        ]
    }

    /// One relay per module's outbox.
    #[must_use]
    pub fn relays(&self) -> Vec<Relay> {
        let listeners: Vec<_> = self.listeners().into_iter().flat_map(|(_, listeners)| listeners).collect();
        let subscriptions = Subscriptions::of(&listeners);
        let transport = Arc::new(LocalTransport::new(listeners));
        Module::ALL
            .into_iter()
            .map(|module| {
                let db = self.pools.of(module).clone();
                Relay::new(db, transport.clone(), subscriptions.clone(), RelayConfig::default())
            })
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
        for module in Module::ALL {
            let db = self.pools.of(module);
            jobs.extend(of(module).into_iter().map(|job| (db.clone(), job)));
            jobs.push((db.clone(), sweep(db.clone())));
        }
        jobs
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
