//! The processes of the shop: started, killed, frozen and started again.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use eshopz_testkit::load::{Call, Http};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// To be ready, on a machine that is busy; after a crash the database first replays its log.
const START: Duration = Duration::from_secs(120);
/// To end after SIGTERM: longer than the grace that it gives to what is under way.
const END: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
/// Lines of a log that are shown of a process that ended.
const LAST_WORDS: usize = 6;
/// Above the public port.
const MANAGEMENT: u16 = 6_000;

/// How every process is started.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub program: PathBuf,
    pub folder: PathBuf,
    pub settings: Vec<(String, String)>,
}

impl Recipe {
    /// The program with the settings of the run and no others.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ESHOPZ_") || name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.args(arguments).envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// A process of the shop.
pub struct Process {
    name: String,
    port: u16,
    recipe: Recipe,
    child: Child,
}

impl Process {
    /// Starts it; it is not ready yet.
    pub fn start(number: usize, port: u16, recipe: &Recipe) -> Result<Self, String> {
        let name = format!("process-{number}");
        let child = spawn(&name, port, recipe)?;
        Ok(Self { name, port, recipe: recipe.clone(), child })
    }

    /// What it says, all runs one after another.
    pub fn log(&self) -> PathBuf {
        log_of(&self.recipe.folder, &self.name)
    }

    /// Sends it a signal; it may be gone.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Starts it again at the same port.
    pub fn start_again(&mut self) -> Result<(), String> {
        self.child = spawn(&self.name, self.port, &self.recipe)?;
        Ok(())
    }

    /// Waits until it is gone.
    pub async fn ended(&mut self) -> Result<ExitStatus, String> {
        match timeout(END, self.child.wait()).await {
            Ok(status) => status.map_err(|error| error.to_string()),
            Err(_) => Err(format!("{} does not end within {} s", self.name, END.as_secs())),
        }
    }

    fn last_words(&self) -> String {
        let said = std::fs::read(self.log()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let mut lines: Vec<&str> = said.lines().rev().take(LAST_WORDS).collect();
        lines.reverse();
        lines.join("\n")
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self) -> Result<(), String> {
        let management = format!("http://127.0.0.1:{}", self.port.saturating_add(MANAGEMENT));
        let http = Http::new(&management, Duration::from_secs(5))?;
        let began = Instant::now();
        while began.elapsed() < START {
            let call = Call::get("ready", "/health/ready".to_owned());
            if http.once(&call).await.is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended by itself with {status}: {}", self.name, self.last_words()));
            }
            sleep(PAUSE).await;
        }
        Err(format!("{} is not ready after {} s", self.name, START.as_secs()))
    }
}

fn spawn(name: &str, port: u16, recipe: &Recipe) -> Result<Child, String> {
    let path = log_of(&recipe.folder, name);
    let log = OpenOptions::new().create(true).append(true).open(&path).map_err(|error| error.to_string())?;
    let also: File = log.try_clone().map_err(|error| error.to_string())?;
    let mut command = recipe.command(&["serve", "--listen", &format!("127.0.0.1:{port}"), "--workers", "2"]);
    let spawned = command.stdout(also).stderr(log).spawn();
    let child = spawned.map_err(|error| format!("{}: {error}", recipe.program.display()))?;
    // For the script, which ends what is left when this program could not.
    let _ = std::fs::write(recipe.folder.join(format!("{name}.pid")), child.id().unwrap_or(0).to_string());
    Ok(child)
}

fn log_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}
