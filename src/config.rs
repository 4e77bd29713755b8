//! The configuration: one struct per concern. Every value is a flag and an `ESHOPZ_…` variable, and is
//! documented where it is read, here; `eshopz <command> --help` shows the same words.

mod describe;
mod hidden;
mod neighbours;
mod secret_source;
mod tax;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
pub use describe::describe;
use eshopz_kernel::{Currency, Pricing};
use eshopz_platform::db::DbConfig;
pub use hidden::Hidden;
pub use neighbours::{NeighbourArgs, Neighbourhood};
pub use secret_source::SecretSource;
pub use tax::TaxRates;
use tax::parse_tax_rates;

use crate::modules::{self, INTERNAL_OFFSET, MANAGEMENT_OFFSET, Module};

/// How careful to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    Development,
    Production,
}

/// Who moves the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PaymentGateway {
    /// Plays Stripe's test methods; no money moves.
    Sandbox,
}

/// How events travel between modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventTransport {
    /// Handed over directly, by HTTP to listeners in other processes.
    Local,
    /// By SNS topics and SQS queues.
    Sns,
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// Where PostgreSQL is.
#[derive(Args, Clone, Debug)]
pub struct DatabaseArgs {
    /// PostgreSQL, as `postgres://user:password@host:port/name`. Without it a private server is started in
    /// the data folder.
    #[arg(long, env = "ESHOPZ_DATABASE_URL", hide_env_values = true, global = true)]
    pub database_url: Option<Hidden>,

    /// The user module's own database URL.
    #[arg(long, env = "ESHOPZ_USER_DATABASE_URL", hide_env_values = true, global = true, hide_short_help = true)]
    pub user_database_url: Option<Hidden>,

    /// The product module's own database URL.
    #[arg(long, env = "ESHOPZ_PRODUCT_DATABASE_URL", hide_env_values = true, global = true, hide_short_help = true)]
    pub product_database_url: Option<Hidden>,

    /// The cart module's own database URL.
    #[arg(long, env = "ESHOPZ_CART_DATABASE_URL", hide_env_values = true, global = true, hide_short_help = true)]
    pub cart_database_url: Option<Hidden>,

    /// The payment module's own database URL.
    #[arg(long, env = "ESHOPZ_PAYMENT_DATABASE_URL", hide_env_values = true, global = true, hide_short_help = true)]
    pub payment_database_url: Option<Hidden>,

    /// The order module's own database URL.
    #[arg(long, env = "ESHOPZ_ORDER_DATABASE_URL", hide_env_values = true, global = true, hide_short_help = true)]
    pub order_database_url: Option<Hidden>,

    /// A replica of the database, for lists and histories, where an answer a moment old does no harm.
    #[arg(long, env = "ESHOPZ_DATABASE_READER_URL", hide_env_values = true, global = true)]
    pub database_reader_url: Option<Hidden>,

    /// Connections that each module may hold.
    #[arg(long, env = "ESHOPZ_DATABASE_POOL", default_value_t = 5, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub database_pool: u16,

    /// Milliseconds that a request waits for a free connection before it is told 503.
    #[arg(long, env = "ESHOPZ_DATABASE_WAIT_MS", default_value_t = 5_000, global = true, hide_short_help = true)]
    pub database_wait_ms: u64,

    /// Where the private PostgreSQL and other local files live.
    #[arg(long, env = "ESHOPZ_DATA_DIR", default_value = ".eshopz", global = true)]
    pub data_dir: PathBuf,

    /// The folder with PostgreSQL's programs, when they are not where they usually are.
    #[arg(long, env = "ESHOPZ_POSTGRES_BIN", global = true, hide_short_help = true)]
    pub postgres_bin: Option<PathBuf>,
}

impl DatabaseArgs {
    fn own_url(&self, module: Module) -> Option<&Hidden> {
        match module {
            Module::User => self.user_database_url.as_ref(),
            Module::Product => self.product_database_url.as_ref(),
            Module::Cart => self.cart_database_url.as_ref(),
            Module::Payment => self.payment_database_url.as_ref(),
            Module::Order => self.order_database_url.as_ref(),
        }
    }

    /// Whether each of these modules has a server to go to, so that none has to be started.
    #[must_use]
    pub fn is_external(&self, modules: &[Module]) -> bool {
        self.database_url.is_some() || modules.iter().all(|module| self.own_url(*module).is_some())
    }

