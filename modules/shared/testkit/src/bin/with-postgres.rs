//! Runs a command with a PostgreSQL for tests beside it:
//! `cargo run -q -p eshopz-testkit --bin with-postgres -- cargo test`.
//!
//! The server lives under `target/` and forgets everything at the end. Several of these at the same
//! time share one, which goes with the last.

use std::error::Error;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use eshopz_platform::embedded::{Embedded, EmbeddedConfig};
use eshopz_testkit::db::SERVER_VARIABLE;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// Enough for all tests of a machine with many cores, each with the pools of five modules.
const MAX_CONNECTIONS: u32 = 400;

#[tokio::main]
async fn main() -> ExitCode {
    match with_postgres(std::env::args_os().skip(1).skip_while(|argument| argument == "--").collect()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("with-postgres: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn with_postgres(command: Vec<OsString>) -> Result<ExitCode, Box<dyn Error>> {
    let Some((program, arguments)) = command.split_first() else {
        return Err("give a command: with-postgres -- cargo test".into());
    };
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let server = Embedded::start(EmbeddedConfig {
        data_dir: data_dir()?,
        bin_dir: std::env::var_os("ESHOPZ_PG_BIN_DIR").map(PathBuf::from),
        fsync: false,
        max_connections: MAX_CONNECTIONS,
    })
    .await?;
    let mut child = Command::new(program)
        .args(arguments)
        .env(SERVER_VARIABLE, server.url())
        .spawn()
        .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = interrupts.recv() => pass_on(&child, Signal::INT),
            _ = terminations.recv() => pass_on(&child, Signal::TERM),
        }
    };
    server.stop_and_remove().await?;
    Ok(exit_code(status))
}

/// `target/with-postgres/data`: this program is in `target/<profile>/`.
fn data_dir() -> Result<PathBuf, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).map_or_else(|| Path::new("target").to_owned(), Path::to_owned);
    Ok(target.join("with-postgres").join("data"))
}

fn pass_on(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // Fails only when the child has just ended, which the next turn of the loop sees.
        let _ = kill_process(pid, signal);
    }
}

/// The child's own code, or, as shells have it, 128 and the signal that ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
