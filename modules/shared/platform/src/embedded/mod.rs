//! A private PostgreSQL for a shop that was told of no other: from the installed binaries, with its
//! data in a folder and its only door a unix socket in it.
//!
//! Whoever needs the server calls [`Embedded::start`], which starts it or joins the one that runs:
//! `eshopz serve` and the commands beside it share one. Each user holds a shared file lock, which
//! the kernel takes back from a killed process, and the last one out stops the server. So nobody has
//! to know who started it, and a server orphaned by `kill -9` belongs to the next who comes.

mod binaries;
mod cluster;
mod error;
mod lock;
mod place;
mod postmaster;

pub use error::EmbeddedError;

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::time::{Instant, sleep};

use self::binaries::Binaries;
use self::place::Place;
use self::postmaster::{Answer, Life};

const OWNER: &str = "eshopz";
const DATABASE: &str = "eshopz";

/// Between two looks at something that is awaited.
const PAUSE: Duration = Duration::from_millis(10);

/// To be ready; after a crash the server first replays its log.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// To end in good order, and then to end without it.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
const QUIT_DEADLINE: Duration = Duration::from_secs(10);

/// How to run the private server.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// The data folder, as `.eshopz/postgres`. Lock files and the log are put beside it.
    pub data_dir: PathBuf,
    /// The folder of `postgres` and `initdb`; `None` looks in the usual places.
    pub bin_dir: Option<PathBuf>,
    /// Off only for data that may be lost, in tests.
    pub fsync: bool,
    pub max_connections: u32,
}

/// A running private server, and our share in it.
#[derive(Debug)]
pub struct Embedded {
    place: Place,
    url: String,
    child: Option<Child>,
    /// The shared lock; `None` before the start and after the end.
    share: Option<File>,
}

impl Embedded {
    /// Starts the server of this folder, or joins it when it runs already. The first start makes
    /// the data folder and the database. Returns when the server accepts connections.
    ///
    /// # Errors
    /// [`EmbeddedError`]; every variant is one line for the operator.
    pub async fn start(config: EmbeddedConfig) -> Result<Self, EmbeddedError> {
        let data_dir = config.data_dir.clone();
        let place = blocking(move || Place::find(&data_dir)).await?;
        let mut server = Self { url: url(&place.sockets), place, child: None, share: None };
        // Made before the lock, so that a start that is given up lets go of the lock first and
        // then, in `drop`, of the server.
        let gate = lock::exclusive(&server.place.gate).await?;
        server.share = Some(lock::shared(&server.place.users).await?);
        let answer = server.bring_up(config).await?;
        if answer == Answer::NoDatabase {
            postmaster::create_database(&server.place).await?;
        }
        drop(gate);
        Ok(server)
    }

    /// `postgres://…` of the shop's database, as its owner.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether this call has started the server; else it was running already.
    #[must_use]
    pub const fn started_here(&self) -> bool {
        self.child.is_some()
    }