    /// A module's pool settings; `embedded` is the URL of the private server, if one runs.
    ///
    /// # Errors
    /// When nothing says where the module's database is.
    pub fn config(&self, module: Module, embedded: Option<&str>) -> anyhow::Result<DbConfig> {
        let url = self
            .own_url(module)
            .or(self.database_url.as_ref())
            .map(|url| url.to_string())
            .or_else(|| embedded.map(str::to_owned))
            .with_context(|| {
                format!(
                    "the {module} module has no database: set ESHOPZ_DATABASE_URL or ESHOPZ_{}_DATABASE_URL",
                    module.name().to_uppercase()
                )
            })?;
        Ok(DbConfig {
            url,
            reader_url: self.database_reader_url.as_ref().map(|url| url.to_string()),
            max_connections: usize::from(self.database_pool),
            acquire_timeout: Duration::from_millis(self.database_wait_ms),
        })
    }
}

/// The shop's own settings.
#[derive(Args, Clone, Debug)]
pub struct ShopArgs {
    /// The shop's currency (ISO 4217).
    #[arg(long, env = "ESHOPZ_CURRENCY", default_value = "USD", global = true)]
    pub currency: Currency,

    /// Flat shipping rate in minor units, for carts with anything to ship.
    #[arg(long, env = "ESHOPZ_SHIPPING_FLAT", default_value_t = 0, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(i64).range(0..=100_000_000))]
    pub shipping_flat: i64,

    /// Subtotal in minor units from which shipping is free.
    #[arg(long, env = "ESHOPZ_SHIPPING_FREE_FROM", global = true, hide_short_help = true,
          value_parser = clap::value_parser!(i64).range(0..))]
    pub shipping_free_from: Option<i64>,

    /// Tax in percent by country, such as `DE=19,FR=20,CH=8.1`.
    #[arg(long, env = "ESHOPZ_TAX_RATES", default_value = "", global = true, hide_short_help = true,
          value_parser = parse_tax_rates)]
    pub tax_rates: TaxRates,

    /// Minutes after which an unpaid order is cancelled and its stock is free again.
    #[arg(long, env = "ESHOPZ_ORDER_EXPIRY_MINUTES", default_value_t = 30.0, global = true, hide_short_help = true,
          value_parser = parse_minutes)]
    pub order_expiry_minutes: f64,

    /// The most lines that a cart may have.
    #[arg(long, env = "ESHOPZ_CART_MAX_LINES", default_value_t = 1_000, global = true, hide_short_help = true)]
    pub cart_max_lines: usize,

    /// The most of one variant that a cart may hold.
    #[arg(long, env = "ESHOPZ_CART_MAX_QUANTITY", default_value_t = 99_999, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    pub cart_max_quantity: i64,
}

fn parse_minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| format!("`{text}` is not a number of minutes"))?;
    if (0.01..=100_000.0).contains(&minutes) { Ok(minutes) } else { Err("must be from 0.01 to 100000".to_owned()) }
}

impl ShopArgs {
    /// How prices are summed up.
    #[must_use]
    pub fn pricing(&self) -> Pricing {
        Pricing {
            currency: self.currency,
            shipping_flat: self.shipping_flat,
            shipping_free_from: self.shipping_free_from,
            tax_rates: self.tax_rates.0.clone(),
        }
    }

    /// How long an order may stay unpaid.
    #[must_use]
    pub fn order_expiry(&self) -> Duration {
        Duration::from_secs_f64(self.order_expiry_minutes * 60.0)
    }
}

/// Everything around the shop.
#[derive(Args, Clone, Debug)]
pub struct RuntimeArgs {
    /// `production` refuses defaults that are only good for trying.
    #[arg(long = "env", env = "ESHOPZ_ENV", value_enum, default_value_t = Environment::Development, global = true)]
    pub environment: Environment,

    /// Redis, as `redis://host:port`, for copies and counters; without it they live in the process.
    #[arg(long, env = "ESHOPZ_REDIS_URL", hide_env_values = true, global = true)]
    pub redis_url: Option<Hidden>,

    /// How events travel.
    #[arg(long, env = "ESHOPZ_EVENTS", value_enum, default_value_t = EventTransport::Local, global = true)]
    pub events: EventTransport,

