//! `eshopz serve`: up in the order database, modules, listeners; down in the opposite one.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use anyhow::{Context as _, anyhow};
use eshopz_platform::cache::{Counters, Throttle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::{Settings, wrong_call};
use crate::compose::{Shop, compose};
use crate::config::ServeArgs;
use crate::database::Database;
use crate::modules::Module;
use crate::server::{self, PublicListener, Readiness};
use crate::telemetry;

/// How long background tasks may take to end after the listeners have closed.
const BACKGROUND_GRACE: Duration = Duration::from_secs(12);

/// Runs the shop until SIGTERM or SIGINT.
///
/// # Errors
/// When anything that is needed is missing; nothing is left running then.
pub async fn run(args: ServeArgs, settings: Settings) -> anyhow::Result<()> {
    let started = Instant::now();
    let selected = wrong_call(args.selection())?;
    let addresses = wrong_call(args.addresses(&selected))?;
    wrong_call(settings.runtime.gateway())?;
    // Before anything is started, so that whatever was started is also stopped.
    let mut signals = StopSignals::new()?;
    let database = tokio::select! {
        opened = Database::open(&settings) => opened?,
        () = signals.wait() => return Ok(()),
    };
    let outcome = serve(&args, &settings, &database, &selected, addresses, (started, signals)).await;
    database.close().await?;
    outcome
}

async fn serve(
    args: &ServeArgs,
    settings: &Settings,
    database: &Database,
    selected: &[Module],
    (public_address, management_address): (SocketAddr, SocketAddr),
    (started, mut signals): (Instant, StopSignals),
) -> anyhow::Result<()> {
    let metrics = telemetry::record_metrics()?;
    let readiness = Readiness::default();
    let management = server::management(management_address, selected, readiness.clone(), metrics)?;
    let management_handle = management.handle();
    let management = tokio::spawn(management);

    prepare_database(args, database).await?;
    let shop = compose(database, settings)?;
    shop.user.prepare().await?;
    let public = server::public(&shop, selected, listener(args, settings, public_address)?)?;
    let public_handle = public.handle();
    let mut public = tokio::spawn(public);
    let (stop, stopped) = watch::channel(false);
    let mut background = start_background(&shop, &stopped);
    readiness.set(true);
    announce(public_address, management_address, started, database);

    let outcome = tokio::select! {
        () = signals.wait() => Ok(()),
        ended = &mut public => Err(anyhow!("the public listener ended by itself: {ended:?}")),
        Some(ended) = background.join_next() => Err(anyhow!("a background task ended by itself: {ended:?}")),
    };
    readiness.set(false);
    tokio::time::sleep(Duration::from_secs(args.drain_seconds)).await;
    public_handle.stop(true).await;
    stop.send(true).context("no background task is left")?;
    drain(&mut background).await;
    stop_now(&management_handle).await;
    management.abort();
    tracing::info!("stopped");
    outcome
}

/// SIGTERM and SIGINT.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn prepare_database(args: &ServeArgs, database: &Database) -> anyhow::Result<()> {
    if args.migrate || database.is_embedded() {
        return database.migrate(&mut |_| {}).await;
    }
    database.check().await
}

fn listener(args: &ServeArgs, settings: &Settings, address: SocketAddr) -> anyhow::Result<PublicListener> {
    let runtime = &settings.runtime;
    let client_limit = if runtime.limits_clients() {
        let counters = Counters::new(runtime.redis_url.as_deref())?;
        Some(Throttle::new(counters, "client", runtime.rate_limit_per_minute, 60))
    } else {
        None
    };
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    Ok(PublicListener {
        address,
        workers: args.workers.map_or(cores, usize::from),
        grace: Duration::from_secs(args.grace_seconds),
        client_limit,
    })
}

fn start_background(shop: &Shop, stopped: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut background = JoinSet::new();
    for relay in shop.relays() {
        background.spawn(relay.run(stopped.clone()));
    }
    for (db, job) in shop.jobs() {
        background.spawn(job.run(db, stopped.clone()));
    }
    background
}

async fn drain(background: &mut JoinSet<()>) {
    let all = async { while background.join_next().await.is_some() {} };
    if tokio::time::timeout(BACKGROUND_GRACE, all).await.is_err() {
        tracing::warn!("background tasks did not end in time; what they left will be taken up again");
        background.abort_all();
    }
}

async fn stop_now(handle: &ServerHandle) {
    handle.stop(false).await;
}

fn announce(public: SocketAddr, management: SocketAddr, started: Instant, database: &Database) {
    let millis = started.elapsed().as_millis();
    tracing::info!(%public, %management, millis, private_database = database.is_embedded(), "ready");
    if std::io::stdout().is_terminal() {
        say!("EShopz is ready after {millis} ms.");
        if database.is_embedded() {
            say!("  database   a private PostgreSQL (set ESHOPZ_DATABASE_URL to use yours)");
        }
        say!("  try it     http://{public}/docs/");
        say!("  health     http://{management}/health/ready");
        say!("  stop       Ctrl-C");
    }
}
