//! Measures the shop beside the reference, in one run and interleaved, since only ratios count: this machine's
//! cores are shared by the shop, PostgreSQL, Redis and the load. `scripts/bench` builds and calls it.

mod client;
mod figure;
mod flame;
mod growth;
mod instructions;
mod load;
mod machine;
mod pgbench;
mod pressure;
mod search;
mod setup;
mod statements;
mod table;
mod watched;
mod work;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;
use tokio_postgres::Client;

use self::figure::SearchWithError;
use self::machine::{Machine, Mode};
use self::pgbench::Pgbench;
use self::setup::Stock;
use self::table::{Outcome, ROWS, Row, measure};
use self::work::{Ports, Work};

#[derive(Debug, Parser)]
struct Args {
    /// The program to measure.
    #[arg(long)]
    eshopz: PathBuf,
    /// A folder for data and logs, which is empty.
    #[arg(long)]
    folder: PathBuf,
    /// Products of the catalogue.
    #[arg(long, default_value_t = 10_000)]
    products: u32,
    /// Rounds of each row.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// With 16 connections only.
    #[arg(long)]
    narrow: bool,
    /// Only rows with this in their name, or with one of several that have `|` between them.
    #[arg(long, default_value = "")]
    only: String,
    /// Measure reads, then with so many products and orders, and nothing else.
    #[arg(long)]
    growth: Option<u32>,
    /// Measure what the shop does with more clients than it can serve, and nothing else.
    #[arg(long)]
    pressure: bool,
    /// Measure what it costs to be watched, and nothing else.
    #[arg(long)]
    watched: bool,
    /// Leave samples of the shop's stacks in this folder, and nothing else.
    #[arg(long)]
    flame: Option<PathBuf>,
    /// Count instructions, which must be within the bounds of this file, and nothing else.
    #[arg(long)]
    instructions: Option<PathBuf>,
    /// The build whose bounds hold.
    #[arg(long, default_value = "debug")]
    build: String,
    /// Write what is counted as the bounds.
    #[arg(long)]
    write: bool,
    /// Where the figures are written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Fail when a row is below what it must reach.
    #[arg(long)]
    gate: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let told_to_stop = async {
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
        terminate.recv().await;
    };
    // What was started ends with what has started it.
    let local = LocalSet::new();
    let outcome = local.run_until(async {
        tokio::select! {
            outcome = bench(&args) => outcome,
            () = told_to_stop => Err("told to stop".to_owned()),
        }
    });
    match outcome.await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) if !args.gate => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("shop-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether a row of this name was asked for.
fn is_wanted(name: &str, only: &str) -> bool {
    only.split('|').any(|text| name.contains(text))
}

fn progress(what: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("{what}");
    }
}

