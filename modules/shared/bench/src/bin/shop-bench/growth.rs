//! The same shop with few and with many products and orders: what of it takes longer, and by how much.

use std::time::Duration;

use eshopz_testkit::history;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::load::{Figures, Get};
use crate::machine::{Machine, Mode, Taken};
use crate::setup::{self, Stock, list_path};
use crate::table::{Load, medians, once};
use crate::work::{PASSWORD, Work};

const CONNECTIONS: usize = 16;
/// The p99 of what has grown may be so many times that of what was small.
const FACTOR: f64 = 2.0;
/// The median of what is in memory may be.
const FLAT: f64 = 1.25;
/// Products a second that `eshopz seed demo` makes, at least.
const SEEDED: f64 = 20_000.0;
/// What the shop's jobs get to do what there is to do.
const JOBS: Duration = Duration::from_secs(10);
const ADMIN: &str = "admin@example.com";

/// A read that is measured at both sizes.
struct Read {
    name: &'static str,
    mode: Mode,
    /// It is answered from memory, whatever there is.
    flat: bool,
    load: fn(&At<'_>) -> Load,
}

/// What loads are made from.
struct At<'a> {
    stock: &'a Stock,
    shop: u16,
    /// Headers.
    own: &'a str,
    admin: &'a str,
}

impl At<'_> {
    fn get(&self, path: &str, header: Option<&str>) -> Load {
        let headers = header.map(str::to_owned).into_iter().collect();
        Load::Get(Get { port: self.shop, path: path.to_owned(), headers })
    }
}

const READS: &[Read] = &[
    Read {
        name: "product, hot",
        mode: Mode::Hot,
        flat: true,
        load: |at| at.get(&format!("/api/v1/products/{}", at.stock.product.handle), None),
    },
    Read {
        name: "list of 20, no cache",
        mode: Mode::Bare,
        flat: false,
        load: |at| at.get(&list_path(&at.stock.category.slug), None),
    },
    Read {
        name: "search, ranked 20",
        mode: Mode::Bare,
        flat: false,
        load: |at| Load::Work(Work::Read(at.shop, at.stock.searches.right.clone())),
    },
    Read {
        name: "search with a typing error",
        mode: Mode::Bare,
        flat: false,
        load: |at| Load::Work(Work::Read(at.shop, at.stock.searches.wrong.clone())),
    },
    Read { name: "own orders", mode: Mode::Hot, flat: false, load: |at| at.get("/api/v1/orders", Some(at.own)) },
    Read {
        name: "all orders, admin",
        mode: Mode::Hot,
        flat: false,
        load: |at| at.get("/api/v1/orders", Some(at.admin)),
    },
    // Of which there are hardly any.
    Read {
        name: "paid orders, admin",
        mode: Mode::Hot,
        flat: false,
        load: |at| at.get("/api/v1/orders?status=paid", Some(at.admin)),
    },
];

/// How the reads are measured.
pub struct Plan<'a> {
    /// Products, and orders, before and after.
    pub sizes: [u32; 2],
    /// Only reads with this in their name.
    pub only: &'a str,
    pub rounds: usize,
    pub length: Duration,
}

impl Plan<'_> {
    fn reads(&self) -> impl Iterator<Item = &'static Read> {
        READS.iter().filter(|read| crate::is_wanted(read.name, self.only))
    }
}

/// What there was at one size.
struct Size {
    size: u32,
    /// Products that were made for it.
    added: u32,
    seeding: Taken,
    verify: Taken,
    database_mb: f64,
    reads: Vec<Figures>,
}

/// Whether all is as good as it must be, and the figures.
pub async fn measure(
    machine: &mut Machine,
    owner: &Client,
    plan: &Plan<'_>,
    progress: impl Fn(&str),
) -> Result<(bool, Value), String> {
    let mut sizes: Vec<Size> = Vec::new();
    let mut stock = None;
    for (part, size) in (0..).zip(plan.sizes) {
        let before = sizes.last().map_or(0, |size| size.size);
        let added = size.checked_sub(before).filter(|added| *added > 0).ok_or("it is to grow, not to shrink")?;
        progress(&format!("{size} products"));
        let seeding = machine.taken(&["seed", "demo", "--products", &size.to_string()]).await?;
        let stock = match &mut stock {
            Some(stock) => stock,
            none => none.insert(first(machine, owner).await?),
        };
        progress(&format!("{size} orders"));
        history::add(owner, part, added).await.map_err(|error| said(&error))?;
        give_to_account(owner, &stock.order, part).await?;
        settle(machine, owner).await?;
        progress("verify");
        let verify = machine.taken(&["verify"]).await?;
        let database_mb = database_mb(owner).await?;
        let reads = reads(machine, stock, plan, &progress).await?;
        let measured = Size { size, added, seeding, verify, database_mb, reads };
        println!("{}", measured.line());
        sizes.push(measured);
    }
    match sizes.as_slice() {
        [small, large] => Ok(compare(plan, small, large)),
        _ => Err("two sizes are compared".to_owned()),
    }
}

/// Accounts, one of them an admin's, and an order by way of the shop.
async fn first(machine: &mut Machine, owner: &Client) -> Result<Stock, String> {
    machine.run_with(&["admin", "create", "--email", ADMIN], PASSWORD)?;
    let (shop, _) = machine.shop(Mode::Bare).await?;
    setup::stock(shop.port, owner).await
}

