//! A PostgreSQL of a test's own, to be broken and brought back.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use eshopz_platform::embedded::{Embedded, EmbeddedConfig};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::time::sleep;
use tokio_postgres::{Client, NoTls};

/// Three processes with the pools of five modules each, and everybody who looks on.
const MAX_CONNECTIONS: u32 = 300;
/// To end in good order.
const END: Duration = Duration::from_secs(60);

/// The server.
#[derive(Debug)]
pub struct Postgres {
    config: EmbeddedConfig,
    running: Option<Embedded>,
    url: String,
}

impl Postgres {
    /// Starts one with its data in `folder`. What was committed must outlive everything, so it syncs.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(folder: &Path) -> Result<Self, String> {
        let bin_dir = std::env::var_os("ESHOPZ_POSTGRES_BIN").map(PathBuf::from);
        let data_dir = folder.join("postgres");
        let config = EmbeddedConfig { data_dir, bin_dir, fsync: true, max_connections: MAX_CONNECTIONS };
        let running = Embedded::start(config.clone()).await.map_err(|error| error.to_string())?;
        Ok(Self { url: running.url().to_owned(), config, running: Some(running) })
    }

    /// Of the shop's database, as its owner.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `kill -9` of the server and of every process that it has.
    pub fn kill(&self) {
        let Some(server) = self.pid() else { return };
        let children = children(server);
        // Any of them may have ended just now.
        let _ = kill_process(server, Signal::KILL);
        for child in children {
            let _ = kill_process(child, Signal::KILL);
        }
    }

    /// Has it stop at once, without a word to those who are connected: its immediate shutdown.
    pub fn stop_at_once(&self) {
        if let Some(server) = self.pid() {
            let _ = kill_process(server, Signal::QUIT);
        }
    }

    /// Has it stop as an operator would: its fast shutdown.
    pub fn stop_in_order(&self) {
        if let Some(server) = self.pid() {
            let _ = kill_process(server, Signal::INT);
        }
    }

    /// Ends every connection but the one that this is asked by.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn disconnect_all(&self) -> Result<(), String> {
        let everybody = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.connect().await?.query(everybody, &[]).await.map(drop).map_err(|error| error.to_string())
    }

    /// A connection beside every pool.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn connect(&self) -> Result<Client, String> {
        let (client, connection) =
            tokio_postgres::connect(&self.url, NoTls).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Waits until the server, which was started here, has ended.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn ended(&self) -> Result<(), String> {
        let Some(server) = self.pid() else { return Ok(()) };
        let began = Instant::now();
        while began.elapsed() < END {
            // An error is that somebody else has seen it end.
            if !matches!(waitpid(Some(server), WaitOptions::NOHANG), Ok(None)) {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(format!("PostgreSQL does not end within {} s", END.as_secs()))
    }

    /// Starts it again, once the one before has ended; returns when it accepts connections.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_again(&mut self) -> Result<(), String> {
        let next = Embedded::start(self.config.clone()).await.map_err(|error| error.to_string())?;
        // The old share goes after the new one is there, so that nobody takes the server for unused.
        self.running = Some(next);
        Ok(())
    }

    /// Stops it in good order.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(mut self) -> Result<(), String> {
        match self.running.take() {
            Some(running) => running.stop().await.map(drop).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    /// Where one of PostgreSQL's programs is, of the version that runs here.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn program(&self, name: &str) -> Result<PathBuf, String> {
        let Some(running) = &self.running else { return Err("PostgreSQL does not run".to_owned()) };
        // The server notes how it was started.
        let file = running.data_dir().join("postmaster.opts");
        let started = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let server = started.split_once(" \"").map_or(started.trim(), |(program, _)| program);
        let program = Path::new(server).with_file_name(name);
        if program.exists() { Ok(program) } else { Err(format!("{} is not installed", program.display())) }
    }

    fn pid(&self) -> Option<Pid> {
        let file = self.running.as_ref()?.data_dir().join("postmaster.pid");
        Pid::from_raw(fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()?)
    }
}

/// The processes that a process has started; none where there is no `/proc`, and there they end by themselves.
fn children(of: Pid) -> Vec<Pid> {
    let pid = of.as_raw_nonzero();
    let said = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    said.split_whitespace().filter_map(|word| word.parse().ok().and_then(Pid::from_raw)).collect()
}
