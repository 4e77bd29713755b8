//! Connections and where they lead: a pool whose address can change while it is in use.
//!
//! A connection remembers the generation of the address that it was opened with. After a change the
//! older ones are not lent again: idle ones go at once, those in use when they come back.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolBuilder, RecycleError, RecycleResult};
use diesel::ConnectionError;
use diesel_async::pooled_connection::PoolableConnection as _;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use eshopz_kernel::error_chain;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

use super::StoreError;
use super::statements::Statements;

/// A connection that nobody took for so long is asked whether it lives: the server may have vanished, or hang.
const QUIET: Duration = Duration::from_secs(1);
/// How long it may take to say so.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// Asked of every server once, when it has let us in. A statement of a client that is gone is broken off, and with it
/// what it holds: else the locks of whoever died in the middle stay until the statement has had its time. A server of
/// another system than Linux cannot, which is no reason to do without it.
macro_rules! greeting {
    ($more:literal) => {
        concat!(
            "DO $$ BEGIN \
                BEGIN PERFORM set_config('client_connection_check_interval', '1s', false); \
                EXCEPTION WHEN invalid_parameter_value OR undefined_object THEN NULL; END; ",
            $more,
            "END $$"
        )
    };
}

/// What a pool's connections are for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Writer,
    Reader,
}

impl Role {
    const fn greeting(self) -> &'static str {
        match self {
            // The address may lead to the old writer for a while after a failover, and that serves reads by then:
            // such a connection would be lent until the process ends.
            Self::Writer => greeting!(
                "IF pg_is_in_recovery() THEN \
                    RAISE read_only_sql_transaction USING MESSAGE = 'this server is a standby, not the writer'; \
                 END IF; "
            ),
            Self::Reader => greeting!(""),
        }
    }
}

/// Where a pool's connections lead. Clones share it.
#[derive(Clone)]
pub(super) struct Address(Arc<RwLock<Target>>);

#[derive(Clone)]
struct Target {
    /// `None` when there is nowhere to go.
    config: Option<Config>,
    generation: u64,
}

impl Address {
    fn now(&self) -> Target {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn generation(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Whether it leads anywhere.
    pub(super) fn is_known(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).config.is_some()
    }

    pub(super) fn config(&self) -> Option<Config> {
        self.now().config
    }

    /// False when it is the same as before.
    fn change(&self, config: Option<Config>) -> bool {
        let mut target = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if target.config == config {
            return false;
        }
        *target = Target { config, generation: target.generation.wrapping_add(1) };
        true
    }
}

/// Opens connections, and closes those that lead elsewhere.
pub(super) struct Sessions {
    schema: &'static str,
    address: Address,
    /// A connection is driven by the runtime that opened it. A worker's ends before the relay and the
    /// jobs do, so connections belong to the runtime that made the pool.
    runtime: Handle,
    role: Role,
    refused: Arc<Notify>,
}

/// A connection and the generation of the address that it was opened with.
pub(super) struct Session {
    /// None once it was left in the middle of a transaction, and closed for that.
    conn: Option<AsyncPgConnection>,
    generation: u64,
}

impl Sessions {
    async fn open(&self, config: Config) -> Result<AsyncPgConnection, ConnectionError> {
        // A set, so that the attempt ends with whoever waits for it.
        let mut opening = JoinSet::new();
        opening.spawn_on(establish(config, self.role, Arc::clone(&self.refused)), &self.runtime);
        match opening.join_next().await {
            Some(Ok(Ok(mut conn))) => {
                conn.set_instrumentation(Statements::of(self.schema));
                Ok(conn)
            }
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(bad_connection(&error)),
            None => Err(ConnectionError::BadConnection("nobody has opened it".to_owned())),
        }
    }
}

impl Manager for Sessions {
    type Type = Session;
    type Error = ConnectionError;

