//! The server process: whether it lives, how it is started, how one asks it, how it is told to end.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use super::binaries::Binaries;
use super::cluster::one_line;
use super::place::{Place, SOCKET};
use super::{DATABASE, EmbeddedConfig, EmbeddedError};

/// A log past this size starts anew with the next start of the server.
const LOG_LIMIT: u64 = 8 * 1024 * 1024;

/// How much of the log goes into an error.
const TAIL_LINES: usize = 4;

/// What has become of the process that `postmaster.pid` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It is gone, or there never was one.
    Gone,
    /// It runs, and it is the server of this folder.
    Runs(Pid),
    /// It is gone, and its number has passed to a process that has nothing to do with it.
    Reused(Pid),
}

/// The answer to an attempt to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Ready,
    /// The server is ready, but the shop's database is not there yet.
    NoDatabase,
    NotYet(String),
}

/// Looks after the server's process.
pub(super) fn life(place: &Place) -> Life {
    let Some(pid) = recorded_pid(&place.data.join("postmaster.pid")) else { return Life::Gone };
    match test_kill_process(pid) {
        Err(Errno::SRCH) => Life::Gone,
        // Somebody else's process: the server would be our own user's, or we are root.
        Err(_) => Life::Reused(pid),
        Ok(()) => identify(pid, &place.data),
    }
}

fn recorded_pid(file: &Path) -> Option<Pid> {
    let text = fs::read_to_string(file).ok()?;
    Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
}

/// A pid tells little: in a container the same small numbers come again after each start.
fn identify(pid: Pid, data: &Path) -> Life {
    let number = pid.as_raw_nonzero();
    let proc = Path::new("/proc").join(number.to_string());
    let Ok(stat) = fs::read_to_string(proc.join("stat")) else {
        return if Path::new("/proc/self").exists() { Life::Gone } else { identify_by_ps(pid) };
    };
    // `1234 (postgres) S …`; the server works inside its data folder.
    let Some((name, state)) = stat.rsplit_once(") ") else { return Life::Reused(pid) };
    if state.starts_with(['Z', 'X']) {
        return Life::Reused(pid);
    }
    let home = data.canonicalize().unwrap_or_else(|_| data.to_owned());
    let elsewhere = fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd != home);
    if elsewhere || !name.contains("(post") { Life::Reused(pid) } else { Life::Runs(pid) }
}

/// For systems without `/proc`.
fn identify_by_ps(pid: Pid) -> Life {
    let number = pid.as_raw_nonzero().to_string();
    match Command::new("ps").args(["-o", "comm=", "-p", &number]).output() {
        Ok(output) if !String::from_utf8_lossy(&output.stdout).contains("postgres") => Life::Reused(pid),
        _ => Life::Runs(pid),
    }
}

pub(super) fn signal(pid: Pid, signal: Signal) {
    // Only fails when the process is gone already, which is what was wanted.
    let _ = kill_process(pid, signal);
}

