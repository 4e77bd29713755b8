//! Where the databases are.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use eshopz_platform::db::{DbConfig, encryption};
use tokio_postgres::config::Host;

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

    /// A replica of the database, for lists and histories, where an answer a moment old does no harm. Not for a
    /// module whose own URL leads to another database.
    #[arg(long, env = "ESHOPZ_DATABASE_READER_URL", hide_env_values = true, global = true)]
    pub database_reader_url: Option<Hidden>,

    /// Certificates (PEM) that PostgreSQL is trusted by, beside those of the system, such as the bundle of RDS. Every
    /// connection is then encrypted, unless its URL says `sslmode=disable`.
    #[arg(long, env = "ESHOPZ_DATABASE_CA_FILE", global = true, hide_short_help = true)]
    pub database_ca_file: Option<PathBuf>,

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

/// A setting that is empty is none: templates of deployments set it so.
fn filled(setting: &Option<Hidden>) -> Option<&Hidden> {
    setting.as_ref().filter(|url| !url.is_empty())
}

impl DatabaseArgs {
    fn own_url(&self, module: Module) -> Option<&Hidden> {
        filled(match module {
            Module::User => &self.user_database_url,
            Module::Product => &self.product_database_url,
            Module::Cart => &self.cart_database_url,
            Module::Payment => &self.payment_database_url,
            Module::Order => &self.order_database_url,
        })
    }

    fn url(&self, module: Module) -> Option<&Hidden> {
        self.own_url(module).or(filled(&self.database_url))
    }

    /// The replica, if it is one of the module's database: that of the common URL, or where there is none, of
    /// all that are set.
    fn reader_url(&self, module: Module) -> Option<&Hidden> {
        let own = place(self.url(module)?)?;
        let is_there = |url: &Hidden| place(url).as_ref() == Some(&own);
        let of_it = match filled(&self.database_url) {
            Some(url) => is_there(url),
            None => Module::ALL.iter().filter_map(|other| self.own_url(*other)).all(is_there),
        };
        filled(&self.database_reader_url).filter(|_| of_it)
    }

    /// Whether each of these modules has a server to go to, so that none has to be started.
    #[must_use]
    pub fn is_external(&self, modules: &[Module]) -> bool {
        modules.iter().all(|module| self.url(*module).is_some())
    }

    /// A module's pool settings; `embedded` is the URL of the private server, if one runs.
    ///
    /// # Errors
    /// When nothing says where the module's database is.
    pub fn config(&self, module: Module, embedded: Option<&str>) -> anyhow::Result<DbConfig> {
        let url =
            self.url(module).map(|url| url.to_string()).or_else(|| embedded.map(str::to_owned)).with_context(|| {
                format!(
                    "the {module} module has no database: set ESHOPZ_DATABASE_URL or ESHOPZ_{}_DATABASE_URL",
                    module.name().to_uppercase()
                )
            })?;
        Ok(DbConfig {
            url,
            reader_url: self.reader_url(module).map(|url| url.to_string()),
            max_connections: usize::from(self.database_pool),
            acquire_timeout: Duration::from_millis(self.database_wait_ms),
        })
    }
}

/// A database: its servers, each with its port, and its name.
#[derive(PartialEq)]
struct Place {
    servers: Vec<(Option<Host>, Option<IpAddr>, u16)>,
    name: Option<String>,
}

/// Where a URL leads, whoever goes there. None when it cannot be read.
fn place(url: &str) -> Option<Place> {
    let config = encryption::parse(url).ok()?;
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let port = |index| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let server = |index| (hosts.get(index).cloned(), addresses.get(index).copied(), port(index));
    Some(Place {
        servers: (0..hosts.len().max(addresses.len())).map(server).collect(),
        name: config.get_dbname().or(config.get_user()).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    fn args(arguments: &[&str]) -> DatabaseArgs {
        Cli::parse_from(["eshopz", "config"].iter().chain(arguments)).settings.database
    }

    fn readers(args: &DatabaseArgs) -> Vec<Module> {
        let reads = |module: &Module| args.config(*module, None).is_ok_and(|config| config.reader_url.is_some());
        Module::ALL.into_iter().filter(reads).collect()
    }

    #[test]
    fn what_is_empty_is_not_set() {
        let nothing = args(&["--database-url", "", "--user-database-url", "", "--database-reader-url", ""]);
        assert!(!nothing.is_external(&Module::ALL) && nothing.config(Module::User, None).is_err());
        assert_eq!(nothing.config(Module::User, Some("postgres://private/x")).unwrap().url, "postgres://private/x");
        let shared =
            args(&["--database-url", "postgres://h/x", "--user-database-url", "", "--database-reader-url", ""]);
        assert_eq!(shared.config(Module::User, None).unwrap().url, "postgres://h/x");
        assert_eq!(readers(&shared), []);
    }

    #[test]
    fn a_module_in_another_database_has_no_replica() {
        let all = [Module::User, Module::Product, Module::Cart, Module::Payment, Module::Order];
        let common =
            ["--database-url", "postgres://shop:x@db/shop", "--database-reader-url", "postgres://replica/shop"];
        assert_eq!(readers(&args(&common)), all);
        for same in ["postgres://users:y@db:5432/shop?sslmode=disable", "host=db user=users dbname=shop"] {
            assert_eq!(readers(&args(&[&common[..], &["--user-database-url", same]].concat())), all, "{same}");
        }
        for other in ["postgres://shop:x@other/shop", "postgres://shop:x@db:5433/shop", "postgres://shop:x@db/users"] {
            assert_eq!(readers(&args(&[&common[..], &["--user-database-url", other]].concat())), all[1..], "{other}");
        }
        // Without a common one it is of whichever database the modules share.
        let reader = ["--database-reader-url", "postgres://replica/shop"];
        let user = ["--user-database-url", "postgres://users@db/shop"];
        let cart = ["--cart-database-url", "postgres://carts@db/shop"];
        let far = ["--order-database-url", "postgres://orders@db/orders"];
        assert_eq!(readers(&args(&[reader, user, cart].concat())), [Module::User, Module::Cart]);
        assert_eq!(readers(&args(&[reader, user, cart, far].concat())), []);
        let private = args(&reader).config(Module::User, Some("postgres://private/x")).unwrap();
        assert_eq!(private.reader_url, None, "nobody replicates a private server");
    }
}
