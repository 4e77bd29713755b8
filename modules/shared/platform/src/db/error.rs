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

/// The way to PostgreSQL is lost, it lacks something for the moment, or it asks for a repeat: 503 rather than 500.
fn is_passing(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::UnableToSendCommand
            // The server that was the writer is a replica since a failover.
            | DatabaseErrorKind::ReadOnlyTransaction,
            _,
        )
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(_, info) => is_passing_message(info.message()),
        DieselError::RollbackErrorOnCommit { commit_error, .. } => is_passing(commit_error),
        _ => false,
    }
}

/// Conditions that pass by themselves or by an operator's hand, with the SQLSTATE of each. The driver keeps the
/// SQLSTATE to itself, so they are told by what PostgreSQL says.
const PASSING: [(&str, &str); 19] = [
    ("08006", "connection closed"),
    ("40P01", "deadlock detected"),
    ("53100", "No space left on device"),
    ("53100", "could not extend file"),
    ("53200", "out of memory"),
    ("53200", "out of shared memory"),
    ("53300", "too many clients already"),
    ("53300", "too many connections for"),
    ("53300", "remaining connection slots are reserved"),
    ("53100", "File too large"),
    ("55P03", "could not obtain lock"),
    ("55P03", "canceling statement due to lock timeout"),
    ("57014", "canceling statement due to"),
    ("57P01", "terminating connection due to"),
    ("57P02", "terminating connection because of"),
    ("57P03", "the database system is"),
    ("58030", "Input/output error"),
    ("58030", "could not write to file"),
    ("58030", "could not fsync file"),
];

fn is_passing_message(message: &str) -> bool {
    PASSING.iter().any(|(_, words)| message.contains(words))
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

#[cfg(test)]
mod tests {
    use super::*;
    use eshopz_kernel::FaultKind;

    fn told(kind: DatabaseErrorKind, message: &str) -> StoreError {
        StoreError::Query(DieselError::DatabaseError(kind, Box::new(message.to_owned())))
    }

    /// As PostgreSQL words them, each with its SQLSTATE.
    const SAID: [(&str, &str); 17] = [
        ("40P01", "deadlock detected"),
        ("53100", "could not extend file \"base/5/16384\": No space left on device"),
        ("53100", "could not extend file \"base/5/16384\": wrote only 4096 of 8192 bytes at block 7"),
        ("53100", "could not write to file \"pg_wal/xlogtemp.71\": No space left on device"),
        ("53200", "out of memory"),
        ("53300", "sorry, too many clients already"),
        ("53300", "too many connections for role \"orders\""),
        ("53300", "remaining connection slots are reserved for non-replication superuser connections"),
        ("55P03", "could not obtain lock on row in relation \"orders\""),
        ("55P03", "canceling statement due to lock timeout"),
        ("57014", "canceling statement due to statement timeout"),
        ("57P01", "terminating connection due to administrator command"),
        ("57P01", "terminating connection due to immediate shutdown command"),
        ("57P02", "terminating connection because of crash of another server process"),
        ("57P03", "the database system is starting up"),
        ("57P03", "the database system is in recovery mode"),
        ("25P03", "terminating connection due to idle-in-transaction timeout"),
    ];

    #[test]
    fn what_passes_is_503_with_a_time_to_come_back() {
        let plain = SAID.map(|(state, message)| (state, told(DatabaseErrorKind::Unknown, message)));
        let kinds = [
            ("08006", told(DatabaseErrorKind::UnableToSendCommand, "unexpected message from server")),
            ("40001", told(DatabaseErrorKind::SerializationFailure, "could not serialize access")),
            ("25006", told(DatabaseErrorKind::ReadOnlyTransaction, "cannot execute INSERT in a read-only transaction")),
        ];
        for (state, error) in plain.into_iter().chain(kinds) {
            let fault = Fault::from(error);
            assert_eq!((fault.kind, fault.retry_after), (FaultKind::Unavailable, Some(1)), "{state}");
        }
        let StoreError::Query(full) = told(DatabaseErrorKind::Unknown, SAID[1].1) else { unreachable!() };
        let lost = DieselError::BrokenTransactionManager;
        let at_commit =
            DieselError::RollbackErrorOnCommit { rollback_error: Box::new(lost), commit_error: Box::new(full) };
        assert!(StoreError::Query(at_commit).is_passing());
    }

    #[test]
    fn what_is_our_mistake_stays_one() {
        for message in
            ["syntax error at or near \"FORM\"", "value too long for type character varying(3)", "division by zero"]
        {
            assert_eq!(Fault::from(told(DatabaseErrorKind::Unknown, message)).kind, FaultKind::Internal, "{message}");
        }
        assert!(!told(DatabaseErrorKind::CheckViolation, "violates check constraint").is_passing());
    }
}