    /// The first part of the names of topics and queues, with `--events sns`.
    #[arg(long, env = "ESHOPZ_EVENTS_PREFIX", default_value = "eshopz", global = true, hide_short_help = true)]
    pub events_prefix: String,

    /// Where secrets come from: `env`, or `aws:NAME` for a secret of AWS Secrets Manager, a JSON object with
    /// `database_url` and the like. A flag or variable counts more than the secret.
    #[arg(long, env = "ESHOPZ_SECRETS", default_value_t = SecretSource::Env, global = true)]
    pub secrets: SecretSource,

    /// Encrypts the signing keys in the database. Without it they are encrypted with a key made from the
    /// user module's database URL in production, and with a well-known one in development.
    #[arg(long, env = "ESHOPZ_SECRET_KEY", hide_env_values = true, global = true, hide_short_help = true)]
    pub secret_key: Option<Hidden>,

    /// The secret key before this one, while what was made with it is still around.
    #[arg(long, env = "ESHOPZ_SECRET_KEY_PREVIOUS", hide_env_values = true, global = true, hide_short_help = true)]
    pub secret_key_previous: Option<Hidden>,

    /// Ed25519 private keys as PKCS#8 PEM, one after another: the first signs access tokens, all are shown.
    /// Without them the keys are made by the shop and kept in the database, encrypted.
    #[arg(long, env = "ESHOPZ_SIGNING_KEYS", hide_env_values = true, global = true, hide_short_help = true)]
    pub signing_keys: Option<Hidden>,

    /// Who moves the money; `sandbox` outside production.
    #[arg(long, env = "ESHOPZ_PAYMENT_GATEWAY", value_enum, global = true)]
    pub payment_gateway: Option<PaymentGateway>,

    /// `manual` authorises a payment first and collects it by a capture.
    #[arg(long, env = "ESHOPZ_PAYMENT_CAPTURE", value_enum, default_value_t = Capture::Automatic, global = true)]
    pub payment_capture: Capture,

    /// Milliseconds after which a gateway's silence counts as an unknown outcome.
    #[arg(long, env = "ESHOPZ_GATEWAY_TIMEOUT_MS", default_value_t = 5_000, global = true, hide_short_help = true)]
    pub gateway_timeout_ms: u64,

    /// Signs the gateway's webhooks; the sandbox's have a well-known one.
    #[arg(long, env = "ESHOPZ_WEBHOOK_SECRET", hide_env_values = true, global = true, hide_short_help = true)]
    pub webhook_secret: Option<Hidden>,

    /// Whether products are remembered, in the process and in Redis.
    #[arg(long, env = "ESHOPZ_PRODUCT_CACHE", value_enum, default_value_t = Switch::On, global = true,
          hide_short_help = true)]
    pub product_cache: Switch,

    /// The general limit per client address; on in production, off in development.
    #[arg(long, env = "ESHOPZ_RATE_LIMIT", value_enum, global = true)]
    pub rate_limit: Option<Switch>,

    /// Requests per minute and client address, when the limit is on.
    #[arg(long, env = "ESHOPZ_RATE_LIMIT_PER_MINUTE", default_value_t = 1_200, global = true, hide_short_help = true)]
    pub rate_limit_per_minute: u64,
}

/// When a confirmed payment is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Capture {
    Automatic,
    Manual,
}

impl RuntimeArgs {
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.environment == Environment::Production
    }

    /// Whether the general limit is on.
    #[must_use]
    pub fn limits_clients(&self) -> bool {
        self.rate_limit.map_or(self.is_production(), |switch| switch == Switch::On)
    }

    /// The gateway in use.
    ///
    /// # Errors
    /// In production, when none is named: the sandbox must not sell real goods by accident.
    pub fn gateway(&self) -> anyhow::Result<PaymentGateway> {
        match self.payment_gateway {
            Some(gateway) => Ok(gateway),
            None if self.is_production() => {
                bail!("in production the payment gateway must be named: set ESHOPZ_PAYMENT_GATEWAY")
            }
            None => Ok(PaymentGateway::Sandbox),
        }
    }

    /// The secret that signs webhooks.
    #[must_use]
    pub fn webhook_secret(&self) -> &str {
        self.webhook_secret.as_deref().unwrap_or("whsec_sandbox")
    }

    /// The secret keys that are set: the current one, then the one before it.
    #[must_use]
    pub fn secret_keys(&self) -> Vec<String> {
        let given = self.secret_key.iter().chain(&self.secret_key_previous);
        given.filter(|secret| !secret.is_empty()).map(|secret| secret.to_string()).collect()
    }

    /// The secret that encrypts signing keys at rest, never empty.
    ///
    /// # Errors
    /// When nothing lasting is there: a database URL that comes from a secret changes with its password, and
    /// keys encrypted with the one before would be lost.
    pub fn key_secret(&self, user_database_url: &str) -> anyhow::Result<String> {
        let comes_from_secret = matches!(self.secrets, SecretSource::Aws(_));
        match self.secret_keys().into_iter().next() {
            Some(secret) => Ok(secret),
            None if !self.is_production() => Ok("a well-known development secret".to_owned()),
            None if comes_from_secret && self.signing_keys.is_none() => {
                bail!("in production the secret of --secrets needs a `secret_key`, which encrypts the signing keys")
            }
            None => {
                tracing::warn!("ESHOPZ_SECRET_KEY is not set; signing keys are encrypted with the database URL");
                Ok(format!("database:{user_database_url}"))
            }
        }
    }
}

