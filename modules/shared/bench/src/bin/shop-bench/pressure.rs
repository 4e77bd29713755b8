//! More clients than the shop can serve at once: what it still does, and what it tells the others.

use std::rc::Rc;
use std::time::Duration;

use eshopz_testkit::load::figures::percentile;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::client::Log;
use crate::load::{Figures, Get, wrk};
use crate::machine::{Machine, Mode};
use crate::setup::Stock;
use crate::statements;
use crate::table::median;
use crate::work::{Person, Ports, Work};

/// Clients: twice enough to keep it busy, and then too many.
const LEVELS: [usize; 3] = [16, 64, 640];
/// What of the most that it does it must do with too many. What wrk loses by itself is not the shop's: so much of what
/// comes through of constant answers.
const MUST: f64 = 0.9;
const WARM_UP: Duration = Duration::from_secs(1);

struct Row {
    name: &'static str,
    mode: Mode,
    load: fn(u16, &Stock) -> Load,
}

enum Load {
    /// What nobody is to be refused, as it asks nobody else. It is asked by wrk: our own clients take longer than it.
    Get(Get),
    Work(Work),
}

const ROWS: [Row; 4] = [
    Row {
        name: "product, hot",
        mode: Mode::Hot,
        load: |port, stock| Load::Get(Get { port, path: path(stock), headers: Vec::new() }),
    },
    Row {
        name: "product, no cache",
        mode: Mode::Bare,
        load: |port, stock| Load::Work(Work::Get(port, path(stock).into())),
    },
    Row {
        name: "add to cart",
        mode: Mode::Hot,
        load: |port, stock| Load::Work(Work::Add(Ports::all(port), stock.shelf.clone())),
    },
    Row {
        name: "whole guest checkout",
        mode: Mode::Hot,
        load: |port, stock| Load::Work(Work::Checkout(Ports::all(port), stock.shelf.clone())),
    },
];

fn path(stock: &Stock) -> String {
    format!("/api/v1/products/{}", stock.product.handle)
}

/// What came of a number of clients.
#[derive(Clone, Debug)]
struct Outcome {
    clients: usize,
    per_second: f64,
    /// Of the requests that went well.
    p99_ms: f64,
    refused_per_second: f64,
    /// Refusals that did not say when to come again.
    mute: u64,
    /// Everything else that went wrong, of which one is shown.
    failed: u64,
    failure: Option<String>,
}

/// Whether the shop stands each of the rows whose name has `only` in it, and the figures.
pub async fn measure(
    machine: &mut Machine,
    stock: &Stock,
    only: &str,
    (rounds, length): (usize, Duration),
    progress: impl Fn(&str),
) -> Result<(bool, Value), String> {
    println!(
        "{:<24} {:>7} {:>9} {:>8} {:>8} {:>8} {:>6} {:>7}",
        "", "clients", "done/s", "of most", "p99 ms", "503/s", "mute", "failed"
    );
    let reference = machine.reference(&[stock.product.size], &statements::all()).await?;
    let constant = Load::Get(Get { port: reference.port, path: "/constant/0".to_owned(), headers: Vec::new() });
    let (mut all_good, mut rows) = (true, Vec::new());
    for row in ROWS.iter().filter(|row| crate::is_wanted(row.name, only)) {
        progress(row.name);
        let (shop, _) = machine.shop(row.mode).await?;
        let load = (row.load)(shop.port, stock);
        let loads = if matches!(load, Load::Get(_)) { vec![&constant, &load] } else { vec![&load] };
        let mut measured = vec![vec![Vec::new(); LEVELS.len()]; loads.len()];
        for _ in 0..rounds {
            for (level, clients) in LEVELS.into_iter().enumerate() {
                for (load, outcomes) in loads.iter().zip(&mut measured) {
                    outcomes.get_mut(level).ok_or("no such level")?.push(load.once(clients, length).await?);
                }
            }
        }
        let mut stands: Vec<Stand> = measured.iter().map(|levels| Stand::of(levels)).collect();
        let shop = stands.pop().ok_or("nothing was measured")?;
        let must = stands.pop().map_or(MUST, |constant| {
            constant.print("  constant JSON", false);
            MUST * constant.share().min(1.0)
        });
        let good = shop.share() >= must && shop.outcomes.iter().all(|outcome| outcome.mute == 0 && outcome.failed == 0);
        all_good &= good;
        shop.print(row.name, !good);
        let outcomes: Vec<Value> = shop.outcomes.iter().map(Outcome::json).collect();
        rows.push(json!({"name": row.name, "must": must, "share": shop.share(), "outcomes": outcomes}));
    }
    Ok((all_good, json!({"pressure": rows})))
}

