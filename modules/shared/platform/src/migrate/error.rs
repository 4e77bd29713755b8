//! Why a run of migrations stopped, each with the way out.

use std::error::Error as _;

use super::set::MigrationId;

/// How many migrations a message names before it only counts.
const NAMED: usize = 5;

/// A run of migrations stopped, or the database does not fit the program.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("the database URL is not valid: {0}")]
    Url(tokio_postgres::Error),
    #[error("cannot connect to the database: {0}")]
    Connect(String),
    #[error("the list of migrations cannot be used: {0}")]
    Database(String),
    #[error("migration file {0}")]
    Files(String),
    #[error("no module has the name `{0}`")]
    NoSuchModule(String),
    #[error("the database lacks {}: run `eshopz migrate up`", listed(.0))]
    Pending(Vec<MigrationId>),
    #[error("the database is newer than this program, which does not know {}: run a newer eshopz", listed(.0))]
    Unknown(Vec<MigrationId>),
    #[error(
        "{} changed after being applied: restore the file, or take it back first with `eshopz migrate down`",
        listed(.0)
    )]
    Changed(Vec<MigrationId>),
    #[error("migration {id} failed in {file}: {detail}")]
    Failed {
        id: MigrationId,
        /// `up.sql` or `down.sql`.
        file: &'static str,
        /// What PostgreSQL said, with the line if it told one.
        detail: String,
    },
}

impl MigrateError {
    pub(super) fn database(error: tokio_postgres::Error) -> Self {
        Self::Database(explain(&error))
    }

    pub(super) fn connect(error: &tokio_postgres::Error) -> Self {
        Self::Connect(explain(error))
    }
}

/// What the server said, or else the chain of causes in one line.
pub(super) fn explain(error: &tokio_postgres::Error) -> String {
    if let Some(told) = error.as_db_error() {
        let detail = told.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
        return format!("{}{detail}", told.message());
    }
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn listed(ids: &[MigrationId]) -> String {
    let named: Vec<String> = ids.iter().take(NAMED).map(ToString::to_string).collect();
    let more = ids.len().saturating_sub(NAMED);
    let tail = if more == 0 { String::new() } else { format!(" and {more} more") };
    let noun = if ids.len() == 1 { "migration" } else { "migrations" };
    format!("{noun} {}{tail}", named.join(", "))
}
