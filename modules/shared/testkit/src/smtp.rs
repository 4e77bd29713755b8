//! A mail server that keeps what it is given: aiosmtpd's, a process of its own on a free port, gone when this is dropped.
#![allow(clippy::panic, reason = "a test that cannot have its server has to fail, and say why")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

use crate::partner::Partner;

/// Names the Python that has aiosmtpd, where it is neither in the repository's `.venv` nor on the path.
pub const PROGRAM_VARIABLE: &str = "ESHOPZ_SMTP_PYTHON";
/// What serves; it says itself what it does.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/partners/smtp_sink.py");
/// How long a letter may take that is on its way.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
#[derive(Debug)]
pub struct SmtpSink {
    partner: Option<Partner>,
    folder: PathBuf,
    port: String,
}

impl SmtpSink {
    /// Starts one and waits until it listens. `arguments` are the script's, such as `--tls`.
    ///
    /// # Panics
    /// When there is no such program, or it does not come up.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("eshopz-smtp-{}", Uuid::now_v7()));
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut sink = Self { partner: None, folder, port: "0".to_owned() };
        sink.resume(arguments);
        sink
    }

    /// Ends it; what it was given stays.
    pub fn stop(&mut self) {
        self.partner = None;
    }

    /// Starts it again on the same port.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn resume(&mut self, arguments: &[&str]) {
        let folder = self.folder.to_string_lossy().into_owned();
        let all = [&[SCRIPT, "--folder", &folder, "--port", &self.port][..], arguments].concat();
        let partner = Partner::start(PROGRAM_VARIABLE, "python", &all);
        self.port = partner.endpoint().rsplit(':').next().unwrap_or_default().to_owned();
        self.partner = Some(partner);
    }

    /// Where it is: `127.0.0.1:<port>`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The certificate that it made for itself.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    /// The letters so far, in the order of their arrival: `from`, `to`, `encrypted`, `login`, `hello`, `data`.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn letters(&self) -> Vec<Value> {
        let entries = fs::read_dir(&self.folder).unwrap_or_else(|error| panic!("{}: {error}", self.folder.display()));
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort_by_key(|path| (fs::metadata(path).and_then(|about| about.modified()).ok(), path.clone()));
        paths.iter().map(|path| read(path)).collect()
    }

    /// The letters, once there are so many.
    ///
    /// # Panics
    /// When there are not in time.
    pub async fn wait_for(&self, count: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let letters = self.letters();
            if letters.len() >= count {
                return letters;
            }
            assert!(began.elapsed() < PATIENCE, "only {} of {count} letters", letters.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