impl Load {
    async fn once(&self, clients: usize, length: Duration) -> Result<Outcome, String> {
        match self {
            Self::Get(get) => read(get, clients, length).await,
            Self::Work(work) => once(work, clients, length).await,
        }
    }
}

/// What comes of each number of clients.
struct Stand {
    outcomes: Vec<Outcome>,
    most: f64,
}

impl Stand {
    fn of(levels: &[Vec<Outcome>]) -> Self {
        let outcomes: Vec<Outcome> = levels.iter().filter_map(|rounds| medians(rounds)).collect();
        let most = outcomes.iter().map(|outcome| outcome.per_second).fold(0.0, f64::max);
        Self { outcomes, most }
    }

    /// What of the most is left with too many.
    fn share(&self) -> f64 {
        self.outcomes.last().map_or(f64::NAN, |outcome| outcome.per_second / self.most)
    }

    fn print(&self, name: &str, below: bool) {
        for outcome in &self.outcomes {
            println!("{name:<24} {}", outcome.line(self.most));
        }
        if below {
            println!("{name:<24} BELOW");
        }
    }
}

/// As many read for so long, none of whom may be refused.
async fn read(get: &Get, clients: usize, length: Duration) -> Result<Outcome, String> {
    wrk(get, clients, WARM_UP).await?;
    let Figures { per_second, p99_ms, .. } = wrk(get, clients, length).await?;
    Ok(Outcome { clients, per_second, p99_ms, refused_per_second: 0.0, mute: 0, failed: 0, failure: None })
}

/// So many clients work for so long. Whoever is told to come again later does so.
async fn once(work: &Work, clients: usize, length: Duration) -> Result<Outcome, String> {
    let log = Rc::new(Log::default());
    let mut people = Vec::with_capacity(clients);
    for seed in 1..=clients {
        people.push(Person::noted(work, u64::try_from(seed).unwrap_or(1), &log).await?);
    }
    let from = Instant::now() + WARM_UP;
    let until = from + length;
    let mut working = JoinSet::new();
    for mut person in people {
        working.spawn_local(async move {
            let mut done = 0_u64;
            loop {
                match timeout_at(until, person.once()).await {
                    // What is under way at the end is left.
                    Err(_) => return (done, None),
                    Ok(Err(failure)) => return (done, Some(failure)),
                    Ok(Ok(_)) => done += u64::from(Instant::now() >= from),
                }
            }
        });
    }
    tokio::time::sleep_until(from).await;
    log.forget();
    let (mut done, mut failures) = (0, Vec::new());
    while let Some(ended) = working.join_next().await {
        let (one, failure) = ended.map_err(|error| error.to_string())?;
        done += one;
        failures.extend(failure);
    }
    let per_second = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / length.as_secs_f64();
    let mut micros = log.micros.take();
    micros.sort_unstable();
    Ok(Outcome {
        clients,
        per_second: per_second(done),
        p99_ms: percentile(&micros, 99),
        refused_per_second: per_second(log.refused.get()),
        mute: log.mute.get(),
        failed: u64::try_from(failures.len()).unwrap_or(u64::MAX),
        failure: failures.pop(),
    })
}

/// Of the rounds; what went wrong is added up.
fn medians(rounds: &[Outcome]) -> Option<Outcome> {
    let of = |member: fn(&Outcome) -> f64| median(rounds.iter().map(member).collect());
    Some(Outcome {
        clients: rounds.first()?.clients,
        per_second: of(|outcome| outcome.per_second),
        p99_ms: of(|outcome| outcome.p99_ms),
        refused_per_second: of(|outcome| outcome.refused_per_second),
        mute: rounds.iter().map(|outcome| outcome.mute).sum(),
        failed: rounds.iter().map(|outcome| outcome.failed).sum(),
        failure: rounds.iter().find_map(|outcome| outcome.failure.clone()),
    })
}

impl Outcome {
    fn line(&self, most: f64) -> String {
        let Self { clients, per_second, p99_ms, refused_per_second, mute, failed, failure } = self;
        let share = per_second / most;
        let shown = failure.as_ref().map_or_else(String::new, |failure| format!("\n    {failure}"));
        format!(
            "{clients:>7} {per_second:>9.0} {share:>8.2} {p99_ms:>8.1} {refused_per_second:>8.0} {mute:>6} {failed:>7}{shown}"
        )
    }

    fn json(&self) -> Value {
        json!({"clients": self.clients, "per_second": self.per_second, "p99_ms": self.p99_ms,
            "refused_per_second": self.refused_per_second, "mute": self.mute, "failed": self.failed,
            "failure": self.failure})
    }
}
