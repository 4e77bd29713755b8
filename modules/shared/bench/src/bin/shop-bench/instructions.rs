//! How many instructions the shop takes for a request, as callgrind counts them. That does not depend on how fast the
//! machine is, or on what else it does meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::sleep;

use crate::client::Conn;
use crate::machine::{Machine, Process};
use crate::setup::{Stock, list_path};
use crate::work::{Person, Ports, Work};

/// What the program does without being asked is looked at for so long, as often as there are rounds, since some of it is done
/// now and then only.
const IDLE: Duration = Duration::from_secs(3);
/// A bound that is so much above what is counted finds nothing any more.
const SLACK: f64 = 0.5;
/// A new bound is so much above what was counted: rounds differ by some hundredths.
const ROOM: f64 = 1.15;
/// Of which the least counts, of what is done unasked as well: a copy that grows old meanwhile, or a job that runs, only adds.
const ROUNDS: usize = 5;
const TRIES: usize = 3;

/// Bounds by build, then by operation.
type Bounds = BTreeMap<String, BTreeMap<String, u64>>;

/// Where bounds are kept, and what is done with them.
pub struct Plan<'a> {
    pub file: &'a Path,
    /// Whose bounds hold.
    pub build: &'a str,
    /// Only operations with this in their name.
    pub only: &'a str,
    /// Write what is counted as the bounds.
    pub write: bool,
}

/// What is asked for.
enum Asked {
    Get(String, Vec<(&'static str, String)>),
    Work(Work),
}

struct Operation {
    name: &'static str,
    /// Requests of a round, and as many before the first.
    times: u32,
    /// Until what follows from the requests is done as well.
    after: Duration,
    asked: Asked,
}

impl Operation {
    /// All the requests of a round.
    async fn ask(&self, shop: &Process) -> Result<(), String> {
        Client::of(shop, &self.asked).await?.ask(self.times).await
    }

    /// Instructions that one of them took in a round.
    async fn count(&self, shop: &Process, counter: &Counter, idle: f64) -> Result<f64, String> {
        let (before, began) = (counter.read().await?, Instant::now());
        self.ask(shop).await?;
        sleep(self.after).await;
        let taken = counter.read().await? - before - idle * began.elapsed().as_secs_f64();
        Ok(taken / f64::from(self.times))
    }
}

/// What comes of some requests; when one fails all are begun anew, a few times. Under valgrind, on a busy machine, the shop may not come
/// to read a request within the seconds that it gives a connection, and then says 408 to it, which means just that: to ask
/// again (RFC 9110, 15.5.9).
async fn anew<T>(name: &str, round: impl AsyncFn() -> Result<T, String>) -> Result<T, String> {
    let mut said = String::new();
    for _ in 0..TRIES {
        match round().await {
            Ok(done) => return Ok(done),
            Err(error) => said = format!("{name}: {error}"),
        }
    }
    Err(said)
}

/// Whether each operation is within its bound, and the figures.
pub async fn measure(
    machine: &mut Machine,
    stock: &Stock,
    plan: &Plan<'_>,
    progress: impl Fn(&str),
) -> Result<(bool, Value), String> {
    let mut bounds = read(plan.file)?;
    progress("the shop starts under valgrind");
    let shop = machine.counted_shop().await?;
    let counter = Counter::of(machine, &shop);
    counter.say(&["instrumentation", "on"]).await?;
    let mut counts = BTreeMap::new();
    let mut idle = None;
    for operation in operations(&shop, stock).await?.into_iter().filter(|one| crate::is_wanted(one.name, plan.only)) {
        progress(operation.name);
        anew(operation.name, || operation.ask(&shop)).await?;
        let idle = match idle {
            Some(idle) => idle,
            None => *idle.insert(counter.idle().await?),
        };
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(anew(operation.name, || operation.count(&shop, &counter, idle)).await?);
        }
        counts.insert(operation.name.to_owned(), rounds);
    }
    let known = bounds.entry(plan.build.to_owned()).or_default();
    if plan.write {
        known.extend(counts.iter().map(|(name, rounds)| (name.clone(), bound_of(least(rounds)))));
    }
    println!("{:<28} {:>14} {:>14}  {} build", "instructions a request", "counted", "bound", plan.build);
    let mut all_good = true;
    for (name, rounds) in &counts {
        let (counted, bound) = (least(rounds), known.get(name).copied());
        let verdict = verdict(counted, bound);
        all_good &= verdict.is_empty();
        println!(
            "{name:<28} {counted:>14.0} {:>14}{verdict}",
            bound.map_or("none".to_owned(), |bound| bound.to_string())
        );
    }
    if plan.write {
        let text = serde_json::to_string_pretty(&bounds).map_err(|error| error.to_string())?;
        fs::write(plan.file, text + "\n").map_err(|error| format!("{}: {error}", plan.file.display()))?;
    }
    Ok((all_good, json!({"build": plan.build, "idle_per_second": idle, "instructions": counts})))
}

async fn operations(shop: &Process, stock: &Stock) -> Result<Vec<Operation>, String> {
    let at_once = |name, times, asked| Operation { name, times, after: Duration::ZERO, asked };
    let get = |path: String| Asked::Get(path, Vec::new());
    let (authorization, ports) = (stock.authorization.trim_start_matches("Authorization: "), Ports::all(shop.port));
    let mine = vec![("authorization", authorization.to_owned())];
    let (cart, token) = anew("a cart of two", || cart(shop, stock)).await?;
    Ok(vec![
        at_once("product by handle, hot", 60, get(format!("/api/v1/products/{}", stock.product.handle))),
        at_once("product by id, hot", 60, get(format!("/api/v1/products/{}", stock.product.id))),
        at_once("list of 20, hot", 60, get(list_path(&stock.category.slug))),
        at_once("cart", 15, Asked::Get(format!("/api/v1/carts/{cart}"), vec![("x-cart-token", token)])),
        at_once("own order, signed in", 15, Asked::Get(format!("/api/v1/orders/{}", stock.order), mine)),
        at_once("add to cart", 15, Asked::Work(Work::Add(ports, stock.shelf.clone()))),
        Operation {
            name: "guest checkout, with events",
            times: 5,
            // Listeners leave an order to its request for three seconds.
            after: Duration::from_secs(4),
            asked: Asked::Work(Work::Checkout(ports, stock.shelf.clone())),
        },
    ])
}

/// A guest's cart of two lines, and its token.
async fn cart(shop: &Process, stock: &Stock) -> Result<(String, String), String> {
    let mut conn = Conn::open(shop.port).await?;
    let made: Value = conn.post("/api/v1/carts", &[], String::new()).await?.expect(201)?;
    let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (id, token) = (text("id"), text("token"));
    let mut dice = eshopz_testkit::load::Dice::new(3);
    let mut but = None;
    for _ in 0..2 {
        let variant = stock.shelf.take(&mut dice, but.as_deref()).ok_or("nothing to buy")?.variant.clone();
        let line = json!({"variant_id": variant, "quantity": 1}).to_string();
        let path = format!("/api/v1/carts/{id}/items");
        conn.post(&path, &[("x-cart-token", &token)], line).await?.expect::<Value>(201)?;
        but = Some(variant);
    }
    Ok((id, token))
}

/// One connection that is kept.
enum Client<'a> {
    Get { conn: Conn, path: &'a str, headers: Vec<(&'static str, &'a str)> },
    Person(Box<Person>),
}

impl<'a> Client<'a> {
    async fn of(shop: &Process, asked: &'a Asked) -> Result<Self, String> {
        Ok(match asked {
            Asked::Get(path, headers) => {
                let headers = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                Self::Get { conn: Conn::open(shop.port).await?, path, headers }
            }
            Asked::Work(work) => Self::Person(Box::new(Person::new(work, 1).await?)),
        })
    }

