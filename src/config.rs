//! The configuration: one struct per concern. Every value is a flag and an `ESHOPZ_…` variable, and is
//! documented where it is read, here; `eshopz <command> --help` shows the same words.

mod describe;
mod tax;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
pub use describe::describe;
use eshopz_kernel::{Currency, Pricing};
use eshopz_platform::db::DbConfig;
pub use tax::TaxRates;
use tax::parse_tax_rates;

use crate::modules::Module;

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
    /// Handed over directly.
    Local,
}

/// Where secrets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SecretSource {
    /// The environment.
    Env,
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
    pub database_url: Option<String>,

    /// The user module's own database URL.
    #[arg(long, env = "ESHOPZ_USER_DATABASE_URL", hide_env_values = true, global = true, hide_short_help = true)]
    pub user_database_url: Option<String>,

    /// The product module's own database URL.
    #[arg(long, env = "ESHOPZ_PRODUCT_DATABASE_URL", hide_env_values = true, global = true, hide_short_help = true)]
    pub product_database_url: Option<String>,

    /// The cart module's own database URL.
    #[arg(long, env = "ESHOPZ_CART_DATABASE_URL", hide_env_values = true, global = true, hide_short_help = true)]
    pub cart_database_url: Option<String>,

    /// The payment module's own database URL.
    #[arg(long, env = "ESHOPZ_PAYMENT_DATABASE_URL", hide_env_values = true, global = true, hide_short_help = true)]
    pub payment_database_url: Option<String>,

    /// The order module's own database URL.
    #[arg(long, env = "ESHOPZ_ORDER_DATABASE_URL", hide_env_values = true, global = true, hide_short_help = true)]
    pub order_database_url: Option<String>,

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
    fn own_url(&self, module: Module) -> Option<&String> {
        match module {
            Module::User => self.user_database_url.as_ref(),
            Module::Product => self.product_database_url.as_ref(),
            Module::Cart => self.cart_database_url.as_ref(),
            Module::Payment => self.payment_database_url.as_ref(),
            Module::Order => self.order_database_url.as_ref(),
        }
    }

    /// Whether every module has a server to go to, so that none has to be started.
    #[must_use]
    pub fn is_external(&self) -> bool {
        self.database_url.is_some() || Module::ALL.iter().all(|module| self.own_url(*module).is_some())
    }

    /// A module's pool settings; `embedded` is the URL of the private server, if one runs.
    ///
    /// # Errors
    /// When nothing says where the module's database is.
    pub fn config(&self, module: Module, embedded: Option<&str>) -> anyhow::Result<DbConfig> {
        let url = self
            .own_url(module)
            .or(self.database_url.as_ref())
            .cloned()
            .or_else(|| embedded.map(str::to_owned))
            .with_context(|| {
                format!(
                    "the {module} module has no database: set ESHOPZ_DATABASE_URL or ESHOPZ_{}_DATABASE_URL",
                    module.name().to_uppercase()
                )
            })?;
        Ok(DbConfig {
            url,
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

    /// Redis, as `redis://host:port`; without it counters live in the process.
    #[arg(long, env = "ESHOPZ_REDIS_URL", hide_env_values = true, global = true)]
    pub redis_url: Option<String>,

    /// How events travel.
    #[arg(long, env = "ESHOPZ_EVENTS", value_enum, default_value_t = EventTransport::Local, global = true)]
    pub events: EventTransport,

    /// Where secrets come from.
    #[arg(long, env = "ESHOPZ_SECRETS", value_enum, default_value_t = SecretSource::Env, global = true)]
    pub secrets: SecretSource,

    /// Encrypts the signing keys in the database. Without it they are encrypted with a key made from the
    /// user module's database URL in production, and with a well-known one in development.
    #[arg(long, env = "ESHOPZ_SECRET_KEY", hide_env_values = true, global = true, hide_short_help = true)]
    pub secret_key: Option<String>,

    /// Who moves the money; `sandbox` outside production.
    #[arg(long, env = "ESHOPZ_PAYMENT_GATEWAY", value_enum, global = true)]
    pub payment_gateway: Option<PaymentGateway>,

    /// `manual` authorises a payment first and collects it by a capture.
    #[arg(long, env = "ESHOPZ_PAYMENT_CAPTURE", value_enum, default_value_t = Capture::Automatic, global = true)]
    pub payment_capture: Capture,

    /// Milliseconds after which a gateway's silence counts as an unknown outcome.
    #[arg(long, env = "ESHOPZ_GATEWAY_TIMEOUT_MS", default_value_t = 5_000, global = true, hide_short_help = true)]
    pub gateway_timeout_ms: u64,

    /// Signs the sandbox gateway's webhooks.
    #[arg(
        long,
        env = "ESHOPZ_WEBHOOK_SECRET",
        default_value = "whsec_sandbox",
        hide_env_values = true,
        global = true,
        hide_short_help = true
    )]
    pub webhook_secret: String,

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

    /// The secret that encrypts signing keys at rest, never empty.
    #[must_use]
    pub fn key_secret(&self, user_database_url: &str) -> String {
        match &self.secret_key {
            Some(secret) if !secret.is_empty() => secret.clone(),
            _ if self.is_production() => {
                tracing::warn!("ESHOPZ_SECRET_KEY is not set; signing keys are encrypted with the database URL");
                format!("database:{user_database_url}")
            }
            _ => "a well-known development secret".to_owned(),
        }
    }
}

