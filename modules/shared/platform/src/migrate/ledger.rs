//! The list of applied migrations in the database, and its comparison with the known ones.

use chrono::{DateTime, Utc};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::set::{Migration, MigrationId, ModuleMigrations};
use super::{MigrateError, State, Status};

/// Makes the list. Every role may read it, so that a process in a module's role can check the schema.
pub(super) const CREATE: &str = "\
CREATE TABLE IF NOT EXISTS public.eshopz_migrations (
    module     text        NOT NULL,
    version    text        NOT NULL,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (module, version)
);
GRANT SELECT ON public.eshopz_migrations TO PUBLIC;";

/// The number is `eshopz` in ASCII.
pub(super) const TRY_LOCK: &str = "SELECT pg_try_advisory_lock(111546347778170)";

const READ: &str = "\
SELECT module, version, name, checksum, (extract(epoch FROM applied_at) * 1000000)::bigint
FROM public.eshopz_migrations ORDER BY version, module";

/// A row of the list.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    id: MigrationId,
    checksum: String,
    applied_at: DateTime<Utc>,
}

/// Reads the list; a database without one has nothing applied.
pub(super) async fn read(client: &Client) -> Result<Vec<Entry>, MigrateError> {
    let rows = match client.query(READ, &[]).await {
        Ok(rows) => rows,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(Vec::new()),
        Err(error) => return Err(MigrateError::database(error)),
    };
    rows.iter().map(entry).collect::<Result<_, _>>().map_err(MigrateError::database)
}

fn entry(row: &tokio_postgres::Row) -> Result<Entry, tokio_postgres::Error> {
    Ok(Entry {
        id: MigrationId { module: row.try_get(0)?, version: row.try_get(1)?, name: row.try_get(2)? },
        checksum: row.try_get(3)?,
        applied_at: DateTime::from_timestamp_micros(row.try_get(4)?).unwrap_or_default(),
    })
}

/// What the list and the known sets have in common, and what not. Rows of modules without a set
/// here are somebody else's business.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    /// In the order in which `up` runs them.
    pub pending: Vec<(&'a str, &'a Migration)>,
    /// In the order in which `up` ran them, changed ones among them.
    pub applied: Vec<(&'a str, &'a Migration)>,
    changed: Vec<MigrationId>,
    unknown: Vec<MigrationId>,
    /// What is unknown did not come after all that is known.
    diverged: bool,
}

impl<'a> Comparison<'a> {
    pub fn new(sets: &'a [ModuleMigrations], entries: &[Entry]) -> Self {
        let mut found = Self {
            pending: Vec::new(),
            applied: Vec::new(),
            changed: Vec::new(),
            unknown: Vec::new(),
            diverged: false,
        };
        for (module, migration) in in_order(sets) {
            match find(entries, module, migration) {
                None => found.pending.push((module, migration)),
                Some(entry) => {
                    found.applied.push((module, migration));
                    if entry.checksum != migration.checksum() {
                        found.changed.push(migration.id(module));
                    }
                }
            }
        }
        found.unknown = unknown(sets, entries).map(|entry| entry.id.clone()).collect();
        found.diverged = unknown(sets, entries).any(|entry| {
            in_order(sets).iter().any(|(module, known)| *module == entry.id.module && known.version > entry.id.version)
        });
        found
    }

    pub fn pending_ids(&self) -> Vec<MigrationId> {
        self.pending.iter().map(|(module, migration)| migration.id(module)).collect()
    }

    /// What is applied is what this program knows, word for word. What a newer program has added after all of it does no
    /// harm: each release runs on the schema of the next, so that a roll-out and the way back leave nobody standing.
    pub fn fit_to_run(self) -> Result<Self, MigrateError> {
        let ahead = self.pending.is_empty() && !self.diverged;
        let found = if ahead { self } else { self.fit_to_revert()? };
        if found.changed.is_empty() { Ok(found) } else { Err(MigrateError::Changed(found.changed)) }
    }

    /// The way back of everything applied is known. A changed one may go back: that is how it is mended.
    pub fn fit_to_revert(self) -> Result<Self, MigrateError> {
        if self.unknown.is_empty() { Ok(self) } else { Err(MigrateError::Unknown(self.unknown)) }
    }
}

pub(super) fn status(sets: &[ModuleMigrations], entries: &[Entry]) -> Vec<Status> {
    let known = in_order(sets).into_iter().map(|(module, migration)| Status {
        id: migration.id(module),
        state: match find(entries, module, migration) {
            None => State::Pending,
            Some(entry) if entry.checksum == migration.checksum() => State::Applied(entry.applied_at),
            Some(entry) => State::Changed(entry.applied_at),
        },
    });
    let foreign =
        unknown(sets, entries).map(|entry| Status { id: entry.id.clone(), state: State::Unknown(entry.applied_at) });
    let mut lines: Vec<Status> = known.chain(foreign).collect();
    lines.sort_by(|a, b| a.id.version.cmp(&b.id.version));
    lines
}

/// All migrations by version; the order of the sets decides between equals.
fn in_order(sets: &[ModuleMigrations]) -> Vec<(&str, &Migration)> {
    let mut all: Vec<(&str, &Migration)> =
        sets.iter().flat_map(|set| set.migrations.iter().map(|migration| (set.module.as_str(), migration))).collect();
    all.sort_by(|a, b| a.1.version.cmp(&b.1.version));
    all
}

fn find<'e>(entries: &'e [Entry], module: &str, migration: &Migration) -> Option<&'e Entry> {
    entries.iter().find(|entry| entry.id.module == module && entry.id.version == migration.version)
}

fn unknown<'e>(sets: &'e [ModuleMigrations], entries: &'e [Entry]) -> impl Iterator<Item = &'e Entry> {
    entries.iter().filter(|entry| {
        sets.iter()
            .find(|set| set.module == entry.id.module)
            .is_some_and(|set| set.migrations.iter().all(|migration| migration.version != entry.id.version))
    })
}
