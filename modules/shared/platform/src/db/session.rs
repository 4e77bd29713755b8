//! How a connection is opened: where it leads, in which role, and by which runtime it is driven.
//!
//! It remembers the generation of the address that it was opened with. After a change the older ones are not lent again.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use diesel::ConnectionError;
use diesel_async::pooled_connection::PoolableConnection as _;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use eshopz_kernel::error_chain;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;

use super::encryption;
use super::statements::{Loans, Statements};
use crate::home::Home;

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
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
        }
    }

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

    /// Nowhere, or there, for a pool that begins.
    pub(super) fn new(config: Option<Config>) -> Self {
        Self(Arc::new(RwLock::new(Target { config, generation: 0 })))
    }

    /// False when it is the same as before.
    pub(super) fn change(&self, config: Option<Config>) -> bool {
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
    pub(super) module: &'static str,
    pub(super) address: Address,
    /// Drives what is opened outside a worker.
    pub(super) runtime: Handle,
    pub(super) role: Role,
    /// Told when the server refuses the user or the password.
    pub(super) refused: Arc<Notify>,
}

/// An open connection.
pub(super) struct Session {
    pub(super) conn: AsyncPgConnection,
    generation: u64,
    /// The worker whose runtime drives it; `None` for the pool's own.
    pub(super) home: Option<Home>,
    /// When it was given back.
    pub(super) used: Instant,
    loans: Loans,
}

impl Session {
    /// Whether it can be lent.
    pub(super) async fn is_fit(&mut self, sessions: &Sessions) -> bool {
        self.leads_there(sessions)
            && !self.conn.is_broken()
            && (self.used.elapsed() <= QUIET || answers(&mut self.conn).await)
    }

    /// Somebody has it from now on.
    pub(super) fn note_loan(&self) {
        self.loans.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether its address is still the right one.
    pub(super) fn leads_there(&self, sessions: &Sessions) -> bool {
        self.generation == sessions.address.generation()
    }
}

impl Sessions {
    /// Opens one. Its runtime is that of the worker who asks, if it is one.
    pub(super) async fn open(&self, home: Option<&Home>) -> Result<Session, ConnectionError> {
        loop {
            let Target { config, generation } = self.address.now();
            let config =
                config.ok_or_else(|| ConnectionError::BadConnection("there is no such database".to_owned()))?;
            match self.open_by(config, home.map_or(&self.runtime, Home::runtime)).await {
                Ok(mut conn) => {
                    let loans = Loans::default();
                    conn.set_instrumentation(Statements::of(self.module, &loans));
                    return Ok(Session { conn, generation, home: home.cloned(), used: Instant::now(), loans });
                }
                // The address has changed in the meantime, and what it was is closed: no reason to fail.
                Err(_) if generation != self.address.generation() => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn open_by(&self, config: Config, runtime: &Handle) -> Result<AsyncPgConnection, ConnectionError> {
        // A set, so that the attempt ends with whoever waits for it.
        let mut opening = JoinSet::new();
        opening.spawn_on(establish(config, self.role, Arc::clone(&self.refused)), runtime);
        match opening.join_next().await {
            Some(Ok(opened)) => opened,
            Some(Err(error)) => Err(bad_connection(&error)),
            None => Err(ConnectionError::BadConnection("nobody has opened it".to_owned())),
        }
    }
}

/// One round trip that asks for nothing.
async fn answers(conn: &mut AsyncPgConnection) -> bool {
    matches!(tokio::time::timeout(SIGN_OF_LIFE, conn.batch_execute("")).await, Ok(Ok(())))
}

async fn establish(config: Config, role: Role, refused: Arc<Notify>) -> diesel::ConnectionResult<AsyncPgConnection> {
    let (client, connection) = encryption::connect(&config).await.map_err(|error| {
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
