//! The composition root: every selected module is built here, in the order of the call graph, and handed
//! the contracts of those below it, each a value beside it or the client of one that runs elsewhere. This
//! is the only place that knows which.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eshopz_cart::{CartDeps, CartModule, CartSettings};
use eshopz_cart_api::CartApi;
use eshopz_kernel::{Event as _, Fault, Role, SessionId};
use eshopz_order::{OrderDeps, OrderModule, OrderSettings};
use eshopz_payment::{
    CaptureMode, Gateway, PaymentDeps, PaymentModule, PaymentSettings, SandboxGateway, StripeGateway,
};
use eshopz_payment_api::PaymentApi;
use eshopz_platform::auth::{Authenticator, Identity, PublicKey, SessionCopies, session_copies};
use eshopz_platform::books::Report;
use eshopz_platform::cache::{Counters, Redis};
use eshopz_platform::db::Db;
use eshopz_platform::events::Listener;
use eshopz_product::{Cache, ProductDeps, ProductModule, ProductSettings};
use eshopz_product_api::ProductApi;
use eshopz_user::{UserDeps, UserModule, UserSettings, parse_signing_keys};
use eshopz_user_api::{ExportRequested, UserApi};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::cli::{Settings, WrongCall, wrong_call};
use crate::config::{Capture, PaymentGateway, ProductCache};
use crate::database::Database;
use crate::modules::{self, Module};
use crate::neighbours::Neighbours;
use crate::wire;

/// How long all processes of a shop may take to be restarted with another secret key.
const RESEAL_AFTER: Duration = Duration::from_secs(300);

/// The modules of this process, built and connected.
#[derive(Clone)]
pub struct Shop {
    pub user: Option<UserModule>,
    pub product: Option<ProductModule>,
    pub cart: Option<CartModule>,
    pub payment: Option<PaymentModule>,
    pub order: Option<OrderModule>,
    pub redis: Redis,
    sessions: SessionCopies,
    users: Arc<dyn UserApi>,
    pools: Vec<(Module, Db)>,
}

impl std::fmt::Debug for Shop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shop").field("pools", &self.pools).finish_non_exhaustive()
    }
}

/// Builds the selected modules.
///
/// # Errors
/// When a URL cannot be read, or a setting is missing in production.
pub fn compose(
    database: &Database,
    settings: &Settings,
    selected: &[Module],
    neighbours: &Neighbours,
) -> anyhow::Result<Shop> {
    let pools: Vec<(Module, Db)> =
        selected.iter().map(|module| Ok((*module, database.db(*module)?))).collect::<anyhow::Result<_>>()?;
    let db = |module: Module| pools.iter().find(|(of, _)| *of == module).map(|(_, db)| db.clone());
    let redis = redis(settings)?;
    let sessions = session_copies(redis.clone());

    let user = match db(Module::User) {
        Some(db) => Some(user_module(db, &redis, &sessions, database, settings)?),
        None => None,
    };
    let users: Arc<dyn UserApi> = match &user {
        Some(user) => user.api(),
        None => wire::user::client(neighbours.to(Module::User)?),
    };
    let product = db(Module::Product).map(|db| product_module(db, &redis, settings));
    let products = || -> anyhow::Result<Arc<dyn ProductApi>> {
        match &product {
            Some(product) => Ok(product.api()),
            None => Ok(wire::product::client(neighbours.to(Module::Product)?)),
        }
    };
    let cart = match db(Module::Cart) {
        Some(db) => Some(cart_module(db, products()?, settings)),
        None => None,
    };
    let payment = db(Module::Payment).map(|db| payment_module(db, settings)).transpose()?;
    let order = match db(Module::Order) {
        Some(db) => {
            let carts: Arc<dyn CartApi> = match &cart {
                Some(cart) => cart.api(),
                None => wire::cart::client(neighbours.to(Module::Cart)?),
            };
            let payments: Arc<dyn PaymentApi> = match &payment {
                Some(payment) => payment.api(),
                None => wire::payment::client(neighbours.to(Module::Payment)?),
            };
            let contracts = OrderContracts { users: users.clone(), products: products()?, carts, payments };
            Some(order_module(db, contracts, settings))
        }
        None => None,
    };
    Ok(Shop { user, product, cart, payment, order, redis, sessions, users, pools })
}