/// Starts the server and returns at once, with the length that the log had before.
///
/// `stale` is a living process that is not the server although `postmaster.pid` has its number.
/// `PostgreSQL` is told to take it for an ancestor, whose number never counts as a running server.
/// Removing the file would do as well, and take away the other half of what it guards: that no
/// orphaned backend of a killed server still has the data open.
pub(super) fn spawn(
    place: &Place,
    binaries: &Binaries,
    config: &EmbeddedConfig,
    stale: Option<Pid>,
) -> Result<(Child, u64), EmbeddedError> {
    place.make_socket_dir()?;
    for leftover in [SOCKET.to_owned(), format!("{SOCKET}.lock")] {
        let _ = fs::remove_file(place.sockets.join(leftover));
    }
    let (log, from) = open_log(&place.log)?;
    let copy = log.try_clone().map_err(EmbeddedError::io("open", &place.log))?;
    let mut command = Command::new(binaries.program("postgres"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command.arg("-D").arg(&place.data).args(settings(place, config));
    // A group of its own: Ctrl-C in the terminal must not end the database before the shop.
    command.env("LC_ALL", "C").current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(log).stderr(copy);
    if let Some(pid) = stale {
        command.env("PG_GRANDPARENT_PID", pid.as_raw_nonzero().to_string());
    }
    if let Some(account) = place.account {
        command.uid(account.uid).gid(account.gid);
    }
    let child = command.spawn().map_err(EmbeddedError::io("run", binaries.program("postgres")))?;
    Ok((child, from))
}

/// Given on the command line rather than in the data folder, so that data made by an older program
/// runs with the settings of this one.
fn settings(place: &Place, config: &EmbeddedConfig) -> Vec<String> {
    let durable = if config.fsync { "on" } else { "off" };
    let sockets = place.sockets.display().to_string().replace('"', "\"\"");
    let mut values = vec![
        "listen_addresses=".to_owned(),
        "port=5432".to_owned(),
        format!("unix_socket_directories=\"{sockets}\""),
        "unix_socket_permissions=0700".to_owned(),
        format!("max_connections={}", config.max_connections),
        "shared_buffers=128MB".to_owned(),
        "synchronous_commit=on".to_owned(),
        "random_page_cost=1.1".to_owned(),
        "jit=off".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "logging_collector=off".to_owned(),
        "log_checkpoints=off".to_owned(),
        // A failed statement is the shop's to report; here its text would keep personal data.
        "log_min_messages=log".to_owned(),
        "log_min_error_statement=panic".to_owned(),
        "cluster_name=eshopz".to_owned(),
    ];
    // A commit is written out either way: what dies with the server alone is never lost.
    values.extend(["fsync", "full_page_writes"].map(|name| format!("{name}={durable}")));
    values.into_iter().flat_map(|value| ["-c".to_owned(), value]).collect()
}

fn open_log(path: &Path) -> Result<(File, u64), EmbeddedError> {
    let open = || OpenOptions::new().create(true).append(true).open(path).map_err(EmbeddedError::io("open", path));
    let log = open()?;
    let length = log.metadata().map_or(0, |found| found.len());
    if length <= LOG_LIMIT {
        return Ok((log, length));
    }
    log.set_len(0).map_err(EmbeddedError::io("shorten", path))?;
    Ok((log, 0))
}

/// The last lines of the log from an offset on, as one line.
pub(super) fn log_tail(place: &Place, from: u64) -> String {
    let read = || {
        let mut log = File::open(&place.log)?;
        log.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        log.read_to_end(&mut text)?;
        std::io::Result::Ok(String::from_utf8_lossy(&text).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(TAIL_LINES).collect();
    let tail = one_line(&lines.into_iter().rev().collect::<Vec<_>>().join("\n"));
    if tail.is_empty() { "it said nothing".to_owned() } else { tail }
}

/// Tries to connect.
pub(super) async fn ask(place: &Place) -> Answer {
    match connect(place, DATABASE).await {
        Ok(_) => Answer::Ready,
        Err(error) => match error.code() {
            Some(&SqlState::UNDEFINED_DATABASE) => Answer::NoDatabase,
            None | Some(&SqlState::CANNOT_CONNECT_NOW) => Answer::NotYet(error.to_string()),
            // It refuses us (too many connections, say), but it does so as a server that is up.
            Some(_) => Answer::Ready,
        },
    }
}

/// Makes the shop's database.
pub(super) async fn create_database(place: &Place) -> Result<(), EmbeddedError> {
    let client = connect(place, "postgres").await.map_err(|error| EmbeddedError::Database(error.to_string()))?;
    client
        .batch_execute(&format!("CREATE DATABASE {DATABASE}"))
        .await
        .map_err(|error| EmbeddedError::Database(error.to_string()))
}

async fn connect(place: &Place, database: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::Config::new()
        .host_path(&place.sockets)
        .user(super::OWNER)
        .dbname(database)
        .connect_timeout(Duration::from_secs(5))
        .connect(NoTls)
        .await?;
    tokio::spawn(connection);
    Ok(client)
}
