//! How a statement, or the way to the database, fails. Nothing in here ever holds a URL or a password.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use eshopz_kernel::Fault;

/// A statement, or the way to the database, failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Which URL, and why if that gives nothing away.
    #[error("the {0} is not valid{1}")]
    Url(&'static str, String),
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

impl StoreError {
    /// The name of the constraint that a statement broke, for the module to give it its meaning.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Query(error) => violated_constraint(error),
            Self::Url(..) | Self::Pool(_) => None,
        }
    }

    /// Whether the same may succeed in a moment: the database is away, or asks for a repeat.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Url(..) => false,
            Self::Pool(_) => true,
            Self::Query(query) => is_passing(query),
        }
    }

    /// A URL that cannot be read. The parser quotes what it stumbles over, which may be a part of the
    /// password; only the complaints that name a setting of its own are passed on.
    pub(super) fn url(which: &'static str, error: &tokio_postgres::Error) -> Self {
        let told = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        let harmless = told.starts_with("invalid value for option ");
        Self::Url(which, if harmless { format!(": {told}") } else { String::new() })
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
        if error.is_passing() {
            Self::unavailable("The shop cannot reach its database just now. Try again in a moment.", 1).caused_by(error)
        } else {
            Self::internal("database").caused_by(error)
        }
    }
}