/// What a process is to run, and where.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// The modules to run: `all`, or a list such as `cart,order`. The others are called over HTTP.
    #[arg(long, env = "ESHOPZ_MODULES", default_value = "all", value_delimiter = ',')]
    pub modules: Vec<String>,

    /// Address of the public listener; by default 127.0.0.1 and the port of the only module, or 3000. The
    /// internal listener has the port 1000 above it, the management listener 6000.
    #[arg(long, env = "ESHOPZ_LISTEN")]
    pub listen: Option<SocketAddr>,

    #[command(flatten)]
    pub neighbours: NeighbourArgs,

    /// Worker threads of the public listener; one per core by default.
    #[arg(long, env = "ESHOPZ_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,

    /// Bring the database up to date before starting. Always done for the private server.
    #[arg(long, env = "ESHOPZ_MIGRATE")]
    pub migrate: bool,

    /// Seconds to wait at the start for the database to answer and for its migrations.
    #[arg(long, env = "ESHOPZ_STARTUP_SECONDS", default_value_t = 60)]
    pub startup_seconds: u64,

    /// Seconds between two looks whether the secrets of `--secrets aws:…` have changed.
    #[arg(long, env = "ESHOPZ_SECRETS_REFRESH_SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub secrets_refresh_seconds: u64,

    /// Seconds that requests under way may take to end after SIGTERM.
    #[arg(long, env = "ESHOPZ_GRACE_SECONDS", default_value_t = 25)]
    pub grace_seconds: u64,

    /// Seconds between saying 503 on `/health/ready` and closing the doors, for a load balancer to notice; kept
    /// connections end with their next answer.
    #[arg(long, env = "ESHOPZ_DRAIN_SECONDS", default_value_t = 1)]
    pub drain_seconds: u64,
}

/// The three listeners of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub public: SocketAddr,
    pub internal: SocketAddr,
    pub management: SocketAddr,
}

impl ServeArgs {
    /// The selected modules, in the order of the call graph.
    ///
    /// # Errors
    /// When a name is no module, or the modules call each other in a circle.
    pub fn selection(&self) -> anyhow::Result<Vec<Module>> {
        if let Some((module, other)) = modules::circle() {
            bail!("{module} uses {other}, which is not below it: the modules cannot be put in an order");
        }
        Module::parse_selection(&self.modules)
    }

    /// Threads of a listener.
    #[must_use]
    pub fn workers(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        self.workers.map_or_else(cores, usize::from)
    }

    /// Where the listeners are.
    ///
    /// # Errors
    /// When the management port would be past 65535.
    pub fn addresses(&self, selected: &[Module]) -> anyhow::Result<Addresses> {
        let public = match self.listen {
            Some(address) => address,
            None => SocketAddr::from(([127, 0, 0, 1], Module::default_port(selected))),
        };
        let above = |offset: u16| {
            let port = public.port().checked_add(offset);
            let port = port
                .with_context(|| format!("--listen {public}: choose a port below {}", u16::MAX - MANAGEMENT_OFFSET))?;
            anyhow::Ok(SocketAddr::new(public.ip(), port))
        };
        Ok(Addresses { public, internal: above(INTERNAL_OFFSET)?, management: above(MANAGEMENT_OFFSET)? })
    }
}
