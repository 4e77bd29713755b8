//! The door to PostgreSQL: one pool per module, each connection in that module's role and schema.
//!
//! A connection starts with `role=<schema>` and `search_path=<schema>, public`, so a module cannot
//! read its neighbours' tables even by mistake, and the tables that every module has (outbox, inbox,
//! idempotency keys, leases) are found without naming the schema.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::{Object, Pool, PoolError};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use eshopz_kernel::Fault;
use futures::FutureExt as _;
use tokio::runtime::Handle;
use tokio_postgres::NoTls;

/// A connection on loan from the pool.
pub type Conn = Object<AsyncPgConnection>;

/// Where the database is and how many connections a module may hold.
#[derive(Clone, Debug)]
pub struct DbConfig {
    /// `postgres://…`, as libpq writes it.
    pub url: String,
    pub max_connections: usize,
    /// How long a request waits for a free connection before it is told 503.
    pub acquire_timeout: Duration,
}

/// A module's pool. Clones share it.
#[derive(Clone)]
pub struct Db {
    pool: Pool<AsyncPgConnection>,
    schema: &'static str,
    raw: tokio_postgres::Config,
}

/// A statement, or the way to the database, failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database URL is not valid: {0}")]
    Url(tokio_postgres::Error),
    #[error("no database connection: {0}")]
    Pool(String),
    #[error(transparent)]
    Query(DieselError),
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        Self::Query(error)
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        Self::Pool(error.to_string())
    }
}

impl StoreError {
    /// The name of the constraint that a statement broke, for the module to give it its meaning.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Query(error) => violated_constraint(error),
            Self::Url(_) | Self::Pool(_) => None,
        }
    }
}

/// The name of the constraint that a statement broke.
#[must_use]
pub fn violated_constraint(error: &DieselError) -> Option<&str> {
    match error {
        DieselError::DatabaseError(_, info) => info.constraint_name(),
        _ => None,
    }
}

/// The way to PostgreSQL is lost or it asks for a repeat: 503 rather than 500.
fn is_passing(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::UnableToSendCommand,
            _,
        )
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(_, info) => {
            let text = info.message();
            text.contains("terminating connection")
                || text.contains("connection closed")
                || text.contains("deadlock detected")
                || text.contains("the database system is")
                || text.contains("canceling statement due to")
        }
        _ => false,
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let passing = match &error {
            StoreError::Url(_) => false,
            StoreError::Pool(_) => true,
            StoreError::Query(query) => is_passing(query),
        };
        if passing {
            Self::unavailable("The shop cannot reach its database just now. Try again in a moment.", 1).caused_by(error)
        } else {
            Self::internal("database").caused_by(error)
        }
    }
}

impl Db {
    /// Makes a module's pool, to be called within a Tokio runtime. No connection is opened yet.
    ///
    /// # Errors
    /// [`StoreError::Url`] when the URL cannot be read.
    pub fn new(schema: &'static str, config: &DbConfig) -> Result<Self, StoreError> {
        let raw = session_config(schema, &config.url)?;
        let setup_config = raw.clone();
        // A connection is driven by the runtime that opened it. A worker's ends before the relay and the
        // jobs do, so connections belong to the runtime that made the pool.
        let runtime = Handle::current();
        let mut manager_config = ManagerConfig::default();
        manager_config.recycling_method = RecyclingMethod::Fast;
        manager_config.custom_setup = Box::new(move |_| {
            let opening = runtime.spawn(establish(setup_config.clone()));
            async move { opening.await.unwrap_or_else(|error| Err(bad_connection(&error))) }.boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(config.url.clone(), manager_config);
        let pool = Pool::builder(manager)
            .max_size(config.max_connections)
            .wait_timeout(Some(config.acquire_timeout))
            .create_timeout(Some(config.acquire_timeout))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Pool(error.to_string()))?;
        Ok(Self { pool, schema, raw })
    }

    /// The module's schema, which is also the name of its role.
    #[must_use]
    pub const fn schema(&self) -> &'static str {
        self.schema
    }

    /// Borrows a connection.
    ///
    /// # Errors
    /// [`StoreError::Pool`] when none is free in time or the server cannot be reached.
    pub async fn conn(&self) -> Result<Conn, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// How to open a connection of one's own, outside the pool, for `LISTEN`.
    #[must_use]
    pub const fn session_config(&self) -> &tokio_postgres::Config {
        &self.raw
    }

    /// Open and idle connections of the pool, for the metrics: `(size, available)`.
    #[must_use]
    pub fn pool_status(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.available)
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// The URL as a session configuration in a module's role.
fn session_config(schema: &str, url: &str) -> Result<tokio_postgres::Config, StoreError> {
    let mut raw: tokio_postgres::Config = url.parse().map_err(StoreError::Url)?;
    let given = raw.get_options().unwrap_or_default();
    let options = format!(
        "{given} -c role={schema} -c search_path={schema},public -c timezone=UTC -c jit=off \
         -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s"
    );
    raw.options(options.trim());
    raw.application_name(format!("eshopz-{schema}"));
    raw.connect_timeout(Duration::from_secs(5));
    Ok(raw)
}

async fn establish(config: tokio_postgres::Config) -> diesel::ConnectionResult<AsyncPgConnection> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| bad_connection(&error))?;
    AsyncPgConnection::try_from_client_and_connection(client, connection).await
}

fn bad_connection(error: &dyn std::error::Error) -> diesel::ConnectionError {
    diesel::ConnectionError::BadConnection(error_chain(error))
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
