//! Where the databases are.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use eshopz_platform::db::DbConfig;

use super::Hidden;
use crate::modules::Module;

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
