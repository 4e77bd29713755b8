//! One shop that dies and is started again, as often as there are points to try.

use std::collections::BTreeSet;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use eshopz_testkit::db::TestDb;
use futures::FutureExt as _;
use tokio_postgres::Client;

use super::case::Case;
use super::downtime;
use super::patient::Patient;
use super::plan::Target;
use super::scenarios::{Capture, Scenario};
use crate::support::{MODULES, Process, Shop, eshopz, free_port};

/// How often it is looked whether the process lives.
const LOOK_EVERY: Duration = Duration::from_millis(2);

pub struct Rig {
    pub capture: Capture,
    process: Process,
    shop: Shop,
    folder: PathBuf,
    owner: Client,
    /// What makes everything older by the time that it is away, and by the time until its books are checked.
    away: String,
    later: String,
}

/// How a scenario went whose process was to die.
#[derive(Debug)]
pub struct Outcome {
    /// How often it died, of the times that it was to.
    pub deaths: usize,
    /// From the moment it was armed to its last death.
    pub died: Duration,
    /// From that death until the shop was ready again.
    pub back: Duration,
    /// What was passed after it.
    pub recovery: BTreeSet<String>,
    /// From the client's last answer until nothing was under way.
    pub settled: Duration,
    /// What is wrong; nothing, if all is well.
    pub wrong: Option<String>,
}

