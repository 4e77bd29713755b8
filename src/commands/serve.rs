//! `eshopz serve`: up in the order database, modules, listeners; down in the opposite one.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use eshopz_kernel::{Fault, FaultKind};
use eshopz_platform::cache::{Counters, Throttle};
use eshopz_platform::db::StoreError;
use eshopz_platform::migrate::MigrateError;
use eshopz_platform::service_secret;
use eshopz_platform::wire::ServiceKeys;
use rustls::ServerConfig;

use crate::background::Background;
use crate::cli::{Settings, wrong_call};
use crate::compose::{Shop, compose, redis};
use crate::config::{Addresses, EventTransport, Neighbourhood, PaymentGateway, Post, ServeArgs};
use crate::database::Database;
use crate::edge::Certificates;
use crate::events::Carriers;
use crate::meters::Meters;
use crate::modules::Module;
use crate::neighbours::Neighbours;
use crate::server::{self, PublicListener, Readiness, Told};
use crate::telemetry::LogFilter;
use crate::{meters, secrets, spans, wire};

mod stopping;

use stopping::{Patience, Running, StopSignals, ended};

/// The pause between two looks at a database that is not there yet.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// What the private server has to end in good order, however late it is.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// What was asked for, read and found possible.
struct Plan {
    args: ServeArgs,
    settings: Settings,
    selected: Vec<Module>,
    addresses: Addresses,
    neighbours: BTreeMap<Module, String>,
    tls: Option<ServerConfig>,
    started: Instant,
}

/// Runs the selected modules until SIGTERM or SIGINT.
///
/// # Errors
/// When anything that is needed is missing; nothing is left running then.
pub async fn run(args: ServeArgs, settings: Settings, log: LogFilter) -> anyhow::Result<()> {
    let certificates = wrong_call(args.edge.certificates())?;
    let plan = wrong_call(plan(args, settings, certificates.as_ref()))?;
    // Before anything is started, so that whatever was started is also stopped.
    let mut signals = StopSignals::new()?;
    let database = tokio::select! {
        opened = Database::open(&plan.settings, &plan.selected) => opened?,
        () = signals.wait() => return Ok(()),
    };
    let following = certificates.map(|certificates| tokio::spawn(certificates.follow()));
    let outcome = serve(&plan, &database, log, &mut signals).await;
    if let Some(following) = following {
        following.abort();
    }
    let until = signals.until(patience(&plan)).max(tokio::time::Instant::now() + LAST_MOMENT);
    match tokio::time::timeout_at(until, database.close()).await {
        Ok(closed) => closed?,
        // It was told to, and does it without us.
        Err(_) => tracing::warn!("the private PostgreSQL has not ended yet"),
    }
    outcome
}

fn plan(args: ServeArgs, settings: Settings, certificates: Option<&Certificates>) -> anyhow::Result<Plan> {
    let started = Instant::now();
    let selected = args.selection()?;
    let addresses = args.addresses(&selected)?;
    let neighbours = args.neighbours.addresses(Neighbourhood {
        selected: &selected,
        internal: addresses.internal,
        delivers_events: settings.runtime.events == EventTransport::Local,
        is_production: settings.runtime.is_production(),
    })?;
    if selected.contains(&Module::Payment) && settings.runtime.gateway()? == PaymentGateway::Stripe {
        settings.runtime.stripe()?;
    }
    if selected.contains(&Module::User) {
        settings.accounts.check(settings.runtime.is_production())?;
        settings.post()?;
    }
    // Only whether its address can be read.
    redis(&settings)?;
    let tls = certificates.map(Certificates::server_config).transpose()?;
    Ok(Plan { args, settings, selected, addresses, neighbours, tls, started })
}