/// A part's orders of a made-up account become those of the account that has this order.
async fn give_to_account(owner: &Client, order: &str, part: u16) -> Result<(), String> {
    let statement = "UPDATE orders.orders SET customer_id = (SELECT customer_id FROM orders.orders WHERE id::text = $1) \
                     WHERE customer_id = $2";
    owner.execute(statement, &[&order, &history::customer(part)]).await.map(drop).map_err(|error| said(&error))
}

/// The shop's jobs sweep out what is old, and PostgreSQL does what it would do by itself in the next minutes.
async fn settle(machine: &mut Machine, owner: &Client) -> Result<(), String> {
    let (shop, _) = machine.shop(Mode::Hot).await?;
    sleep(JOBS).await;
    drop(shop);
    for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
        owner.batch_execute(statement).await.map_err(|error| said(&error))?;
    }
    Ok(())
}

async fn database_mb(owner: &Client) -> Result<f64, String> {
    let statement = "SELECT pg_database_size(current_database()) / 1e6::float8";
    owner.query_one(statement, &[]).await.map(|row| row.get(0)).map_err(|error| said(&error))
}

/// With what the server said, which the error itself leaves out.
fn said(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
}

async fn reads(
    machine: &mut Machine,
    stock: &Stock,
    plan: &Plan<'_>,
    progress: impl Fn(&str),
) -> Result<Vec<Figures>, String> {
    let mut all = Vec::new();
    for read in plan.reads() {
        progress(read.name);
        let (shop, _) = machine.shop(read.mode).await?;
        let own = setup::sign_in(shop.port, &setup::email(0)).await?;
        let admin = setup::sign_in(shop.port, ADMIN).await?;
        let load = (read.load)(&At { stock, shop: shop.port, own: &own, admin: &admin });
        let wrong = |error| format!("{}: {error}", read.name);
        once(&load, stock, CONNECTIONS, Duration::from_secs(1)).await.map_err(wrong)?;
        let mut rounds = Vec::new();
        for _ in 0..plan.rounds {
            rounds.push(once(&load, stock, CONNECTIONS, plan.length).await.map_err(wrong)?);
        }
        all.push(medians(&rounds));
    }
    Ok(all)
}

/// Prints what has grown, beside what it was.
fn compare(plan: &Plan<'_>, small: &Size, large: &Size) -> (bool, Value) {
    println!(
        "\n{:<28}{:>20}{:>20}{:>14}\n{:<28}{:>10}{:>10}{:>10}{:>10}{:>7}{:>7}",
        "", small.size, large.size, "factor of", "", "p50 ms", "p99 ms", "p50 ms", "p99 ms", "p50", "p99"
    );
    let (mut all_good, mut rows) = (large.is_seeded_well(), Vec::new());
    for ((read, few), many) in plan.reads().zip(&small.reads).zip(&large.reads) {
        let (p50, p99) = (many.p50_ms / few.p50_ms, many.p99_ms / few.p99_ms);
        let is_good = p99 <= FACTOR && (!read.flat || p50 <= FLAT);
        all_good &= is_good;
        println!(
            "{:<28}{:>10.2}{:>10.2}{:>10.2}{:>10.2}{p50:>7.2}{p99:>7.2}{}",
            read.name,
            few.p50_ms,
            few.p99_ms,
            many.p50_ms,
            many.p99_ms,
            if is_good { "" } else { "  ABOVE" }
        );
        rows.push(json!({"name": read.name, "connections": CONNECTIONS, "must": FACTOR,
            "must_p50": read.flat.then_some(FLAT), "small": few.json(), "large": many.json(),
            "factor": {"p50": p50, "p99": p99}}));
    }
    println!("\np99 must not grow by more than x {FACTOR:.0}, the median of what is hot by no more than x {FLAT:.2}");
    (all_good, json!({"sizes": [small.json(), large.json()], "rows": rows}))
}

impl Size {
    fn seeded_per_second(&self) -> f64 {
        f64::from(self.added) / self.seeding.seconds
    }

    /// What takes but a moment is mostly the program's start.
    fn is_seeded_well(&self) -> bool {
        self.seeded_per_second() >= SEEDED
    }

    /// Microseconds of `eshopz verify`.
    fn verified_per_order(&self) -> f64 {
        self.verify.seconds * 1e6 / f64::from(self.size)
    }

    fn line(&self) -> String {
        let mark = if self.is_seeded_well() { "" } else { "  BELOW" };
        format!(
            "{} products and orders, {:.0} MB\n  seeded {:.0} products/s (must {SEEDED:.0}), at most {:.0} MiB{mark}\n  \
             verified in {:.2} s, {:.1} us an order, at most {:.0} MiB",
            self.size,
            self.database_mb,
            self.seeded_per_second(),
            self.seeding.peak_mib,
            self.verify.seconds,
            self.verified_per_order(),
            self.verify.peak_mib
        )
    }

    fn json(&self) -> Value {
        json!({
            "products": self.size, "orders": self.size, "database_mb": self.database_mb,
            "seeding": {"per_second": self.seeded_per_second(), "must": SEEDED, "peak_mib": self.seeding.peak_mib},
            "verify": {"seconds": self.verify.seconds, "us_per_order": self.verified_per_order(),
                "peak_mib": self.verify.peak_mib},
        })
    }
}
