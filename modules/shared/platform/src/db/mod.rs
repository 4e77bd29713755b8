//! The door to PostgreSQL: one pool per module, each connection in that module's role and schema.
//!
//! A connection starts with `role=<schema>` and `search_path=<schema>, public`, so a module cannot
//! read its neighbours' tables even by mistake, and the tables that every module has (outbox, inbox,
//! idempotency keys, leases) are found without naming the schema.

mod clock;
pub mod encryption;
mod error;
mod places;
mod pool;
mod reader;
mod session;
mod single;
mod statements;
mod summary;

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::IntoSql as _;
use diesel::dsl::now;
use diesel::sql_types::Timestamptz;
use tokio::sync::watch;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

pub use error::{StoreError, violated_constraint};
pub use pool::Conn;
pub use single::Single;

use crate::tasks::Tasks;
use clock::Clock;
use pool::Lane;
use reader::Reader;
use session::Role;

/// Where the database is and how many connections a module may hold.
#[derive(Clone)]
pub struct DbConfig {
    /// `postgres://…`, as libpq writes it.
    pub url: String,
    /// The same for a replica that may answer reads; see [`Db::read_conn`].
    pub reader_url: Option<String>,
    /// To each of the two.
    pub max_connections: usize,
    /// How long a request waits for a free connection before it is told 503.
    pub acquire_timeout: Duration,
}

impl DbConfig {
    /// Whether the URLs can be read, before anything is begun with them.
    ///
    /// # Errors
    /// [`StoreError::Url`], which quotes nothing of them.
    pub fn check(&self) -> Result<(), StoreError> {
        session_configs("", self).map(drop)
    }
}

/// Without the URLs, which hold passwords.
impl fmt::Debug for DbConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbConfig")
            .field("reader", &self.reader_url.is_some())
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .finish_non_exhaustive()
    }
}

/// A module's pool. Clones share it.
#[derive(Clone)]
pub struct Db {
    schema: &'static str,
    writer: Lane,
    reader: Reader,
    tasks: Tasks,
    clock: Clock,
    /// Told at each change of the writer's address.
    moved: watch::Sender<()>,
}

impl Db {
    /// Makes a module's pool, to be called within a Tokio runtime. No connection is opened yet.
    ///
    /// # Errors
    /// [`StoreError::Url`] when a URL cannot be read.
    pub fn new(schema: &'static str, config: &DbConfig) -> Result<Self, StoreError> {
        let (writer, reader) = session_configs(schema, config)?;
        let (size, patience) = (config.max_connections, config.acquire_timeout);
        let module = module_of(schema);
        let writer = Lane::new(module, Some(writer), Role::Writer, size, patience);
        let reader = Reader::new(module, reader, size);
        Ok(Self {
            schema,
            writer,
            reader,
            tasks: Tasks::new(),
            clock: Clock::default(),
            moved: watch::Sender::default(),
        })
    }

