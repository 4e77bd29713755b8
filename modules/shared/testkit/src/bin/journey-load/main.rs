//! Buys from a running shop, as many times as it can, and checks every answer: the numbers of
//! `scripts/topology compare` are from here. `journey-load http://127.0.0.1:8080 --seconds 30`.
//!
//! The loop is closed: each worker waits for an answer before it asks again, so that a slow shop is asked less.
//! The workers share one thread, since the shop under test is on the same machine.
#![allow(clippy::indexing_slicing, reason = "JSON that is read has Null for what is not there")]

mod buyer;
mod client;
mod tally;

use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use eshopz_testkit::load::Shelf;
use tokio::task::LocalSet;

use self::buyer::Buyer;
use self::client::Client;
use self::tally::Tally;

/// Drives a shop and checks every answer; exits with 1 when one was wrong.
#[derive(Debug, Parser)]
struct Args {
    /// The shop's address, such as `http://127.0.0.1:3000`.
    base: String,
    /// What is asked for.
    #[arg(long, value_enum, default_value_t = Mix::Journey)]
    mix: Mix,
    /// How many buy at the same time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    workers: u16,
    /// For how long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What the workers do.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mix {
    /// A guest's cart, two variants, a paid order, which is read back.
    Journey,
    /// The same, but 19 of 20 requests only look around in the catalogue.
    Shop,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    match LocalSet::new().run_until(drive(&args)).await {
        Ok(tally) => {
            println!("{}", if args.json { tally.json().to_string() } else { tally.table() });
            if tally.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("journey-load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn drive(args: &Args) -> Result<Tally, String> {
    let client = Rc::new(Client::new(args.base.trim_end_matches('/'))?);
    let shelf = Rc::new(Shelf::read(&client.http).await?);
    let began = Instant::now();
    let until = began + Duration::from_secs(args.seconds);
    let workers: Vec<_> = (1..=u64::from(args.workers))
        .map(|seed| {
            let mut buyer = Buyer::new(client.clone(), shelf.clone(), seed);
            let mix = args.mix;
            tokio::task::spawn_local(async move {
                while Instant::now() < until {
                    buyer.ask(mix).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.map_err(|error| format!("a worker ended by itself: {error}"))?;
    }
    let mut tally = client.tally.take();
    tally.seconds = began.elapsed().as_secs_f64();
    Ok(tally)
}
