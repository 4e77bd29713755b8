//! A running `eshopz serve` that can be stopped, frozen, killed and started again at the same ports.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Make = Box<dyn Fn() -> Command + Send + Sync>;

/// A process of the shop.
pub struct Process {
    pub name: String,
    pub port: u16,
    pub boot: Duration,
    make: Make,
    log: PathBuf,
    child: Option<Child>,
    started: Instant,
    client: reqwest::Client,
}

impl Process {
    /// `make` is the whole command; what it says goes to `log`.
    pub fn spawn(name: impl Into<String>, port: u16, log: PathBuf, make: Make) -> Self {
        let client =
            reqwest::Client::builder().pool_idle_timeout(Duration::from_secs(2)).timeout(Duration::from_secs(30));
        let client = client.build().unwrap();
        let (name, started) = (name.into(), Instant::now());
        let mut process = Self { name, port, boot: Duration::ZERO, make, log, child: None, started, client };
        process.start();
        process
    }

    /// Starts it (again); it is not ready yet.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let stdout: File = log.try_clone().unwrap();
        self.started = Instant::now();
        self.child = Some((self.make)().stdin(Stdio::null()).stdout(stdout).stderr(log).spawn().unwrap());
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn public(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn internal(&self) -> String {
        format!("http://127.0.0.1:{}", self.port + 1_000)
    }

    pub fn management(&self) -> String {
        format!("http://127.0.0.1:{}", self.port + 6_000)
    }

    pub async fn wait_until_ready(&mut self) {
        while self.started.elapsed() < Duration::from_secs(90) {
            if self.is_ready().await {
                self.boot = self.started.elapsed();
                return;
            }
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("{} ended with {status} before it was ready: {}", self.name, self.said());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} is not ready in time: {}", self.name, self.said());
    }

    /// Whether it says that it is ready.
    pub async fn is_ready(&self) -> bool {
        let asked = self.client.get(format!("{}/health/ready", self.management())).send().await;
        asked.is_ok_and(|response| response.status().is_success())
    }

    /// Every metric line whose name and labels hold all of `parts`, summed up.
    pub async fn metric(&self, parts: &[&str]) -> f64 {
        let answer = self.client.get(format!("{}/metrics", self.management())).send().await.unwrap();
        let text = answer.text().await.unwrap();
        text.lines()
            .filter(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// What it said, the last of it.
    pub fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// All that it said.
    pub fn said_in_all(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal by its name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Sends SIGTERM and waits for the end; gives the exit code.
    pub async fn terminate(&mut self) -> i32 {
        self.signal("TERM");
        let mut child = self.child.take().unwrap();
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            if started.elapsed() > Duration::from_secs(60) {
                drop(child.kill());
                drop(child.wait());
                panic!("{} did not end within a minute of SIGTERM: {}", self.name, self.said());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether it has ended by itself; it can be started again then.
    pub fn has_ended(&mut self) -> bool {
        let ended = self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
        if ended {
            self.child = None;
        }
        ended
    }

    /// Ends it at once, as a machine that loses its power does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("-- what {} said last:\n{}", self.name, self.said());
        }
    }
}
