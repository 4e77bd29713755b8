//! File locks, with a deadline. The kernel takes them back from a process that was killed, so none is ever stale.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{EmbeddedError, PAUSE, blocking};

/// Longer than the one before us may take to start or stop the server.
const DEADLINE: Duration = Duration::from_secs(200);

/// Opens a lock file, which is made when it is not there and never removed.
pub(super) fn open(path: &Path) -> Result<File, EmbeddedError> {
    File::options().create(true).truncate(false).write(true).open(path).map_err(EmbeddedError::io("open", path))
}

/// Takes a lock for oneself alone.
pub(super) async fn exclusive(path: &Path) -> Result<File, EmbeddedError> {
    lock(path, File::try_lock).await
}

/// Takes a share in a lock.
pub(super) async fn shared(path: &Path) -> Result<File, EmbeddedError> {
    lock(path, File::try_lock_shared).await
}

/// Waits for a lock by asking again and again, for a wait inside the kernel has no deadline.
async fn lock(path: &Path, take: fn(&File) -> Result<(), TryLockError>) -> Result<File, EmbeddedError> {
    let owned = path.to_owned();
    let file = blocking(move || open(&owned)).await?;
    let deadline = Instant::now() + DEADLINE;
    loop {
        match take(&file) {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(EmbeddedError::io("lock", path)(error)),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                return Err(EmbeddedError::io("lock", path)(std::io::ErrorKind::TimedOut.into()));
            }
            Err(TryLockError::WouldBlock) => sleep(PAUSE).await,
        }
    }
}

/// Whether nobody holds a share.
pub(super) fn unused(users: &Path) -> Result<bool, EmbeddedError> {
    Ok(open(users)?.try_lock().is_ok())
}
