//! Why the private PostgreSQL is not there, each in one line that says what to do.

use std::io;
use std::path::PathBuf;

/// The private PostgreSQL cannot be started, reached or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "no PostgreSQL is installed (14 or newer): install it with `apt install postgresql`, `dnf install \
         postgresql-server` or `brew install postgresql@16`, or set ESHOPZ_DATABASE_URL to a server of your own"
    )]
    NotFound,
    #[error("{} holds no usable `postgres` and `initdb`", .0.display())]
    BinDir(PathBuf),
    #[error("PostgreSQL {version} in {} is too old: install 14 or newer, or set ESHOPZ_DATABASE_URL", dir.display())]
    TooOld { dir: PathBuf, version: u32 },
    #[error(
        "the data in {} is of PostgreSQL {wanted}, but only {found} is installed: install PostgreSQL {wanted}, or \
         move that folder away to start with an empty shop",
        data_dir.display()
    )]
    OtherVersion { data_dir: PathBuf, wanted: u32, found: String },
    #[error(
        "PostgreSQL refuses to run as root, and /etc/passwd has no user `postgres` or `nobody` to run it: create one, \
         or set ESHOPZ_DATABASE_URL"
    )]
    NoAccount,
    #[error(
        "{} belongs to another user (uid {owner}): run as that user, or as root, or use another folder",
        path.display()
    )]
    Foreign { path: PathBuf, owner: u32 },
    #[error("the user that runs PostgreSQL (uid {uid}) cannot reach {}: open the folders above it", path.display())]
    Unreachable { path: PathBuf, uid: u32 },
    #[error("{} holds files, but no PostgreSQL data: move it away", .0.display())]
    NotAData(PathBuf),
    #[error("cannot {what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("initdb failed: {0}")]
    Init(String),
    #[error("PostgreSQL did not start: {said} (log: {})", log.display())]
    Start { said: String, log: PathBuf },
    #[error("PostgreSQL was not {what} within {seconds} s: {said} (log: {})", log.display())]
    Deadline { what: &'static str, seconds: u64, said: String, log: PathBuf },
    #[error("cannot create the database: {0}")]
    Database(String),
    #[error("a background task of the database start was cancelled")]
    Cancelled,
}

impl EmbeddedError {
    /// For `map_err`: what was being done, and to which path.
    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