    /// So many times, one after the other.
    async fn ask(&mut self, times: u32) -> Result<(), String> {
        for _ in 0..times {
            match self {
                Self::Get { conn, path, headers } => {
                    conn.get(path, headers).await?.expect::<IgnoredAny>(200)?;
                }
                Self::Person(person) => drop(person.once().await?),
            }
        }
        Ok(())
    }
}

/// What callgrind says of a process.
struct Counter {
    pid: u32,
    /// Where the two talk.
    pipes: String,
}

impl Counter {
    fn of(machine: &Machine, shop: &Process) -> Self {
        Self { pid: shop.id(), pipes: machine.valgrind_pipes() }
    }

    async fn say(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new("vgdb");
        command.args([&self.pipes, &format!("--pid={}", self.pid)]).args(words);
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = output.map_err(|error| format!("vgdb: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("vgdb {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr)))
    }

    /// Instructions of all threads since counting began.
    async fn read(&self) -> Result<f64, String> {
        let said = self.say(&["status", "internal"]).await?;
        instructions(&said).ok_or_else(|| format!("callgrind said: {said}"))
    }

    /// Instructions a second while nobody asks.
    async fn idle(&self) -> Result<f64, String> {
        let mut windows = Vec::new();
        for _ in 0..ROUNDS {
            let (before, began) = (self.read().await?, Instant::now());
            sleep(IDLE).await;
            windows.push((self.read().await? - before) / began.elapsed().as_secs_f64());
        }
        Ok(least(&windows))
    }
}

/// The sum of the lines `events-<thread>: <count>`.
fn instructions(said: &str) -> Option<f64> {
    let counts: Vec<f64> = said
        .lines()
        .filter_map(|line| line.strip_prefix("events-")?.split_once(": "))
        // A frame of a thread's stack is `events-<thread>-<frame>`.
        .filter(|(thread, _)| thread.bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|(_, count)| count.trim().parse().ok())
        .collect();
    if counts.is_empty() { None } else { Some(counts.iter().sum()) }
}

fn read(file: &Path) -> Result<Bounds, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
}

fn least(rounds: &[f64]) -> f64 {
    rounds.iter().copied().fold(f64::INFINITY, f64::min)
}

/// In whole thousands, so that a change of the file is one of the program.
fn bound_of(counted: f64) -> u64 {
    format!("{:.0}", (counted * ROOM / 1_000.0).ceil()).parse::<u64>().map_or(0, |thousands| thousands * 1_000)
}

/// What is to be said of a count; nothing when it is as it should be.
fn verdict(counted: f64, bound: Option<u64>) -> &'static str {
    let Some(bound) = bound.and_then(|bound| u32::try_from(bound).ok()).map(f64::from) else {
        return "  NO BOUND: add one with --write";
    };
    if counted > bound {
        "  ABOVE"
    } else if counted < bound * SLACK {
        "  FAR BELOW: lower the bound with --write"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callgrind_says_is_added_up() {
        let said = "events: Ir\nthreads: 1 2\nevents-1: 40\nframes-1: 1\nevents-1-0: 7\nevents-2: 2\n";
        assert_eq!(instructions(said), Some(42.0));
        assert_eq!(instructions("instrumentation: off\n"), None);
    }

    #[test]
    fn a_bound_holds_on_both_sides() {
        assert_eq!(bound_of(96_500.0), 111_000);
        assert_eq!(verdict(100_100.0, Some(111_000)), "");
        assert_eq!(verdict(111_001.0, Some(111_000)), "  ABOVE");
        assert!(verdict(50_000.0, Some(111_000)).starts_with("  FAR BELOW"));
        assert!(verdict(1.0, None).starts_with("  NO BOUND"));
    }
}