/// The way to Redis, or to none. Whether it answers is not tried here.
///
/// # Errors
/// [`WrongCall`] when the URL cannot be read. The text has nothing of it: it may hold a password.
pub fn redis(settings: &Settings) -> anyhow::Result<Redis> {
    Redis::new(settings.runtime.redis_url.as_deref()).map_err(|_| {
        WrongCall("ESHOPZ_REDIS_URL is no address such as redis://host:6379 or rediss://:password@host:6379".to_owned())
            .into()
    })
}

/// The user module by itself, also for the commands that need no other.
///
/// # Errors
/// When its URL cannot be read.
pub fn user_module(
    db: Db,
    redis: &Redis,
    sessions: &SessionCopies,
    database: &Database,
    settings: &Settings,
) -> anyhow::Result<UserModule> {
    wrong_call(settings.accounts.check(settings.runtime.is_production()))?;
    let key_secret = wrong_call(settings.runtime.key_secret(&database.url(Module::User)?))?;
    let previous_key_secrets = settings.runtime.secret_keys().into_iter().skip(1).collect();
    let limits = &settings.limits;
    let defaults = UserSettings::default();
    let signing_keys = match settings.runtime.signing_keys.as_deref() {
        Some(pem) if !pem.is_empty() => wrong_call(parse_signing_keys(pem).map_err(anyhow::Error::from))?,
        _ => Vec::new(),
    };
    Ok(UserModule::new(UserDeps {
        db,
        counters: Counters::new(redis.clone()),
        sessions: sessions.clone(),
        mailer: wrong_call(settings.post())?.mailer(),
        settings: UserSettings {
            key_secret,
            previous_key_secrets,
            signing_keys,
            signing_keys_known_within: settings.runtime.secrets_known_within(),
            sign_in_failures_per_account: defaults.sign_in_failures_per_account.of(limits.sign_in_failures_per_account),
            sign_in_failures_per_address: defaults.sign_in_failures_per_address.of(limits.sign_in_failures_per_address),
            registrations_per_address: defaults.registrations_per_address.of(limits.registrations_per_address),
            resets_per_account: defaults.resets_per_account.of(limits.resets_per_account),
            resets_per_address: defaults.resets_per_address.of(limits.resets_per_address),
            wrong_tokens_per_address: defaults.wrong_tokens_per_address.of(limits.wrong_tokens_per_address),
            export_from: modules::hearers_of(ExportRequested::NAME).map(Module::name).collect(),
            reseal_after: settings.runtime.secrets_known_within().max(RESEAL_AFTER),
            admins_need_second_factor: settings.accounts.admins_need_second_factor(settings.runtime.is_production()),
            argon2_memory_kib: settings.accounts.argon2_memory_kib,
            argon2_iterations: settings.accounts.argon2_iterations,
            argon2_parallelism: settings.accounts.argon2_parallelism,
            ..defaults
        },
    }))
}

/// The product module by itself.
#[must_use]
pub fn product_module(db: Db, redis: &Redis, settings: &Settings) -> ProductModule {
    ProductModule::new(ProductDeps {
        db,
        redis: redis.clone(),
        settings: ProductSettings {
            currency: settings.shop.currency,
            cache: match settings.runtime.product_cache {
                ProductCache::On => Cache::On,
                ProductCache::Redis => Cache::Redis,
                ProductCache::Off => Cache::Off,
            },
            imports_per_admin: settings.limits.imports_per_admin,
            ..ProductSettings::default()
        },
    })
}

fn cart_module(db: Db, products: Arc<dyn ProductApi>, settings: &Settings) -> CartModule {
    CartModule::new(CartDeps {
        db,
        products,
        settings: CartSettings {
            pricing: settings.shop.pricing(),
            max_lines: settings.shop.cart_max_lines,
            max_quantity: settings.shop.cart_max_quantity,
            ..CartSettings::default()
        },
    })
}