    async fn create(&self) -> Result<Session, ConnectionError> {
        loop {
            let Target { config, generation } = self.address.now();
            let config =
                config.ok_or_else(|| ConnectionError::BadConnection("there is no such database".to_owned()))?;
            match self.open(config).await {
                Ok(conn) => return Ok(Session { conn: Some(conn), generation }),
                // The address has changed in the meantime, and what it was is closed: no reason to fail.
                Err(_) if generation != self.address.generation() => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn recycle(&self, session: &mut Session, metrics: &Metrics) -> RecycleResult<ConnectionError> {
        if session.generation != self.address.generation() {
            return Err(RecycleError::message("it leads to where the database was before"));
        }
        let Some(conn) = &mut session.conn else {
            return Err(RecycleError::message("it was left in a transaction"));
        };
        if conn.is_broken() {
            return Err(RecycleError::message("it is broken"));
        }
        if metrics.last_used() > QUIET && !answers(conn).await {
            return Err(RecycleError::message("it does not answer"));
        }
        Ok(())
    }
}

/// A connection on loan from the pool.
pub struct Conn(Object<Sessions>);

impl From<Object<Sessions>> for Conn {
    fn from(object: Object<Sessions>) -> Self {
        Self(object)
    }
}

impl Deref for Conn {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        match &self.0.conn {
            Some(conn) => conn,
            None => unreachable!("it is taken only when it is dropped"),
        }
    }
}

impl DerefMut for Conn {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        match &mut self.0.conn {
            Some(conn) => conn,
            None => unreachable!("it is taken only when it is dropped"),
        }
    }
}

impl Drop for Conn {
    /// A request that was dropped in the middle of its transaction leaves it open. It is ended now, and not when
    /// the pool lends the connection again: until then others would wait for its locks.
    fn drop(&mut self) {
        if self.0.conn.as_mut().is_some_and(|conn| conn.is_broken()) {
            self.0.conn = None;
        }
    }
}

/// A pool and its address.
#[derive(Clone)]
pub(super) struct Lane {
    pub(super) pool: Pool<Sessions, Conn>,
    pub(super) address: Address,
    /// Told when the server refuses the user or the password.
    pub(super) refused: Arc<Notify>,
}

impl Lane {
    /// A pool in the present runtime; `built` sets its size and waiting times. No connection is opened yet.
    pub(super) fn new(
        schema: &'static str,
        config: Option<Config>,
        role: Role,
        built: impl FnOnce(PoolBuilder<Sessions, Conn>) -> PoolBuilder<Sessions, Conn>,
    ) -> Result<Self, StoreError> {
        let address = Address(Arc::new(RwLock::new(Target { config, generation: 0 })));
        let refused = Arc::<Notify>::default();
        let sessions = Sessions {
            schema,
            address: address.clone(),
            runtime: Handle::current(),
            role,
            refused: Arc::clone(&refused),
        };
        let pool = built(Pool::builder(sessions)).build().map_err(|error| StoreError::Pool(error.to_string()))?;
        Ok(Self { pool, address, refused })
    }

    /// New connections lead to another place; idle ones that do not are closed. False when it is the same place.
    pub(super) fn lead_to(&self, config: Option<Config>) -> bool {
        let changed = self.address.change(config);
        if changed {
            let generation = self.address.generation();
            self.pool.retain(|session, _| session.generation == generation);
        }
        changed
    }
}

/// One round trip that asks for nothing.
async fn answers(conn: &mut AsyncPgConnection) -> bool {
    matches!(tokio::time::timeout(SIGN_OF_LIFE, conn.batch_execute("")).await, Ok(Ok(())))
}

async fn establish(config: Config, role: Role, refused: Arc<Notify>) -> diesel::ConnectionResult<AsyncPgConnection> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| {
        if matches!(error.code(), Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION)) {
            refused.notify_one();
        }
        bad_connection(&error)
    })?;
    let mut conn = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
    conn.batch_execute(role.greeting()).await.map_err(|error| bad_connection(&error))?;
    Ok(conn)
}

fn bad_connection(error: &dyn std::error::Error) -> ConnectionError {
    ConnectionError::BadConnection(error_chain(error))
}