impl Rig {
    pub async fn start(capture: Capture) -> Self {
        let (db, port) = (TestDb::new(&MODULES).await, free_port());
        let folder = std::env::temp_dir().join(format!("eshopz-crash-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (url, data) = (db.url.clone(), folder.clone());
        let make = move || {
            let listen = format!("127.0.0.1:{port}");
            let mut command = eshopz(&url, &["serve", "--workers", "2", "--gateway-timeout-ms", "2000"]);
            command.args(["--listen", &listen, "--payment-capture", capture.name()]);
            command.env("ESHOPZ_DATA_DIR", &data).env("ESHOPZ_CRASH_AT", format!("file:{}", data.join("at").display()));
            command.env("ESHOPZ_CRASH_TRACE", data.join("trace"));
            command
        };
        let mut process = Process::spawn("a shop that dies", port, folder.join("eshopz.log"), Box::new(make));
        process.wait_until_ready().await;
        let owner = db.owner().await;
        let away = downtime::passing(&owner, downtime::AWAY).await;
        let later = downtime::passing(&owner, downtime::LATER).await;
        let shop = Shop::new(process.public(), db, folder.join("mail"), 1);
        Self { capture, process, shop, folder, owner, away, later }
    }

    /// The points that a scenario passes, one after another.
    pub async fn trace(&mut self, scenario: &Scenario) -> Vec<String> {
        let case = self.prepared(scenario).await;
        self.forget_trace();
        let patient = Patient::of(&self.shop).await;
        (scenario.run)(&patient, &case).await;
        downtime::settled(&self.owner).await.unwrap_or_else(|open| panic!("{}: {open}", scenario.name));
        let trace = self.traced();
        if let Some(wrong) = self.wrong(scenario, &case).await {
            panic!("{}: {wrong}", scenario.name);
        }
        trace
    }

    fn traced(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("trace")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The process adds to the file's end, wherever that is.
    fn forget_trace(&self) {
        drop(fs::File::create(self.folder.join("trace")));
    }

    async fn prepared(&self, scenario: &Scenario) -> Case {
        let case = (scenario.prepare)(&self.shop).await;
        downtime::settled(&self.owner).await.unwrap_or_else(|open| panic!("{}: {open}", scenario.name));
        case
    }

    /// Runs a scenario whose process dies at a point, or at one after the other, and looks whether all is well
    /// afterwards.
    pub async fn crash(&mut self, scenario: &Scenario, targets: &[Target]) -> Outcome {
        let mut lives = Lives { deaths: 0, armed: Instant::now(), last: Duration::ZERO, back: Duration::ZERO };
        let end = AssertUnwindSafe(self.attempt(scenario, targets, &mut lives)).catch_unwind().await;
        self.arm(None);
        let recovery = if lives.deaths > 0 { self.traced().into_iter().collect() } else { BTreeSet::new() };
        let end = end.unwrap_or_else(|panic| Err(said(&*panic)));
        let (settled, wrong) = match end {
            Ok(settled) => (settled, None),
            Err(wrong) => (Duration::ZERO, Some(format!("{wrong}\n{}", self.process.said()))),
        };
        Outcome { deaths: lives.deaths, died: lives.last, back: lives.back, recovery, settled, wrong }
    }

    async fn attempt(
        &mut self,
        scenario: &Scenario,
        targets: &[Target],
        lives: &mut Lives,
    ) -> Result<Duration, String> {
        if self.process.has_ended() {
            // A moment after all was done, and nobody looked.
            self.come_back(None).await;
        }
        let case = self.prepared(scenario).await;
        lives.armed = Instant::now();
        self.arm(targets.first());
        let settled = self.run(scenario, &case, targets, lives).await?;
        self.arm(None);
        self.wrong(scenario, &case).await.map_or(Ok(settled), Err)
    }

    /// The whole name or nothing: the process may look at any moment.
    fn arm(&self, target: Option<&Target>) {
        let (draft, at) = (self.folder.join("at.draft"), self.folder.join("at"));
        match target {
            Some(target) => {
                fs::write(&draft, format!("{}@{}", target.point, target.passing)).unwrap();
                fs::rename(draft, at).unwrap();
            }
            None => drop(fs::remove_file(at)),
        }
    }

    /// The scenario and what follows from it, while somebody starts the shop again when it dies.
    async fn run(
        &mut self,
        scenario: &Scenario,
        case: &Case,
        targets: &[Target],
        lives: &mut Lives,
    ) -> Result<Duration, String> {
        let patient = Patient::of(&self.shop).await;
        let beside = self.shop.db.owner().await;
        let mut whole = pin!(async {
            (scenario.run)(&patient, case).await;
            downtime::settled(&beside).await
        });
        loop {
            tokio::select! {
                done = &mut whole => return done,
                () = tokio::time::sleep(LOOK_EVERY) => if self.process.has_ended() {
                    lives.deaths += 1;
                    lives.last = lives.armed.elapsed();
                    assert!(lives.deaths <= targets.len(), "it died once more than it was told to");
                    self.come_back(targets.get(lives.deaths)).await;
                    lives.back = lives.armed.elapsed() - lives.last;
                }
            }
        }
    }

    /// Starts it again after a minute, to die again if there is another target.
    async fn come_back(&mut self, target: Option<&Target>) {
        self.arm(target);
        self.forget_trace();
        self.owner.batch_execute(&self.away).await.unwrap();
        self.process.start();
        let started = Instant::now();
        // It may die before it is ready.
        while !self.process.has_ended() && !self.process.is_ready().await {
            assert!(started.elapsed() < Duration::from_secs(90), "it is not ready in time");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn wrong(&self, scenario: &Scenario, case: &Case) -> Option<String> {
        self.owner.batch_execute(&self.later).await.unwrap();
        // A job may have begun something just before, which is older now than it is.
        if let Err(open) = downtime::settled(&self.owner).await {
            return Some(open);
        }
        // It blocks until the command has ended.
        let findings = tokio::task::block_in_place(|| self.shop.verify());
        if !findings.is_empty() {
            return Some(format!("verify finds {findings:?}"));
        }
        case.ended(&self.owner, scenario.end).await.err()
    }
}

struct Lives {
    deaths: usize,
    armed: Instant,
    /// From then to the last death.
    last: Duration,
    back: Duration,
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "it panicked".to_owned())
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.process.kill();
        drop(fs::remove_dir_all(&self.folder));
    }
}