    /// Where the data is. As root it may be elsewhere than asked for, where PostgreSQL's user can reach it.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.place.data
    }

    /// Where the server writes what it has to say.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.place.log
    }

    /// Gives up our share, and stops the server in good order if nobody else has one: then `true`.
    ///
    /// # Errors
    /// [`EmbeddedError::Deadline`] when it does not end.
    pub async fn stop(mut self) -> Result<bool, EmbeddedError> {
        let gate = lock::exclusive(&self.place.gate).await?;
        let stopped = self.leave().await?;
        drop(gate);
        Ok(stopped)
    }

    /// As [`Self::stop`], and removes the data as well if the server was stopped: for tests.
    ///
    /// # Errors
    /// As [`Self::stop`], or [`EmbeddedError::Io`].
    pub async fn stop_and_remove(mut self) -> Result<bool, EmbeddedError> {
        let gate = lock::exclusive(&self.place.gate).await?;
        let stopped = self.leave().await?;
        if stopped {
            let place = self.place.clone();
            blocking(move || remove(&place)).await?;
        }
        drop(gate);
        Ok(stopped)
    }

    /// Joins the running server, waits for one that is on its way up or down, or starts one.
    async fn bring_up(&mut self, config: EmbeddedConfig) -> Result<Answer, EmbeddedError> {
        let deadline = Instant::now() + START_DEADLINE;
        let stale = loop {
            let said = match postmaster::ask(&self.place).await {
                Answer::NotYet(said) => said,
                ready => return Ok(ready),
            };
            match self.life().await? {
                Life::Gone => break None,
                Life::Reused(pid) => break Some(pid),
                Life::Runs(_) if Instant::now() > deadline => return Err(self.late("ready", START_DEADLINE, said)),
                Life::Runs(_) => sleep(PAUSE).await,
            }
        };
        let binaries = self.prepare(&config).await?;
        loop {
            let from = self.spawn(&binaries, &config, stale).await?;
            match self.await_ready(from, deadline).await? {
                Some(answer) => return Ok(answer),
                // The backends of a killed server are still ending; the next try finds them gone.
                None => sleep(PAUSE * 10).await,
            }
        }
    }

    /// Finds the binaries that fit the data, and makes the data if there is none.
    async fn prepare(&self, config: &EmbeddedConfig) -> Result<Binaries, EmbeddedError> {
        let (data, bin_dir) = (self.place.data.clone(), config.bin_dir.clone());
        let (binaries, version) = blocking(move || {
            let version = cluster::version(&data)?;
            Ok((Binaries::find(bin_dir.as_deref(), version, &data)?, version))
        })
        .await?;
        if version.is_none() {
            cluster::create(&self.place, &binaries, config.fsync).await?;
        }
        Ok(binaries)
    }

    async fn spawn(
        &mut self,
        binaries: &Binaries,
        config: &EmbeddedConfig,
        stale: Option<Pid>,
    ) -> Result<u64, EmbeddedError> {
        let (place, binaries, config) = (self.place.clone(), binaries.clone(), config.clone());
        let (child, from) = blocking(move || postmaster::spawn(&place, &binaries, &config, stale)).await?;
        self.child = Some(child);
        Ok(from)
    }

    /// Waits until the server answers; `None` when it ended for a reason that passes.
    async fn await_ready(&mut self, from: u64, deadline: Instant) -> Result<Option<Answer>, EmbeddedError> {
        loop {
            let said = match postmaster::ask(&self.place).await {
                Answer::NotYet(said) => said,
                ready => return Ok(Some(ready)),
            };
            if self.has_ended() {
                self.child = None;
                let place = self.place.clone();
                let said = blocking(move || Ok(postmaster::log_tail(&place, from))).await?;
                if said.contains("pre-existing shared memory block") && Instant::now() < deadline {
                    return Ok(None);
                }
                return Err(EmbeddedError::Start { said, log: self.place.log.clone() });
            }
            if Instant::now() > deadline {
                return Err(self.late("ready", START_DEADLINE, said));
            }
            sleep(PAUSE).await;
        }
    }

    /// Under the gate: lets go of our share, and stops the server if it was the last.
    async fn leave(&mut self) -> Result<bool, EmbeddedError> {
        drop(self.share.take());
        if !lock::unused(&self.place.users)? {
            return Ok(false);
        }
        for (how, patience) in [(Signal::INT, STOP_DEADLINE), (Signal::QUIT, QUIT_DEADLINE)] {
            let deadline = Instant::now() + patience;
            if let Life::Runs(pid) = self.life().await? {
                postmaster::signal(pid, how);
            }
            while Instant::now() < deadline {
                if self.has_ended() && !matches!(self.life().await?, Life::Runs(_)) {
                    return Ok(true);
                }
                sleep(PAUSE).await;
            }
        }
        Err(self.late("stopped", STOP_DEADLINE, "it does not end".to_owned()))
    }

    /// Whether our own child, if the server is that, has ended; looking also reaps it.
    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    async fn life(&self) -> Result<Life, EmbeddedError> {
        let place = self.place.clone();
        blocking(move || Ok(postmaster::life(&place))).await
    }

    fn late(&self, what: &'static str, limit: Duration, said: String) -> EmbeddedError {
        EmbeddedError::Deadline { what, seconds: limit.as_secs(), said, log: self.place.log.clone() }
    }
}

/// Best effort for whoever has not called [`Embedded::stop`]: asks the server to end, without waiting.
impl Drop for Embedded {
    fn drop(&mut self) {
        if self.share.take().is_none() {
            return;
        }
        let Ok(gate) = lock::open(&self.place.gate) else { return };
        if gate.try_lock().is_err() || !lock::unused(&self.place.users).unwrap_or(false) {
            return;
        }
        if let Life::Runs(pid) = postmaster::life(&self.place) {
            postmaster::signal(pid, Signal::INT);
        }
    }
}

/// The URL of a server behind a socket in this folder: the host, percent-encoded, is the folder.
fn url(sockets: &Path) -> String {
    let host = sockets.as_os_str().as_bytes().iter().fold(String::new(), |mut host, &byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            host.push(char::from(byte));
        } else {
            let _ = write!(host, "%{byte:02X}");
        }
        host
    });
    format!("postgres://{OWNER}@{host}/{DATABASE}")
}

fn remove(place: &Place) -> Result<(), EmbeddedError> {
    std::fs::remove_dir_all(&place.data).map_err(EmbeddedError::io("remove", &place.data))?;
    // Empty by now, and of no consequence if not: the folder of the socket, the room in the shelter.
    if place.sockets != place.data {
        let _ = std::fs::remove_dir(&place.sockets);
    }
    if let (true, Some(room)) = (place.note.exists(), place.data.parent()) {
        let _ = std::fs::remove_dir(room);
    }
    for file in [&place.note, &place.log] {
        let _ = std::fs::remove_file(file);
    }
    Ok(())
}

/// Runs what waits for files or processes off the threads that serve requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EmbeddedError> + Send + 'static,
) -> Result<T, EmbeddedError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| EmbeddedError::Cancelled)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_leads_to_the_socket() {
        let url = url(Path::new("/srv/my shop/.eshopz"));
        assert_eq!(url, "postgres://eshopz@%2Fsrv%2Fmy%20shop%2F.eshopz/eshopz");
        let config: tokio_postgres::Config = url.parse().unwrap();
        let folder = tokio_postgres::config::Host::Unix("/srv/my shop/.eshopz".into());
        assert_eq!(config.get_hosts(), [folder]);
    }
}
