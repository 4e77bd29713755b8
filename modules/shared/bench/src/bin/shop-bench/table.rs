//! The rows of the table: what is measured against what, and how good it has to be.

use std::rc::Rc;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use serde_json::{Value, json};

use crate::load::{Figures, Get, drive, prepare, wrk};
use crate::machine::{Machine, Mode, Process};
use crate::pgbench::Pgbench;
use crate::setup::{Stock, list_path};
use crate::work::{Ports, Queue, Work};

/// A figure that ratios are made of.
#[derive(Clone)]
pub enum Load {
    Get(Get),
    Work(Work),
    /// Orders of carts that are filled before the clock runs.
    Place {
        ports: Ports,
        queue: Rc<Queue>,
    },
    /// The same SQL without anything before it.
    Sql(Pgbench),
    /// A read while so many sign in.
    Beside(Get, Work),
    /// Argon2id hashes, on all cores.
    Hashes,
}

/// A line of the table.
pub struct Row {
    pub name: &'static str,
    pub against: &'static str,
    pub mode: Mode,
    pub must: f64,
    pub aim: f64,
    /// More than one where the ratio of 64 to 16 is looked at.
    pub connections: &'static [usize],
    pub loads: fn(&Context<'_>) -> (Load, Load),
}

/// What loads are made from.
pub struct Context<'a> {
    pub stock: &'a Stock,
    pub shop: u16,
    pub reference: u16,
    pub search: &'a Pgbench,
}

impl Context<'_> {
    fn shop(&self, path: String) -> Load {
        Load::Get(Get { port: self.shop, path, headers: Vec::new() })
    }

    fn reference(&self, path: String) -> Load {
        Load::Get(Get { port: self.reference, path, headers: Vec::new() })
    }

    fn product(&self) -> String {
        format!("/api/v1/products/{}", self.stock.product.handle)
    }

    fn list(&self) -> Load {
        self.shop(list_path(&self.stock.category.slug))
    }

    fn ports(&self) -> Ports {
        Ports::all(self.shop)
    }
}

/// Orders per second that are not reached.
const RATE: usize = 1_500;

const BOTH: &[usize] = &[16, 64];

pub const ROWS: &[Row] = &[
    Row {
        name: "product, hot",
        against: "constant JSON of its size",
        mode: Mode::Hot,
        must: 0.6,
        aim: 0.75,
        connections: BOTH,
        loads: |at| (at.shop(at.product()), at.reference("/constant/0".to_owned())),
    },
    Row {
        name: "product by id, hot",
        against: "constant JSON of its size",
        mode: Mode::Hot,
        must: 0.6,
        aim: 0.75,
        connections: &[16],
        loads: |at| {
            let path = format!("/api/v1/products/{}", at.stock.product.id);
            (at.shop(path), at.reference("/constant/0".to_owned()))
        },
    },
    Row {
        name: "product, Redis only",
        against: "one Redis GET",
        mode: Mode::Redis,
        must: 0.6,
        aim: 0.75,
        connections: BOTH,
        loads: |at| (at.shop(at.product()), at.reference("/redis/product".to_owned())),
    },
    Row {
        name: "product, no cache",
        against: "the same SQL",
        mode: Mode::Bare,
        must: 0.6,
        aim: 0.8,
        connections: BOTH,
        loads: |at| (at.shop(at.product()), at.reference(format!("/sql/product/{}", at.stock.product.id))),
    },
    Row {
        name: "list of 20, hot",
        against: "constant JSON of its size",
        mode: Mode::Hot,
        must: 0.5,
        aim: 0.6,
        connections: BOTH,
        loads: |at| (at.list(), at.reference("/constant/1".to_owned())),
    },
    Row {
        name: "list of 20, no cache",
        against: "the same SQL",
        mode: Mode::Bare,
        must: 0.6,
        aim: 0.8,
        connections: BOTH,
        loads: |at| (at.list(), at.reference(format!("/sql/list/{}", at.stock.category.id))),
    },
    Row {
        name: "search, ranked 20",
        against: "the same SQL by pgbench",
        mode: Mode::Bare,
        must: 0.5,
        aim: 0.75,
        connections: BOTH,
        loads: |at| (Load::Work(Work::Read(at.shop, at.stock.searches.right.clone())), Load::Sql(at.search.clone())),
    },
    Row {
        name: "own order, signed in",
        against: "the same SQL",
        mode: Mode::Hot,
        must: 0.6,
        aim: 0.8,
        connections: BOTH,
        loads: |at| {
            let path = format!("/api/v1/orders/{}", at.stock.order);
            let headers = vec![at.stock.authorization.clone()];
            let mine = Load::Get(Get { port: at.shop, path, headers });
            (mine, at.reference(format!("/sql/order/{}", at.stock.order)))
        },
    },
    Row {
        name: "add to cart",
        against: "one single-row commit",
        mode: Mode::Hot,
        must: 0.5,
        aim: 0.7,
        connections: BOTH,
        loads: |at| {
            (Load::Work(Work::Add(at.ports(), at.stock.shelf.clone())), Load::Work(Work::Post(at.reference, "/commit")))
        },
    },
    Row {
        name: "POST /orders, paid",
        against: "one order transaction",
        mode: Mode::Hot,
        must: 0.5,
        aim: 0.8,
        connections: BOTH,
        loads: |at| {
            (Load::Place { ports: at.ports(), queue: Rc::default() }, Load::Work(Work::Post(at.reference, "/order")))
        },
    },
    Row {
        name: "whole guest checkout",
        against: "one order transaction",
        mode: Mode::Hot,
        must: 0.2,
        aim: 0.35,
        connections: BOTH,
        loads: |at| {
            (
                Load::Work(Work::Checkout(at.ports(), at.stock.shelf.clone())),
                Load::Work(Work::Post(at.reference, "/order")),
            )
        },
    },
    Row {
        name: "sign-in",
        against: "argon2id hashes",
        mode: Mode::Hot,
        must: 0.85,
        aim: 0.95,
        connections: &[16],
        loads: |at| (Load::Work(Work::SignIn(at.ports(), at.stock.emails.clone())), Load::Hashes),
    },
    Row {
        name: "product, 16 signing in",
        against: "the same without",
        mode: Mode::Hot,
        must: 0.4,
        aim: 0.5,
        connections: &[16],
        loads: |at| {
            let get = Get { port: at.shop, path: at.product(), headers: Vec::new() };
            let signing_in = Work::SignIn(at.ports(), at.stock.emails.clone());
            (Load::Beside(get.clone(), signing_in), Load::Get(get))
        },
    },
];

