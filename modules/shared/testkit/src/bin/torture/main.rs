//! Buys from a shop of three processes while they, PostgreSQL and Redis are killed, frozen and restarted, and holds
//! the shop to all that it said: `scripts/torture` starts it.
//!
//! The faults follow from the seed and are known before the load begins. The clients are good ones: they repeat
//! what was not done, with the same key, and write down what they were told. Then nothing breaks any more, and
//! what was told, the books and the stock must agree.
#![allow(clippy::indexing_slicing, reason = "JSON that is read has Null for what is not there")]

mod account;
mod bank;
mod books;
mod cart;
mod checkout;
mod clerk;
mod client;
mod faults;
mod fleet;
mod ledger;
mod logs;
mod paying;
mod promises;
mod report;
mod schedule;
mod settle;
mod shop;
mod stage;
mod taking_back;
mod tally;
mod visitor;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use self::faults::carry_out;
use self::logs::Logs;
use self::report::Report;
use self::schedule::{Fault, schedule};
use self::shop::{Capture, Shop};
use self::stage::{Places, Stage};
use self::visitor::Visitor;

/// Breaks a shop and checks what it keeps; exits with 1 when it did not keep something.
#[derive(Debug, Parser)]
struct Args {
    /// The address of the ingress.
    #[arg(long)]
    base: String,
    /// The public ports of the processes, as the ingress knows them.
    #[arg(long, value_delimiter = ',')]
    ports: Vec<u16>,
    /// `eshopz`.
    #[arg(long)]
    program: PathBuf,
    /// A folder for everything, which somebody else removes.
    #[arg(long)]
    folder: PathBuf,
    /// How long.
    #[arg(long)]
    minutes: f64,
    /// Of the schedule and of what the clients do.
    #[arg(long)]
    seed: u64,
    /// When payments are collected.
    #[arg(long, value_enum, default_value_t = Capture::Automatic)]
    capture: Capture,
    /// How many clients there are.
    #[arg(long, default_value_t = 16)]
    workers: u16,
    /// Where to write the report as JSON as well.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    match LocalSet::new().run_until(torture(&args)).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("torture: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether it was clean.
async fn torture(args: &Args) -> Result<bool, String> {
    let (mut interrupts, mut terminations) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    let length = Duration::try_from_secs_f64(args.minutes * 60.0).map_err(|error| error.to_string())?;
    let faults = schedule(args.seed, length);
    let capture = args.capture.name();
    println!("torture: {} minutes, seed {}, capture {capture}, {} faults", args.minutes, args.seed, faults.len());
    let places = Places {
        base: args.base.clone(),
        ports: args.ports.clone(),
        program: args.program.clone(),
        folder: args.folder.clone(),
        capture: args.capture,
    };
    let stage = Stage::set(&places).await?;
    let outcome = tokio::select! {
        outcome = run(args, length, faults, &places, &stage) => outcome,
        _ = interrupts.recv() => Err("interrupted".to_owned()),
        _ = terminations.recv() => Err("told to stop".to_owned()),
    };
    stage.strike().await?;
    outcome
}

fn on(kind: SignalKind) -> Result<tokio::signal::unix::Signal, String> {
    signal(kind).map_err(|error| error.to_string())
}

async fn run(
    args: &Args,
    length: Duration,
    faults: Vec<Fault>,
    places: &Places,
    stage: &Stage,
) -> Result<bool, String> {
    let shop = stage.open(places).await?;
    let database = stage.victims.postgres.lock().await.connect().await?;
    let before = books::stock(&database).await.map_err(|error| error.to_string())?;
    load(args, &shop, stage, length, faults).await?;
    shop.client.tally.borrow_mut().end_of_load();
    // The connection from before the faults is broken by now.
    let database = stage.victims.postgres.lock().await.connect().await?;
    let settled = settle::settle(&database).await;
    if let Err(left) = &settled {
        shop.client.wrong("settling", left);
    }
    promises::ask(&shop).await;
    let ledger = shop.ledger.take();
    let wrong = books::wrong(&database, &before, &ledger, args.capture).await.map_err(|error| error.to_string())?;
    wrong.iter().for_each(|what| shop.client.wrong("books", what));
    let (balances, verify) = stage.try_run(&["verify"], "").await?;
    if !balances {
        shop.client.wrong("eshopz verify", "the books do not balance");
    }
    let orders = books::orders(&database).await.map_err(|error| error.to_string())?;
    let logs = Logs::read(&places.folder);
    logs.panics().iter().for_each(|line| shop.client.wrong("a process", line));
    let tally = shop.client.tally.borrow();
    let report = Report {
        seed: args.seed,
        minutes: args.minutes,
        faults: &shop.client.weather.done.borrow(),
        tally: &tally,
        orders: &orders,
        settled: settled.ok(),
        verify: &verify,
        logs: &logs,
    };
    println!("{}", report.text());
    if let Some(path) = &args.report {
        let text = format!("{:#}\n", report.json());
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(tally.is_clean())
}

/// Clients and faults together; returns when the last of both has ended.
async fn load(args: &Args, shop: &Rc<Shop>, stage: &Stage, length: Duration, faults: Vec<Fault>) -> Result<(), String> {
    let weather = &shop.client.weather;
    let until = Instant::now() + length;
    let mut breaking = JoinSet::new();
    for fault in faults {
        breaking.spawn_local(carry_out(fault, stage.victims.clone(), weather.clone()));
    }
    let mut visitors = JoinSet::new();
    for number in 1..=u64::from(args.workers) {
        let seed = args.seed.wrapping_mul(1_000).wrapping_add(number);
        visitors.spawn_local(Visitor::new(shop.clone(), seed).stay(until));
    }
    let mut beside = JoinSet::new();
    beside.spawn_local(stage::keep_admin(shop.clone()));
    if std::io::stderr().is_terminal() {
        beside.spawn_local(show_progress(shop.clone(), length));
    }
    while let Some(carried_out) = breaking.join_next().await {
        if let Err(why) = carried_out.map_err(|error| error.to_string())? {
            shop.client.wrong("a fault", &why);
        }
    }
    while let Some(left) = visitors.join_next().await {
        left.map_err(|error| format!("a client ended by itself: {error}"))?;
    }
    Ok(())
}

/// One line that is written over, for whoever sits before it.
async fn show_progress(shop: Rc<Shop>, length: Duration) {
    loop {
        sleep(Duration::from_secs(1)).await;
        let (elapsed, faults) = (shop.client.weather.elapsed(), shop.client.weather.done.borrow().len());
        let (requests, orders) = (shop.client.asked.get(), shop.ledger.borrow().orders.len());
        let violations = shop.client.tally.borrow().violations().1;
        eprint!(
            "\r{:.0} of {:.0} s, {faults} faults, {requests} requests, {orders} orders, {violations} violations ",
            elapsed.as_secs_f64(),
            length.as_secs_f64(),
        );
    }
}