/// The payment module by itself.
///
/// # Errors
/// When a setting of the gateway is missing.
pub fn payment_module(db: Db, settings: &Settings) -> anyhow::Result<PaymentModule> {
    let runtime = &settings.runtime;
    let gateway: Arc<dyn Gateway> = match wrong_call(runtime.gateway())? {
        PaymentGateway::Sandbox => Arc::new(SandboxGateway::new(db.clone())),
        PaymentGateway::Stripe => Arc::new(StripeGateway::new(wrong_call(runtime.stripe())?)?),
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
            webhook_secret: runtime.webhook_secret().to_owned(),
        },
    }))
}

/// Whom the order module calls.
struct OrderContracts {
    users: Arc<dyn UserApi>,
    products: Arc<dyn ProductApi>,
    carts: Arc<dyn CartApi>,
    payments: Arc<dyn PaymentApi>,
}

fn order_module(db: Db, contracts: OrderContracts, settings: &Settings) -> OrderModule {
    let OrderContracts { users, products, carts, payments } = contracts;
    OrderModule::new(OrderDeps {
        db,
        users,
        products,
        carts,
        payments,
        settings: OrderSettings {
            pricing: settings.shop.pricing(),
            unpaid_expiry: settings.shop.order_expiry(),
            ..OrderSettings::default()
        },
    })
}

impl Shop {
    /// Adds the modules' routes and state.
    pub fn configure(&self, cfg: &mut ServiceConfig) {
        if let Some(user) = &self.user {
            user.configure(cfg);
        }
        if let Some(product) = &self.product {
            product.configure(cfg);
        }
        if let Some(cart) = &self.cart {
            cart.configure(cfg);
        }
        if let Some(payment) = &self.payment {
            payment.configure(cfg);
        }
        if let Some(order) = &self.order {
            order.configure(cfg);
        }
    }

    /// What the bearer tokens are checked with.
    #[must_use]
    pub fn authenticator(&self) -> Authenticator {
        Authenticator::new(Arc::new(UserIdentity(self.users.clone())), self.sessions.clone())
    }

    /// What the other processes may call.
    #[must_use]
    pub fn served(&self) -> wire::Served {
        wire::Served {
            user: self.user.as_ref().map(UserModule::api),
            product: self.product.as_ref().map(ProductModule::api),
            cart: self.cart.as_ref().map(CartModule::api),
            payment: self.payment.as_ref().map(PaymentModule::api),
            listeners: self.listeners().into_iter().flat_map(|(_, listeners)| listeners).collect(),
        }
    }

    /// The listeners of the modules that run here and have any.
    #[must_use]
    pub fn listeners(&self) -> Vec<(Module, Vec<Arc<dyn Listener>>)> {
        let user = self.user.iter().map(|module| (Module::User, module.listeners()));
        let product = self.product.iter().map(|module| (Module::Product, module.listeners()));
        let cart = self.cart.iter().map(|module| (Module::Cart, module.listeners(&self.users)));
        let payment = self.payment.iter().map(|module| (Module::Payment, module.listeners(&self.users)));
        let order = self.order.iter().map(|module| (Module::Order, module.listeners()));
        let all = user.chain(product).chain(cart).chain(payment).chain(order);
        all.filter(|(_, listeners)| !listeners.is_empty()).collect()
    }

    /// The pool of each module that runs here.
    #[must_use]
    pub fn pools(&self) -> &[(Module, Db)] {
        &self.pools
    }

    /// Checks the books of the modules that run here.
    ///
    /// # Errors
    /// When a database cannot be read.
    pub async fn verify(&self) -> Result<Report, Fault> {
        let mut report = Report::default();
        if let Some(user) = &self.user {
            report.merge(user.verify().await?);
        }
        if let Some(product) = &self.product {
            report.merge(product.verify().await?);
        }
        if let Some(cart) = &self.cart {
            report.merge(cart.verify().await?);
        }
        if let Some(payment) = &self.payment {
            report.merge(payment.verify().await?);
        }
        if let Some(order) = &self.order {
            report.merge(order.verify().await?);
        }
        Ok(report)
    }
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