/// What came of a row with so many connections.
pub struct Outcome {
    pub connections: usize,
    /// Median of the ratios of the rounds.
    pub ratio: f64,
    pub subject: Figures,
    pub reference: Figures,
}

/// The rounds of a row, interleaved.
pub async fn measure(
    row: &Row,
    machine: &mut Machine,
    (reference, search): (&Process, &Pgbench),
    stock: &Stock,
    (rounds, length): (usize, Duration),
    narrow: bool,
) -> Result<Vec<Outcome>, String> {
    let (shop, _) = machine.shop(row.mode).await?;
    let context = Context { stock, shop: shop.port, reference: reference.port, search };
    let (subject, base) = (row.loads)(&context);
    let mut outcomes = Vec::new();
    for &connections in row.connections.iter().take(if narrow { 1 } else { usize::MAX }) {
        // Connections are opened, statements prepared, caches filled.
        once(&subject, stock, connections, Duration::from_secs(1)).await?;
        once(&base, stock, connections, Duration::from_secs(1)).await?;
        let (mut subjects, mut bases) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            subjects.push(once(&subject, stock, connections, length).await?);
            bases.push(once(&base, stock, connections, length).await?);
        }
        let ratios = subjects.iter().zip(&bases).map(|(subject, base)| subject.per_second / base.per_second);
        outcomes.push(Outcome {
            connections,
            ratio: median(ratios.collect()),
            subject: medians(&subjects),
            reference: medians(&bases),
        });
    }
    Ok(outcomes)
}

/// Loads once for so long.
pub async fn once(load: &Load, stock: &Stock, connections: usize, length: Duration) -> Result<Figures, String> {
    match load {
        Load::Get(get) => wrk(get, connections, length).await,
        Load::Work(work) => drive(work, connections, length).await,
        Load::Place { ports, queue } => {
            let work = Work::Place(*ports, queue.clone());
            // More than can be ordered in this time; what is left waits for the next round.
            let seconds = usize::try_from(length.as_secs()).unwrap_or(1);
            let wanted = seconds.saturating_mul(RATE).saturating_sub(queue.len());
            prepare(&work, queue, &stock.shelf, wanted).await?;
            drive(&work, connections, length).await
        }
        Load::Beside(get, work) => {
            let signing_in = drive(work, 16, length + Duration::from_millis(500));
            let (figures, signed_in) = futures::join!(wrk(get, connections, length), signing_in);
            signed_in?;
            figures
        }
        Load::Sql(pgbench) => pgbench.run(connections, length).await,
        Load::Hashes => hashes(length).await,
    }
}

/// How many hashes of a password all cores make, at OWASP's settings (m = 19 MiB, t = 2, p = 1).
async fn hashes(length: Duration) -> Result<Figures, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let hashing: Vec<_> = (0..threads)
        .map(|_| {
            tokio::task::spawn_blocking(move || {
                let params = Params::new(19_456, 2, 1, None).map_err(|error| error.to_string())?;
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                let began = std::time::Instant::now();
                let mut count = 0.0;
                while began.elapsed() < length {
                    argon2.hash_password(crate::work::PASSWORD.as_bytes()).map_err(|error| error.to_string())?;
                    count += 1.0;
                }
                Ok::<f64, String>(count / began.elapsed().as_secs_f64())
            })
        })
        .collect();
    let mut figures = Figures::default();
    for thread in hashing {
        figures.per_second += thread.await.map_err(|error| error.to_string())??;
    }
    Ok(figures)
}

pub fn medians(rounds: &[Figures]) -> Figures {
    let of = |member: fn(&Figures) -> f64| median(rounds.iter().map(member).collect());
    Figures { per_second: of(|f| f.per_second), p50_ms: of(|f| f.p50_ms), p99_ms: of(|f| f.p99_ms) }
}

/// NaN of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) }
}

impl Outcome {
    pub fn json(&self) -> Value {
        json!({
            "connections": self.connections, "ratio": self.ratio, "shop": self.subject.json(),
            "reference": self.reference.json(),
        })
    }
}
