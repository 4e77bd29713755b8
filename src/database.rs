//! The way from a command to its database: the server that the settings name, or the private one.

use std::collections::BTreeMap;

use anyhow::Context as _;
use eshopz_platform::db::{Db, encryption};
use eshopz_platform::embedded::{Embedded, EmbeddedConfig};
use eshopz_platform::migrate::{Migrator, Progress};

use crate::cli::{Settings, WrongCall, wrong_call};
use crate::migrations;
use crate::modules::Module;

/// Enough for a process of all modules, and for commands beside it.
const EMBEDDED_CONNECTIONS: u32 = 200;

/// An open way to the databases of some modules.
#[derive(Debug)]
pub struct Database {
    settings: Settings,
    modules: Vec<Module>,
    embedded: Option<Embedded>,
}

impl Database {
    /// Finds the database; starts or joins the private server when no URL is set.
    ///
    /// # Errors
    /// When a URL cannot be read, in production without one, or when the private server does not start.
    pub async fn open(settings: &Settings, modules: &[Module]) -> anyhow::Result<Self> {
        let args = &settings.database;
        if let Some(file) = &args.database_ca_file {
            wrong_call(encryption::trust(file).context("ESHOPZ_DATABASE_CA_FILE"))?;
        }
        let opened = |embedded| Self { settings: settings.clone(), modules: modules.to_vec(), embedded };
        if args.is_external(modules) {
            wrong_call(modules.iter().try_for_each(|module| Ok(args.config(*module, None)?.check()?)))?;
            return Ok(opened(None));
        }
        if settings.runtime.is_production() {
            return Err(WrongCall("in production a database must be named: set ESHOPZ_DATABASE_URL".to_owned()).into());
        }
        let embedded = Embedded::start(EmbeddedConfig {
            data_dir: args.data_dir.join("postgres"),
            bin_dir: args.postgres_bin.clone(),
            fsync: true,
            max_connections: EMBEDDED_CONNECTIONS,
        })
        .await?;
        Ok(opened(Some(embedded)))
    }

    /// The same, brought up to date when it is the private server.
    ///
    /// # Errors
    /// Those of [`Database::open`], and of the migrations; a server of yours must be up to date.
    pub async fn open_migrated(settings: &Settings, modules: &[Module]) -> anyhow::Result<Self> {
        let database = Self::open(settings, modules).await?;
        if database.is_embedded() {
            database.migrate(&mut |_| {}).await?;
        } else {
            database.check().await?;
        }
        Ok(database)
    }

    #[must_use]
    pub const fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// A module's URL.
    ///
    /// # Errors
    /// When nothing says where its database is.
    pub fn url(&self, module: Module) -> anyhow::Result<String> {
        Ok(self.settings.database.config(module, self.embedded.as_ref().map(Embedded::url))?.url)
    }

    /// A module's pool.
    ///
    /// # Errors
    /// When its URL is missing or cannot be read.
    pub fn db(&self, module: Module) -> anyhow::Result<Db> {
        let config = self.settings.database.config(module, self.embedded.as_ref().map(Embedded::url))?;
        Ok(Db::new(module.schema(), &config)?)
    }

    /// One migrator per server, with the modules that live there.
    ///
    /// # Errors
    /// When a URL is missing or cannot be read.
    pub fn migrators(&self, modules: &[Module]) -> anyhow::Result<Vec<Migrator>> {
        let mut by_url: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for module in modules {
            by_url.entry(self.url(*module)?).or_default().push(module.name());
        }
        let mut migrators = Vec::new();
        for (url, names) in by_url {
            migrators.push(Migrator::new(&url, migrations::embedded()?)?.only(&names)?);
        }
        Ok(migrators)
    }

    /// Applies what is pending; to the private server for every module, since others will join it.
    ///
    /// # Errors
    /// Those of the migrations.
    pub async fn migrate(&self, progress: &mut (dyn FnMut(Progress<'_>) + Send)) -> anyhow::Result<()> {
        let modules: &[Module] = if self.is_embedded() { &Module::ALL } else { &self.modules };
        for migrator in self.migrators(modules)? {
            migrator.up(progress).await?;
        }
        Ok(())
    }

    /// Refuses a schema that this program does not know.
    ///
    /// # Errors
    /// With the command that mends it.
    pub async fn check(&self) -> anyhow::Result<()> {
        for migrator in self.migrators(&self.modules)? {
            migrator.check().await?;
        }
        Ok(())
    }

    /// Refreshes the planner's picture of a module's tables, after many rows came at once. Only their owner
    /// may: for a module's role this does nothing.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn analyze(&self, module: Module) -> anyhow::Result<()> {
        let (client, connection) = encryption::connect(&encryption::parse(&self.url(module)?)?).await?;
        let connection = tokio::spawn(connection);
        let tables = client
            .query("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = $1", &[&module.schema()])
            .await?
            .iter()
            .map(|row| Ok(format!("{}.{}", module.schema(), row.try_get::<_, String>(0)?)))
            .collect::<Result<Vec<String>, tokio_postgres::Error>>()?;
        client.batch_execute(&format!("ANALYZE {}", tables.join(", "))).await?;
        drop(client);
        connection.await??;
        Ok(())
    }

    /// Gives the database up; the private server stops when nobody else uses it.
    ///
    /// # Errors
    /// When the private server does not end.
    pub async fn close(self) -> anyhow::Result<()> {
        if let Some(embedded) = self.embedded {
            embedded.stop().await?;
        }
        Ok(())
    }
}