async fn serve(plan: &Plan, database: &Database, log: LogFilter, signals: &mut StopSignals) -> anyhow::Result<()> {
    spans::begin(&plan.settings.runtime, &plan.selected)?;
    let meters = meters::record(&plan.selected, plan.settings.runtime.measuring)?;
    let upkeep = tokio::spawn(meters.clone().keep_up());
    let readiness = Readiness::default();
    let told = Told { readiness: readiness.clone(), meters: meters.clone(), log };
    let management = server::management(plan.addresses.management, &plan.selected, told)?;
    let management_handle = management.handle();
    let mut management = tokio::spawn(management);
    let started = tokio::select! {
        started = start(plan, database, &readiness, &meters) => started.map(Some),
        ended = ended("management", &mut management) => Err(ended),
        () = signals.wait() => Ok(None),
    };
    let outcome = match started {
        Ok(Some(running)) => {
            readiness.set(true);
            announce(plan, database);
            running.until_told(patience(plan), &readiness, &mut management, signals).await
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    management_handle.stop(false).await;
    management.abort();
    upkeep.abort();
    spans::end().await;
    tracing::info!("stopped");
    outcome
}

async fn start(plan: &Plan, database: &Database, readiness: &Readiness, meters: &Meters) -> anyhow::Result<Running> {
    let until = plan.started + Duration::from_secs(plan.args.startup_seconds);
    patiently(until, async || prepare_database(plan, database).await).await?;
    // It may go away again at any moment.
    let keys = patiently(until, async || service_keys(plan, database).await).await?;
    let neighbours = Neighbours::new(&plan.neighbours, &plan.selected, &keys)?;
    let shop = compose(database, &plan.settings, &plan.selected, &neighbours)?;
    if let Some(user) = &shop.user {
        patiently(until, async || Ok(user.prepare().await?)).await?;
        tell_where_letters_go(&plan.settings)?;
    }
    meters.observe(&shop);
    let carriers = Carriers::new(&shop, &neighbours, &plan.settings).await?;
    let internal = wire::internal_listener(
        shop.served(),
        keys.clone(),
        plan.addresses.internal,
        plan.args.workers(),
        grace(plan),
    )?;
    let public = server::public(&shop, &plan.selected, listener(plan, &shop), readiness)?;
    let public_handle = public.handle();
    let public = tokio::spawn(public);
    let secrets = secrets::Watch::new(&plan.settings, secrets::rotation::all(&shop, &keys));
    let background = Background::start(&shop, carriers, secrets);
    let tasks = shop.pools().iter().map(|(_, db)| db.tasks().clone()).collect();
    Ok(Running { public, public_handle, internal, tasks, background })
}

/// Migrates, or sees whether somebody has.
async fn prepare_database(plan: &Plan, database: &Database) -> anyhow::Result<()> {
    if plan.args.migrate || database.is_embedded() {
        return database.migrate(&mut |_| {}).await;
    }
    database.check().await
}

/// Does what needs the database; one that is away or behind gets some time.
async fn patiently<T>(until: Instant, work: impl AsyncFn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut told = false;
    loop {
        let error = match work().await {
            Err(error) if Instant::now() < until && may_pass(&error) => error,
            outcome => return outcome,
        };
        if !told {
            tracing::warn!(%error, "waiting for the database");
            told = true;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn may_pass(error: &anyhow::Error) -> bool {
    let migrating = error.downcast_ref();
    matches!(migrating, Some(MigrateError::Connect(_) | MigrateError::Database(_) | MigrateError::Pending(_)))
        || error.downcast_ref().is_some_and(StoreError::is_passing)
        || error.downcast_ref().is_some_and(|fault: &Fault| fault.kind == FaultKind::Unavailable)
}

/// What the service tokens are signed with: the secret of the deployment, or the one that the database keeps.
async fn service_keys(plan: &Plan, database: &Database) -> anyhow::Result<ServiceKeys> {
    let mut secrets = plan.settings.runtime.secret_keys();
    if secrets.is_empty() {
        let first = plan.selected.first().context("no module is selected")?;
        secrets.push(service_secret::read(&database.db(*first)?).await?);
    }
    Ok(ServiceKeys::new(secrets)?)
}

fn grace(plan: &Plan) -> Duration {
    Duration::from_secs(plan.args.grace_seconds)
}

fn patience(plan: &Plan) -> Patience {
    Patience { drain: Duration::from_secs(plan.args.drain_seconds), grace: grace(plan) }
}

fn listener(plan: &Plan, shop: &Shop) -> PublicListener {
    let runtime = &plan.settings.runtime;
    let client_limit = runtime
        .limits_clients()
        .then(|| Throttle::new(Counters::new(shop.redis.clone()), "client", runtime.rate_limit_per_minute, 60));
    let edge = &plan.args.edge;
    PublicListener {
        address: plan.addresses.public,
        workers: plan.args.workers(),
        grace: grace(plan),
        keep_alive: Duration::from_secs(edge.keep_alive_seconds.into()),
        client_limit,
        proxies: edge.trusted_proxies.clone(),
        origins: edge.cors_origins.clone(),
        tls: plan.tls.clone(),
        behind_tls: runtime.is_production(),
    }
}

/// Nobody should wait for a letter that lies in a folder without somebody knowing it.
fn tell_where_letters_go(settings: &Settings) -> anyhow::Result<()> {
    let Post::Folder(folder, _) = settings.post()? else { return Ok(()) };
    let folder = folder.display();
    if settings.runtime.is_production() {
        tracing::warn!(
            %folder,
            "ESHOPZ_SMTP_URL is not set: nobody gets a letter, and whoever can read the folder can reset passwords"
        );
    } else {
        tracing::info!(%folder, "letters are written into a folder; ESHOPZ_SMTP_URL would have them sent");
    }
    Ok(())
}

fn announce(plan: &Plan, database: &Database) {
    let millis = plan.started.elapsed().as_millis();
    let Addresses { public, internal, management } = plan.addresses;
    let private_database = database.is_embedded();
    tracing::info!(%public, %internal, %management, millis, private_database, "ready");
    if std::io::stdout().is_terminal() {
        let names: Vec<&str> = plan.selected.iter().map(|module| module.name()).collect();
        say!("EShopz is ready after {millis} ms: {}.", names.join(", "));
        if private_database {
            say!("  database   a private PostgreSQL (set ESHOPZ_DATABASE_URL to use yours)");
        }
        let scheme = if plan.tls.is_some() { "https" } else { "http" };
        say!("  try it     {scheme}://{public}/docs/");
        say!("  health     http://{management}/health/ready");
        say!("  stop       Ctrl-C");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// What comes of work that fails with each of these, in order, and then succeeds.
    async fn outcome(failures: Vec<anyhow::Error>) -> anyhow::Result<()> {
        let failures = RefCell::new(failures.into_iter());
        let until = Instant::now() + Duration::from_secs(60);
        patiently(until, async || failures.borrow_mut().next().map_or(Ok(()), Err)).await
    }

    #[tokio::test]
    async fn a_database_that_goes_away_at_the_start_is_waited_for() {
        let away = [
            MigrateError::Connect("refused".to_owned()).into(),
            StoreError::Pool("refused".to_owned()).into(),
            Fault::unavailable("away", 1).into(),
        ];
        outcome(away.into()).await.unwrap();
        outcome(vec![Fault::internal("broken").into()]).await.unwrap_err();
    }
}