/// Whether every row is as good as it must be.
async fn bench(args: &Args) -> Result<bool, String> {
    let mut machine = Machine::start(&args.folder, &args.eshopz).await?;
    machine.run(&["migrate", "up"])?;
    let (all_good, figures) = if let Some(bounds) = &args.instructions {
        counted(&mut machine, args, bounds).await?
    } else if let Some(folder) = &args.flame {
        let (_, stock) = filled(&mut machine, args).await?;
        flame::record(&mut machine, &stock, folder, Duration::from_secs(args.seconds), progress).await?;
        (true, Value::Null)
    } else if let Some(to) = args.growth {
        grown(&mut machine, args, to).await?
    } else if args.pressure {
        pressed(&mut machine, args).await?
    } else if args.watched {
        let (_, stock) = filled(&mut machine, args).await?;
        watched::measure(&mut machine, &stock, (args.rounds, Duration::from_secs(args.seconds)), progress).await?
    } else {
        rows(&mut machine, args).await?
    };
    if let Some(file) = &args.json {
        std::fs::write(file, format!("{figures:#}\n")).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    machine.postgres.stop().await?;
    Ok(all_good)
}

/// The shop when it is small, and when it has grown.
async fn grown(machine: &mut Machine, args: &Args, to: u32) -> Result<(bool, Value), String> {
    let owner = machine.postgres.connect().await?;
    let length = Duration::from_secs(args.seconds);
    let plan = growth::Plan { sizes: [args.products, to], only: &args.only, rounds: args.rounds, length };
    let (all_good, growth) = growth::measure(machine, &owner, &plan, progress).await?;
    Ok((all_good, json!({"cores": cores(), "rounds": args.rounds, "seconds": args.seconds, "growth": growth})))
}

/// What becomes of more clients than can be served.
async fn pressed(machine: &mut Machine, args: &Args) -> Result<(bool, Value), String> {
    let (_, stock) = filled(machine, args).await?;
    let times = (args.rounds, Duration::from_secs(args.seconds));
    pressure::measure(machine, &stock, &args.only, times, progress).await
}

/// What requests take of a processor, whichever it is.
async fn counted(machine: &mut Machine, args: &Args, file: &Path) -> Result<(bool, Value), String> {
    let (_, stock) = filled(machine, args).await?;
    let plan = instructions::Plan { file, build: &args.build, only: &args.only, write: args.write };
    instructions::measure(machine, &stock, &plan, progress).await
}

/// A catalogue, accounts and an order; and a connection to look at them.
async fn filled(machine: &mut Machine, args: &Args) -> Result<(Client, Stock), String> {
    progress("a catalogue is made");
    machine.run(&["seed", "demo", "--products", &args.products.to_string()])?;
    let owner = machine.postgres.connect().await?;
    setup::reference_tables(&owner).await?;
    setup::fill_up(&owner).await?;
    let (shop, _) = machine.shop(Mode::Bare).await?;
    let stock = setup::stock(shop.port, &owner).await?;
    setup::settle(&owner).await?;
    Ok((owner, stock))
}

/// The table, and what goes with it.
async fn rows(machine: &mut Machine, args: &Args) -> Result<(bool, Value), String> {
    let (owner, stock) = filled(machine, args).await?;
    let sizes = [stock.product.size, stock.category.size];
    let reference = machine.reference(&sizes, &statements::all()).await?;
    let search = Pgbench::searches(&machine.postgres, &args.folder, &stock.searches.words)?;
    plant_in_redis(machine, sizes[0]).await?;

    let length = Duration::from_secs(args.seconds);
    println!("{}", heading());
    let (mut all_good, mut rows) = (true, Vec::new());
    for row in ROWS.iter().filter(|row| is_wanted(row.name, &args.only)) {
        progress(row.name);
        let outcomes = measure(row, machine, (&reference, &search), &stock, (args.rounds, length), args.narrow)
            .await
            .map_err(|error| format!("{}: {error}", row.name))?;
        for outcome in &outcomes {
            all_good &= outcome.ratio >= row.must;
            println!("{}", line(row, outcome));
        }
        rows.push(json!({
            "name": row.name, "against": row.against, "must": row.must, "aim": row.aim,
            "outcomes": outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
        }));
    }
    let process = if args.only.is_empty() { Some(of_processes(machine, &stock, args).await?) } else { None };
    let mut figures = Vec::new();
    if is_wanted(figure::SEARCH_WITH_ERROR, &args.only) {
        progress(figure::SEARCH_WITH_ERROR);
        let products = if args.narrow { args.products } else { args.products.max(figure::MANY) };
        if products > args.products {
            machine.run(&["seed", "demo", "--products", &products.to_string()])?;
            setup::settle(&owner).await?;
        }
        let measured = SearchWithError::measure(machine, &stock.searches, products, (args.rounds, length)).await?;
        println!("{}", measured.line());
        all_good &= measured.is_good();
        figures.push(measured.json());
    }
    let all = json!({"cores": cores(), "rounds": args.rounds, "seconds": args.seconds, "products": args.products,
        "rows": rows, "process": process, "figures": figures});
    Ok((all_good, all))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the reference gets from Redis.
async fn plant_in_redis(machine: &Machine, size: usize) -> Result<(), String> {
    let answer = machine.redis.ask(&format!("SET product {}", "x".repeat(size)));
    if answer == "+OK" { Ok(()) } else { Err(format!("Redis: {answer}")) }
}

fn heading() -> String {
    format!(
        "{:<24} {:>4} {:>10} {:>9} {:>9} {:>11}  {:>6} {:>5} {:>5}  against",
        "", "conn", "shop/s", "p50 ms", "p99 ms", "reference/s", "ratio", "must", "aim"
    )
}

fn line(row: &Row, outcome: &Outcome) -> String {
    let Outcome { connections, ratio, subject, reference } = outcome;
    let mark = if *ratio < row.must { "  BELOW" } else { "" };
    format!(
        "{:<24} {connections:>4} {:>10.0} {:>9.2} {:>9.2} {:>11.0}  {ratio:>6.2} {:>5.2} {:>5.2}  {}{mark}",
        row.name,
        subject.per_second,
        subject.p50_ms,
        subject.p99_ms,
        reference.per_second,
        row.must,
        row.aim,
        row.against
    )
}

/// What a process takes: time to be ready, memory, processor per journey, alone and as five.
async fn of_processes(machine: &mut Machine, stock: &Stock, args: &Args) -> Result<Value, String> {
    let length = Duration::from_secs(args.seconds.max(2));
    let mut starts = Vec::new();
    for _ in 0..args.rounds {
        starts.push(machine.shop(Mode::Hot).await?.1.as_secs_f64() * 1_000.0);
    }
    let (shop, _) = machine.shop(Mode::Hot).await?;
    let idle = shop.memory();
    let combined = cpu_per_journey(std::slice::from_ref(&shop), Ports::all(shop.port), stock, length).await?;
    let loaded = shop.memory();
    drop(shop);
    let (five, ports) = machine.split().await?;
    let split = cpu_per_journey(&five, ports, stock, length).await?;
    drop(five);
    let binary = std::fs::metadata(&args.eshopz).map_err(|error| error.to_string())?.len();
    let binary_mb = f64::from(u32::try_from(binary).unwrap_or(u32::MAX)) / 1e6;
    let start = table::median(starts);
    println!(
        "\nstart to ready {start:.0} ms; idle {idle:.0} MiB, after 64 connections {loaded:.0} MiB; binary {binary_mb:.1} MB"
    );
    println!("CPU per checkout: one process {combined:.2} ms, five {split:.2} ms (x {:.2})", split / combined);
    Ok(json!({"ready_ms": start, "idle_mib": idle, "loaded_mib": loaded, "binary_mb": binary_mb,
        "cpu_ms_per_checkout": {"combined": combined, "split": split}}))
}

/// With 64 connections, of which each checks out.
async fn cpu_per_journey(
    processes: &[machine::Process],
    ports: Ports,
    stock: &Stock,
    length: Duration,
) -> Result<f64, String> {
    let work = Work::Checkout(ports, stock.shelf.clone());
    load::drive(&work, 64, Duration::from_secs(1)).await?;
    let used = || processes.iter().map(machine::Process::cpu_ms).sum::<f64>();
    let before = used();
    let began = std::time::Instant::now();
    let figures = load::drive(&work, 64, length).await?;
    Ok((used() - before) / (figures.per_second * began.elapsed().as_secs_f64()))
}
