//! Somebody else's server as a process of its own on a free port, gone when its value is dropped.
#![allow(clippy::panic, reason = "a test that cannot have its server has to fail, and say why")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// One starts within a second or two; a machine full of tests is slower.
const START: Duration = Duration::from_secs(60);
/// Ends the server when our end of standard input is closed, which also happens when the test is killed.
const SUPERVISED: &str = "\"$0\" \"$@\" </dev/null 2>&1 & exec >/dev/null 2>&1; cat; kill $!; wait";

/// A running server.
#[derive(Debug)]
pub(crate) struct Partner {
    endpoint: String,
    process: Child,
    /// Open as long as the server shall run.
    lifeline: Option<ChildStdin>,
}

impl Partner {
    /// Starts a program of `.venv` or the path, or the one that the variable names, and waits until it tells
    /// that it is `Running on` an address.
    ///
    /// # Panics
    /// When there is no such program, or it does not come up.
    pub(crate) fn start(variable: &str, name: &str, arguments: &[&str]) -> Self {
        Self::start_with(variable, name, arguments, &[])
    }

    /// The same with more in its environment.
    ///
    /// # Panics
    /// When there is no such program, or it does not come up.
    pub(crate) fn start_with(variable: &str, name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let program = program(variable, name);
        let mut process = Command::new("sh")
            .args(["-c", SUPERVISED])
            .arg(&program)
            .args(arguments)
            .env("PYTHONUNBUFFERED", "1")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run sh: {error}"));
        let lifeline = process.stdin.take();
        let Some(endpoint) = process.stdout.take().and_then(endpoint_told) else {
            panic!("{} did not come up; scripts/test makes .venv with it, or set {variable}", program.display())
        };
        Self { endpoint, process, lifeline }
    }

    /// Where it is: `http://127.0.0.1:<port>`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // It has been told to end, and there is nothing to do about one that does not.
        let _ = self.process.wait();
    }
}

/// The address that the server tells once it listens. Whatever it says later is read as well, for it
/// would stand still if nobody did.
fn endpoint_told(output: ChildStdout) -> Option<String> {
    let (told, endpoint) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            let address = line.split_once("Running on ").and_then(|(_, rest)| rest.split_whitespace().next());
            if let Some(port) = address.and_then(|address| address.rsplit(':').next()?.parse::<u16>().ok()) {
                // Nobody waits any more if it took too long.
                let _ = told.send(format!("http://127.0.0.1:{port}"));
            }
        }
    });
    endpoint.recv_timeout(START).ok()
}

fn program(variable: &str, name: &str) -> PathBuf {
    if let Some(program) = std::env::var_os(variable) {
        return program.into();
    }
    let in_repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../.venv/bin").join(name);
    if in_repository.exists() { in_repository } else { PathBuf::from(name) }
}
