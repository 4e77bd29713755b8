//! Connections to one Redis: one for each worker, see [`crate::home`], and some for what is in the background.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{self, BuildError, Metrics, Pool, RecycleError, RecycleResult};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, Pipeline, RedisError};
use eshopz_kernel::Fault;
use tokio::runtime::Handle;

use crate::context;
use crate::home::Home;
use crate::trace::{Step, What};

/// How long a question to Redis may take, the wait for a connection and its opening included.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// Connections of a worker. One carries any number of questions at once, and a return of Redis does not begin with a
/// crowd of TLS handshakes.
const OF_A_WORKER: usize = 1;
/// Connections of what is in the background.
const OF_THE_OTHERS: usize = 2;

/// With these Redis refuses whatever it is asked, or every write, for as long as it is in that state: as good as
/// away. Any other error is about the question.
const AS_GOOD_AS_AWAY: [&str; 5] = ["LOADING", "READONLY", "OOM", "CLUSTERDOWN", "MASTERDOWN"];

/// Why a question has no answer.
#[derive(Debug)]
pub(super) struct Failure {
    /// Fit for a log.
    pub(super) error: String,
    /// Redis is there, and refuses just this.
    pub(super) is_refusal: bool,
}

/// The way to one Redis.
pub(super) struct Link {
    client: Client,
    /// Grows when all connections are to be given up.
    generation: Arc<AtomicU64>,
    background: Lines,
    /// For each worker that has asked.
    workers: Mutex<Vec<(Home, Lines)>>,
    /// Of what is in the background: it lives longer than the workers'.
    pub(super) runtime: Handle,
    /// Of the URL; never to be seen in a message.
    password: Option<Arc<str>>,
}

impl Link {
    /// Reads the URL; nothing is opened yet. To be called within the runtime that shall drive the
    /// connections.
    ///
    /// # Errors
    /// Internal, without the URL in it: it may have a password.
    pub(super) fn new(url: &str) -> Result<Self, Fault> {
        trust_certificates();
        let client = Client::open(url)
            .map_err(|error| Fault::internal(format!("the Redis URL is not valid ({})", error.category())))?;
        let password = client.get_connection_info().redis_settings().password().map(Arc::from);
        let runtime = Handle::try_current().map_err(|_| Fault::internal("Redis needs a running Tokio runtime"))?;
        let generation = Arc::default();
        let opener = Opener { client: client.clone(), home: runtime.clone(), generation: Arc::clone(&generation) };
        let background = opener.lines(OF_THE_OTHERS).map_err(|error| Fault::internal("Redis pool").caused_by(error))?;
        Ok(Self { client, generation, background, workers: Mutex::default(), runtime, password })
    }

    /// The connections that are driven here.
    fn lines(&self) -> Result<Lines, BuildError> {
        let Some(home) = Home::here() else { return Ok(self.background.clone()) };
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, lines)) = workers.iter().find(|(worker, _)| *worker == home) {
            return Ok(lines.clone());
        }
        let (client, generation) = (self.client.clone(), Arc::clone(&self.generation));
        let lines = Opener { client, home: home.runtime().clone(), generation }.lines(OF_A_WORKER)?;
        workers.push((home, lines.clone()));
        Ok(lines)
    }

    /// Sends commands and waits for their answers, for [`PATIENCE`] at most.
    ///
    /// # Errors
    /// What went wrong.
    pub(super) async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Failure> {
        let began = Instant::now();
        let asked = tokio::time::timeout(PATIENCE, async {
            let lines = self.lines().map_err(|error| Failure::away(error.to_string()))?;
            let line = lines.get().await.map_err(|error| Failure::away(error.to_string()))?;
            let mut connection = line.connection.clone();
            // Others may use it while the answer is on its way.
            drop(line);
            commands.query_async(&mut connection).await.map_err(Failure::of)
        });
        let asked = asked.await;
        let failed = !matches!(asked, Ok(Ok(_)));
        context::note_step(|| Step::since(began, What::Redis { commands: commands.len() }, failed));
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => Err(Failure { error: self.without_password(failure.error), ..failure }),
            Err(_) => Err(Failure::away(format!("no answer within {} ms", PATIENCE.as_millis()))),
        }
    }

    /// Lets go of every connection, those that are about to be opened included.
    pub(super) fn hang_up(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.background.retain(|_, _| false);
        for (_, lines) in self.workers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            lines.retain(|_, _| false);
        }
    }

    fn without_password(&self, text: String) -> String {
        match self.password.as_deref().filter(|password| !password.is_empty()) {
            Some(password) => text.replace(password, "***"),
            None => text,
        }
    }
}

impl Failure {
    fn away(error: String) -> Self {
        Self { error, is_refusal: false }
    }

    fn of(error: RedisError) -> Self {
        let text = error.to_string();
        let refusals = error.into_server_errors();
        let is_refusal = refusals.is_some_and(|all| all.iter().all(|(_, one)| !AS_GOOD_AS_AWAY.contains(&one.code())));
        Self { error: text, is_refusal }
    }
}

/// `rediss://` needs a crypto provider for the process; another one that is there already will do.
fn trust_certificates() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

struct Line {
    connection: MultiplexedConnection,
    generation: u64,
}

/// Connections with one home. Clones share them.
type Lines = Pool<Opener>;

/// Opens connections at home: there they are driven.
struct Opener {
    client: Client,
    home: Handle,
    generation: Arc<AtomicU64>,
}

impl Opener {
    fn lines(self, most: usize) -> Result<Lines, BuildError> {
        Pool::builder(self).max_size(most).build()
    }
}

impl managed::Manager for Opener {
    type Type = Line;
    type Error = RedisError;

    async fn create(&self) -> Result<Line, RedisError> {
        let client = self.client.clone();
        let generation = self.generation.load(Ordering::Acquire);
        let opening = self.home.spawn(async move {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(PATIENCE))
                .set_response_timeout(Some(PATIENCE));
            client.get_multiplexed_async_connection_with_config(&config).await
        });
        let gone = |_| RedisError::from((ErrorKind::Client, "the runtime of the connections has ended"));
        Ok(Line { connection: opening.await.map_err(gone)??, generation })
    }

    /// Without asking Redis: a connection that fails closes the gate, which hangs up on all of them.
    async fn recycle(&self, line: &mut Line, _: &Metrics) -> RecycleResult<RedisError> {
        if line.generation == self.generation.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err(RecycleError::message("hung up"))
        }
    }
}