    /// The module's schema, which is also the name of its role.
    #[must_use]
    pub const fn schema(&self) -> &'static str {
        self.schema
    }

    /// The module, as metrics and logs name it.
    #[must_use]
    pub fn module(&self) -> &'static str {
        module_of(self.schema)
    }

    /// Borrows a connection to the writer.
    ///
    /// # Errors
    /// [`StoreError::Pool`] when none is free in time, so many wait already that this one would wait in vain, or
    /// the server cannot be reached.
    pub async fn conn(&self) -> Result<Conn, StoreError> {
        self.writer.conn().await
    }

    /// Borrows a connection for reading only: the reader's, where nothing can be written, or the writer's
    /// when there is no reader or it cannot be had within 250 ms (it is then left alone for a second).
    ///
    /// What it shows may be some seconds old. So it is for lists and histories, where a row that comes a
    /// moment late misleads nobody. It is not for
    /// - whatever a change is decided by: owner checks, locks, balances, keys, sessions, jobs, listeners;
    /// - what carries an `ETag` for an `If-Match`;
    /// - a single resource by its id: who has just made it must find it. Where a history belongs to one,
    ///   the resource is looked for with [`Db::conn`] and only the history's rows are read here.
    ///
    /// # Errors
    /// As [`Db::conn`].
    pub async fn read_conn(&self) -> Result<Conn, StoreError> {
        let conn = self.reader.conn(self.module()).await;
        let from = if conn.is_some() { "reader" } else { "writer" };
        metrics::counter!("eshopz_db_reads_total", "module" => self.module(), "from" => from).increment(1);
        match conn {
            Some(conn) => Ok(conn),
            None => self.conn().await,
        }
    }

    /// Now, by the writer's clock, which is one for all processes: that of a process may be wrong. It is asked for every
    /// few seconds, and reckoned in between.
    ///
    /// # Errors
    /// As [`Db::conn`].
    pub async fn clock(&self) -> Result<DateTime<Utc>, StoreError> {
        if let Some(reckoned) = self.clock.now() {
            return Ok(reckoned);
        }
        let mut conn = self.conn().await?;
        let told: DateTime<Utc> = diesel::select(now.into_sql::<Timestamptz>()).single(&mut conn).await?;
        self.clock.set(told, std::time::Instant::now());
        Ok(told)
    }

    /// Takes over other URLs, without a restart: new connections lead there at once, idle ones to the old
    /// place are closed, and those in use when they are given back. Nothing happens where a URL is the
    /// same. The size of the pools and the waiting time stay as they are.
    ///
    /// # Errors
    /// [`StoreError::Url`] when one cannot be read; nothing is changed then.
    pub fn reconfigure(&self, config: &DbConfig) -> Result<(), StoreError> {
        let (writer, reader) = session_configs(self.schema, config)?;
        self.reader.lead_to(reader);
        if self.writer.lead_to(Some(writer)) {
            self.clock.forget();
            self.moved.send_replace(());
        }
        Ok(())
    }

    /// Ends at the next change of the writer's address after this call, for who holds a connection outside
    /// the pool.
    pub fn moved(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut moved, _sender) = (self.moved.subscribe(), self.moved.clone());
        async move {
            let _sender = _sender;
            let _ = moved.changed().await;
        }
    }

    /// Ends when the writer refuses the user or the password that the pool has, or has done so since the last
    /// time that somebody waited for it.
    pub async fn refused(&self) {
        self.writer.refused().notified().await;
    }

    /// How to open a connection of one's own, outside the pool, for `LISTEN`.
    #[must_use]
    pub fn session_config(&self) -> Config {
        self.writer.address().config().unwrap_or_default()
    }

    /// Where work goes that outlives its request.
    #[must_use]
    pub const fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Open and idle connections of the writer's pool: `(size, available)`.
    #[must_use]
    pub fn pool_status(&self) -> (usize, usize) {
        self.writer.status()
    }

    /// Sets the gauges of the pools.
    pub fn observe(&self) {
        self.writer.observe();
        self.reader.observe();
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// A module's schema has its name in the plural, since `user` and `order` are words of SQL.
fn module_of(schema: &'static str) -> &'static str {
    schema.strip_suffix('s').unwrap_or(schema)
}

/// The writer's and the reader's sessions.
fn session_configs(schema: &str, config: &DbConfig) -> Result<(Config, Option<Config>), StoreError> {
    let writer = session_config(schema, "database URL", &config.url, "")?;
    let reader = config
        .reader_url
        .as_deref()
        .map(|url| session_config(schema, "database reader URL", url, " -c default_transaction_read_only=on"));
    Ok((writer, reader.transpose()?))
}

/// After so long without a sign of the other side a connection counts as broken off.
const SILENCE: Duration = Duration::from_secs(10);

/// Whether it says where the server is, by name, address or the folder of its socket.
fn names_a_host(config: &Config) -> bool {
    let is_name = |host: &Host| !matches!(host, Host::Tcp(name) if name.is_empty());
    !config.get_hostaddrs().is_empty() || config.get_hosts().iter().any(is_name)
}

/// The URL as a session configuration in a module's role.
fn session_config(schema: &str, which: &'static str, url: &str, more: &str) -> Result<Config, StoreError> {
    let mut raw: Config = encryption::parse(url).map_err(|error| StoreError::url(which, &error))?;
    if !names_a_host(&raw) {
        let advice = ": it names no host; write it as postgres://user:password@host:port/name";
        return Err(StoreError::Url(which, advice.to_owned()));
    }
    let given = raw.get_options().unwrap_or_default();
    let options = format!(
        "{given} -c role={schema} -c search_path={schema},public -c timezone=UTC -c jit=off \
         -c statement_timeout=60s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s{more}"
    );
    raw.options(options.trim());
    raw.application_name(format!("eshopz-{schema}"));
    raw.connect_timeout(Duration::from_secs(5));
    // A server whose machine vanished answers nothing at all, not even with a reset.
    if raw.get_tcp_user_timeout().is_none() {
        raw.tcp_user_timeout(SILENCE).keepalives_idle(SILENCE).keepalives_interval(SILENCE / 5).keepalives_retries(3);
    }
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eshopz_kernel::Fault;

    const SECRET: &str = "pl4nted-s3cret";

    fn config(url: String, reader_url: Option<String>) -> DbConfig {
        DbConfig { url, reader_url, max_connections: 1, acquire_timeout: Duration::from_secs(1) }
    }

    /// URLs that the parser complains about, each with the secret in another place.
    fn malformed() -> Vec<String> {
        vec![
            format!("postgres://u:{SECRET}@h:port/db"),
            format!("postgres://u:{SECRET}@h/db?{SECRET}=1"),
            format!("postgres://u:{SECRET}@h/db?connect_timeout={SECRET}"),
            format!("postgres://u:p@h:{SECRET}/db"),
            format!("postgres://%ff{SECRET}:p@h/db"),
            format!("host=h password=a {SECRET}=b"),
            format!("host=h password=a {SECRET} dbname=b"),
            format!("host=h password='{SECRET}"),
            SECRET.to_owned(),
        ]
    }

    #[tokio::test]
    async fn a_malformed_url_is_never_quoted() {
        let good = "postgres://u:p@h/db".to_owned();
        let db = Db::new("carts", &config(good.clone(), None)).unwrap();
        for bad in malformed() {
            let as_reader = config(good.clone(), Some(bad.clone()));
            for config in [config(bad, None), as_reader] {
                let errors = [Db::new("carts", &config).unwrap_err(), db.reconfigure(&config).unwrap_err()];
                for error in errors {
                    let told = format!("{error} {error:?}");
                    assert!(!told.contains(SECRET), "{told}");
                    assert!(told.contains("is not valid"), "{told}");
                    let fault = Fault::from(error);
                    assert!(!format!("{fault} {fault:?}").contains(SECRET));
                }
            }
        }
    }

    #[test]
    fn a_url_has_to_say_where_the_server_is() {
        let check = |url: &str| config(url.to_owned(), None).check();
        for bad in
            ["", "postgres:///shop", "postgres://u:p@/shop", "postgres://u:p@:5432/shop", "dbname=x", "host='' user=u"]
        {
            let told = check(bad).unwrap_err().to_string();
            assert!(told.starts_with("the database URL is not valid: it names no host; write it as"), "{bad}: {told}");
        }
        for good in [
            "postgres://u:p@h/db",
            "postgres://u@[::1]:5433/db",
            // The folder of a socket, as the private server has it.
            "postgres://u@%2Ftmp%2Fpg/db",
            "postgres:///db?host=/tmp/pg",
            "host=/tmp/pg dbname=x",
            "hostaddr=127.0.0.1 dbname=x",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        let reader = config("postgres://u:p@h/db".to_owned(), Some("postgres:///db".to_owned()));
        assert!(
            reader.check().unwrap_err().to_string().starts_with("the database reader URL is not valid: it names no")
        );
    }

    #[tokio::test]
    async fn the_complaint_says_what_it_safely_can() {
        let config = config("postgres://u:p@h:port/db".to_owned(), None);
        let told = Db::new("carts", &config).unwrap_err().to_string();
        assert_eq!(told, "the database URL is not valid: invalid value for option `port`");
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_reached_is_not_quoted() {
        let url = format!("postgres://u:{SECRET}@127.0.0.1:1/db");
        let config = config(url.clone(), Some(url));
        let db = Db::new("carts", &config).unwrap();
        let errors = [db.conn().await.err().unwrap(), db.read_conn().await.err().unwrap()];
        for error in errors {
            let fault = format!("{:?} {:?} {}", Fault::from(StoreError::Pool(error.to_string())), error, error);
            assert!(!fault.contains(SECRET), "{fault}");
        }
        assert!(!format!("{config:?} {db:?} {:?}", db.session_config()).contains(SECRET));
    }
}
