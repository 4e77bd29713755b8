//! The runner of the modules' SQL migrations.
//!
//! It knows no module and reads no file: the caller hands over sets of migrations (embedded in the
//! binary, or read from disk by the tests) and the runner compares them with the ledger in the
//! database, `public.eshopz_migrations`. Whoever changes something first takes one advisory lock for
//! the whole run, so two `up` at the same moment do no harm: the second finds nothing left to do.
//! It runs as the owner of the database; making a schema and its role is the module's own first step.

mod error;
mod ledger;
mod set;
mod step;

pub use error::MigrateError;
pub use set::{Migration, MigrationId, ModuleMigrations, fingerprint, from_files};

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio_postgres::Client;

use self::ledger::Comparison;
use self::step::Step;
use crate::db::encryption;

/// What a run tells while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Another run holds the lock; this one goes on when that one is done.
    Waiting,
    Applying(&'a MigrationId),
    Applied(&'a MigrationId, Duration),
    Reverting(&'a MigrationId),
    Reverted(&'a MigrationId, Duration),
}

/// Where a run reports its [`Progress`].
pub type Listener<'a> = &'a mut (dyn FnMut(Progress<'_>) + Send);

/// How far `down` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The newest applied migration.
    Last,
    All,
}

/// How a migration stands between the program and the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    Applied(DateTime<Utc>),
    /// Applied, but the text of its `up.sql` is another today.
    Changed(DateTime<Utc>),
    /// Applied by a newer program; this one does not know it.
    Unknown(DateTime<Utc>),
}

/// A line of `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub id: MigrationId,
    pub state: State,
}

/// The sets of migrations of a program, and the database that they are for.
#[derive(Clone, Debug)]
pub struct Migrator {
    database: tokio_postgres::Config,
    sets: Vec<ModuleMigrations>,
}

impl Migrator {
    /// `url` is that of the owner of the database. Nothing is opened yet.
    ///
    /// # Errors
    /// [`MigrateError::Url`] when the URL cannot be read.
    pub fn new(url: &str, sets: Vec<ModuleMigrations>) -> Result<Self, MigrateError> {
        let mut database = encryption::parse(url).map_err(MigrateError::Url)?;
        database.application_name("eshopz-migrate").connect_timeout(Duration::from_secs(10));
        Ok(Self { database, sets })
    }

    /// Keeps to these modules: the others' migrations are neither run nor looked at.
    ///
    /// # Errors
    /// [`MigrateError::NoSuchModule`] when there is no set of that name.
    pub fn only<M: AsRef<str>>(mut self, modules: &[M]) -> Result<Self, MigrateError> {
        for module in modules {
            if !self.sets.iter().any(|set| set.module == module.as_ref()) {
                return Err(MigrateError::NoSuchModule(module.as_ref().to_owned()));
            }
        }
        self.sets.retain(|set| modules.iter().any(|module| module.as_ref() == set.module));
        Ok(self)
    }

    /// Applies what is pending, in the order of versions across the modules, each in a transaction.
    ///
    /// # Errors
    /// [`MigrateError::Unknown`] or [`MigrateError::Changed`], before anything is done, when the
    /// database does not fit these sets; [`MigrateError::Failed`] at the first that does not go in
    /// (those before it stay).
    pub async fn up(&self, listener: Listener<'_>) -> Result<Vec<MigrationId>, MigrateError> {
        let client = self.connect().await?;
        lock(&client, listener).await?;
        client.batch_execute(ledger::CREATE).await.map_err(MigrateError::database)?;
        let found = self.compare(&client).await?.fit_to_run()?;
        let mut done = Vec::new();
        for step in found.pending.iter().map(|(module, migration)| Step::up(module, migration)) {
            listener(Progress::Applying(&step.id));
            let started = Instant::now();
            step.run(&client).await?;
            listener(Progress::Applied(&step.id, started.elapsed()));
            done.push(step.id);
        }
        Ok(done)
    }

    /// Takes migrations back, newest first.
    ///
    /// # Errors
    /// [`MigrateError::Unknown`] when the database holds migrations that these sets do not;
    /// [`MigrateError::Failed`] at the first that cannot be taken back.
    pub async fn down(&self, extent: Extent, listener: Listener<'_>) -> Result<Vec<MigrationId>, MigrateError> {
        let client = self.connect().await?;
        lock(&client, listener).await?;
        let found = self.compare(&client).await?.fit_to_revert()?;
        let steps = found.applied.iter().rev().take(match extent {
            Extent::Last => 1,
            Extent::All => usize::MAX,
        });
        let mut done = Vec::new();
        for step in steps.map(|(module, migration)| Step::down(module, migration)) {
            revert(&client, &step, listener).await?;
            done.push(step.id);
        }
        Ok(done)
    }

    /// Takes the newest migration back and applies it again; `None` when none is applied.
    ///
    /// # Errors
    /// As [`Self::down`] and [`Self::up`].
    pub async fn redo(&self, listener: Listener<'_>) -> Result<Option<MigrationId>, MigrateError> {
        let client = self.connect().await?;
        lock(&client, listener).await?;
        let found = self.compare(&client).await?.fit_to_revert()?;
        let Some((module, migration)) = found.applied.last() else { return Ok(None) };
        revert(&client, &Step::down(module, migration), listener).await?;
        let step = Step::up(module, migration);
        listener(Progress::Applying(&step.id));
        let started = Instant::now();
        step.run(&client).await?;
        listener(Progress::Applied(&step.id, started.elapsed()));
        Ok(Some(step.id))
    }

    /// Every migration known here or in the database, in the order in which they run.
    ///
    /// # Errors
    /// [`MigrateError::Connect`] or [`MigrateError::Database`].
    pub async fn status(&self) -> Result<Vec<Status>, MigrateError> {
        let client = self.connect().await?;
        Ok(ledger::status(&self.sets, &ledger::read(&client).await?))
    }

    /// The SQL that `up` would run now, as a script for `psql`; empty when nothing is pending.
    /// Runs none of it, and writes nothing.
    ///
    /// # Errors
    /// As [`Self::up`], except [`MigrateError::Failed`].
    pub async fn plan(&self) -> Result<String, MigrateError> {
        let client = self.connect().await?;
        let found = self.compare(&client).await?.fit_to_run()?;
        if found.pending.is_empty() {
            return Ok(String::new());
        }
        let mut script = format!("-- the list of what is applied\n{}\n", ledger::CREATE);
        for (module, migration) in &found.pending {
            script.push('\n');
            script.push_str(&Step::up(module, migration).script());
        }
        Ok(script)
    }

    /// Whether the database has the migrations of these sets, and maybe those of a newer program after them. One query, and
    /// any role may ask.
    ///
    /// # Errors
    /// [`MigrateError::Unknown`], [`MigrateError::Changed`] or [`MigrateError::Pending`]; each says
    /// which command mends it.
    pub async fn check(&self) -> Result<(), MigrateError> {
        let client = self.connect().await?;
        let found = self.compare(&client).await?.fit_to_run()?;
        if found.pending.is_empty() { Ok(()) } else { Err(MigrateError::Pending(found.pending_ids())) }
    }

    async fn compare(&self, client: &Client) -> Result<Comparison<'_>, MigrateError> {
        Ok(Comparison::new(&self.sets, &ledger::read(client).await?))
    }

    async fn connect(&self) -> Result<Client, MigrateError> {
        let (client, connection) =
            encryption::connect(&self.database).await.map_err(|error| MigrateError::connect(&error))?;
        // Ends when the client is dropped; what went wrong on the way, the client's calls report.
        tokio::spawn(connection);
        Ok(client)
    }
}

async fn revert(client: &Client, step: &Step, listener: Listener<'_>) -> Result<(), MigrateError> {
    listener(Progress::Reverting(&step.id));
    let started = Instant::now();
    step.run(client).await?;
    listener(Progress::Reverted(&step.id, started.elapsed()));
    Ok(())
}

/// Takes the lock of the whole run; it goes with the connection. Asks again and again instead of
/// waiting inside one statement: that would hold a snapshot, on which a `CREATE INDEX CONCURRENTLY`
/// of the run before us waits, and the two would stand still.
async fn lock(client: &Client, listener: Listener<'_>) -> Result<(), MigrateError> {
    let mut told = false;
    loop {
        let row = client.query_one(ledger::TRY_LOCK, &[]).await.map_err(MigrateError::database)?;
        if row.try_get(0).map_err(MigrateError::database)? {
            return Ok(());
        }
        if !told {
            listener(Progress::Waiting);
            told = true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