/// The listeners.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// The modules to run: `all`, or a list such as `cart,order`.
    #[arg(long, env = "ESHOPZ_MODULES", default_value = "all", value_delimiter = ',')]
    pub modules: Vec<String>,

    /// Address of the public listener. The management listener has the port 6000 above it.
    #[arg(long, env = "ESHOPZ_LISTEN")]
    pub listen: Option<SocketAddr>,

    /// Worker threads of the public listener; one per core by default.
    #[arg(long, env = "ESHOPZ_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,

    /// Bring the database up to date before starting. Always done for the private server.
    #[arg(long, env = "ESHOPZ_MIGRATE")]
    pub migrate: bool,

    /// Seconds that requests under way may take to end after SIGTERM.
    #[arg(long, env = "ESHOPZ_GRACE_SECONDS", default_value_t = 25)]
    pub grace_seconds: u64,

    /// Seconds between saying 503 on `/health/ready` and closing the doors, for a load balancer to notice.
    #[arg(long, env = "ESHOPZ_DRAIN_SECONDS", default_value_t = 0)]
    pub drain_seconds: u64,
}

/// Ports above the public one (one rule for every process).
pub const MANAGEMENT_OFFSET: u16 = 6_000;

impl ServeArgs {
    /// The selected modules, in the order of the call graph.
    ///
    /// # Errors
    /// When a name is no module, or the selection is not the whole: modules cannot be split yet.
    pub fn selection(&self) -> anyhow::Result<Vec<Module>> {
        let selected = Module::parse_selection(&self.modules)?;
        if selected.len() != Module::ALL.len() {
            bail!("this version runs all modules in one process; start it with --modules all");
        }
        Ok(selected)
    }

    /// Public and management address.
    ///
    /// # Errors
    /// When the management port would be past 65535.
    pub fn addresses(&self, selected: &[Module]) -> anyhow::Result<(SocketAddr, SocketAddr)> {
        let public = match self.listen {
            Some(address) => address,
            None => SocketAddr::from(([127, 0, 0, 1], Module::default_port(selected))),
        };
        let port = public
            .port()
            .checked_add(MANAGEMENT_OFFSET)
            .with_context(|| format!("--listen {public}: choose a port below {}", u16::MAX - MANAGEMENT_OFFSET))?;
        Ok((public, SocketAddr::new(public.ip(), port)))
    }
}
