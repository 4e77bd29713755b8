//! A server that speaks AWS: moto's, a process of its own on a free port, gone when this is dropped.
#![allow(clippy::panic, reason = "a test that cannot have its server has to fail, and say why")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Names moto's program, where it is neither in the repository's `.venv` nor on the path.
pub const PROGRAM_VARIABLE: &str = "ESHOPZ_MOTO_SERVER";
/// The region of everything in it.
pub const REGION: &str = "eu-central-1";

/// It starts within a second or two; a machine full of tests is slower.
const START: Duration = Duration::from_secs(60);
/// Ends the server when our end of standard input is closed, which also happens when the test is killed.
const SUPERVISED: &str = "\"$0\" -H 127.0.0.1 -p 0 </dev/null & exec 2>/dev/null; cat >/dev/null; kill $!; wait";

/// A running server.
#[derive(Debug)]
pub struct Moto {
    endpoint: String,
    process: Child,
    /// Open as long as the server shall run.
    lifeline: Option<ChildStdin>,
}

impl Moto {
    /// Starts one and waits until it listens.
    ///
    /// # Panics
    /// When there is no such program, or it does not come up.
    #[must_use]
    pub fn start() -> Self {
        let program = program();
        let mut process = Command::new("sh")
            .args(["-c", SUPERVISED])
            .arg(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run sh: {error}"));
        let lifeline = process.stdin.take();
        let endpoint = process.stderr.take().and_then(endpoint_told);
        let Some(endpoint) = endpoint else {
            panic!("{} did not come up; scripts/test makes .venv with it, or set {PROGRAM_VARIABLE}", program.display())
        };
        Self { endpoint, process, lifeline }
    }

    /// Where it is: `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What a process needs in its environment to take this for AWS.
    #[must_use]
    pub fn env(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
    }

    /// Forgets everything that was made in it.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn reset(&self) {
        let answer = reqwest::Client::new().post(format!("{}/moto-api/reset", self.endpoint)).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.unwrap_or_else(|error| panic!("moto does not reset: {error}"));
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // It has been told to end, and there is nothing to do about one that does not.
        let _ = self.process.wait();
    }
}

/// The address that the server tells once it listens. Whatever it says later is read as well, for it
/// would stand still if nobody did.
fn endpoint_told(stderr: ChildStderr) -> Option<String> {
    let (told, endpoint) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if let Some((_, address)) = line.split_once("Running on ") {
                // Nobody waits any more if it took too long.
                let _ = told.send(address.trim().to_owned());
            }
        }
    });
    endpoint.recv_timeout(START).ok()
}

fn program() -> PathBuf {
    if let Some(program) = std::env::var_os(PROGRAM_VARIABLE) {
        return program.into();
    }
    let in_repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../.venv/bin/moto_server");
    if in_repository.exists() { in_repository } else { PathBuf::from("moto_server") }
}
