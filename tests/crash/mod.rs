//! The process dies at every await of what must not be wrong, as by `kill -9`; it is started again, clients
//! repeat what was not answered, and then the books must balance and the case must end as if nothing had been.
//!
//! In the ordinary run of the tests a point of each function is tried; `scripts/crash` tries all of them.
//! While a shop is away a minute passes for it, by the times in its database: leases of the dead run out.

mod case;
mod downtime;
mod patient;
mod plan;
mod rig;
mod rooms;
mod scenarios;
mod unreached;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::future::join_all;

use plan::{Sample, Traces, Trial, Wish, short};
use rig::{Outcome, Rig};
use scenarios::{ALL, Capture};

/// Shops at the same time.
const SHOPS: usize = 2;

type Queue<T> = Arc<Mutex<VecDeque<T>>>;

fn queue<T>(items: impl IntoIterator<Item = T>) -> Queue<T> {
    Arc::new(Mutex::new(items.into_iter().collect()))
}

fn next<T>(queue: &Queue<T>) -> Option<T> {
    queue.lock().unwrap().pop_front()
}

/// A shop of this kind: the one there is, if it is.
async fn rig_of(rig: Option<Rig>, capture: Capture) -> Rig {
    match rig {
        Some(rig) if rig.capture == capture => rig,
        _ => Rig::start(capture).await,
    }
}

/// What each scenario passes when nobody dies.
async fn traces() -> Traces {
    let scenarios = queue(ALL);
    let workers = (0..SHOPS).map(|_| {
        let scenarios = Arc::clone(&scenarios);
        tokio::spawn(async move {
            let (mut rig, mut traces) = (None, Traces::new());
            while let Some(scenario) = next(&scenarios) {
                let mut shop = rig_of(rig.take(), scenario.capture).await;
                let (mut passed, began) = (BTreeMap::new(), Instant::now());
                shop.trace(scenario).await.into_iter().for_each(|point| *passed.entry(point).or_default() += 1);
                println!("{:>6} {} passes {} points", began.elapsed().as_millis(), scenario.name, passed.len());
                rig = Some(shop);
                traces.insert(scenario.name, passed);
            }
            traces
        })
    });
    join_all(workers).await.into_iter().flat_map(Result::unwrap).collect()
}

/// Dies every death.
async fn die(trials: Vec<Trial>) -> Vec<(Trial, Outcome)> {
    let trials = queue(trials);
    let workers = (0..SHOPS).map(|_| {
        let trials = Arc::clone(&trials);
        tokio::spawn(async move {
            let (mut rig, mut outcomes) = (None, Vec::new());
            while let Some(trial) = next(&trials) {
                let mut shop = rig_of(rig.take(), trial.scenario.capture).await;
                let outcome = shop.crash(trial.scenario, &trial.targets).await;
                tell(&trial, &outcome);
                // What is wrong in its books must not be laid at the next one's door.
                rig = outcome.wrong.is_none().then_some(shop);
                outcomes.push((trial, outcome));
            }
            outcomes
        })
    });
    join_all(workers).await.into_iter().flat_map(Result::unwrap).collect()
}

/// A line of the table.
fn tell(trial: &Trial, outcome: &Outcome) {
    let points: Vec<String> =
        trial.targets.iter().map(|target| format!("{}@{}", short(&target.point), target.passing)).collect();
    let millis = |time: std::time::Duration| time.as_millis();
    let died = if is_dead(trial, outcome) { millis(outcome.died).to_string() } else { "lived".to_owned() };
    let verdict = outcome.wrong.as_deref().unwrap_or("clean");
    let (back, settled) = (millis(outcome.back), millis(outcome.settled));
    println!("{died:>6} {back:>6} {settled:>7}  {} {}: {verdict}", trial.scenario.name, points.join(", then "));
}

/// It died as often as it was to.
fn is_dead(trial: &Trial, outcome: &Outcome) -> bool {
    outcome.deaths == trial.targets.len()
}

/// Says which points nobody passes, and why; those without a reason are returned.
fn unpassed(passed: &BTreeSet<&String>) -> Vec<String> {
    let points: Vec<String> = rooms::functions().into_iter().flat_map(|function| function.points).collect();
    let mut unpassed: Vec<&String> = points.iter().filter(|point| !passed.contains(point)).collect();
    println!("{} of {} points are passed; the others are:", points.len() - unpassed.len(), points.len());
    for point in &unpassed {
        println!("{}: {}", short(point), unreached::reason(point).unwrap_or("NO REASON"));
    }
    unpassed.retain(|point| unreached::reason(point).is_none());
    unpassed.into_iter().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_dies_anywhere_comes_back_whole() {
    let (wish, began) = (Wish::read(), Instant::now());
    println!("CRASH_SEED={}", wish.seed);
    let traces = traces().await;
    println!("  died   back settled  scenario and point");
    let mut outcomes = die(wish.trials(&traces)).await;
    let recoveries: Vec<_> = outcomes.iter().map(|(trial, end)| (trial.clone(), end.recovery.clone())).collect();
    outcomes.extend(die(wish.second_trials(&traces, &recoveries)).await);
    let recovered = outcomes.iter().flat_map(|(_, outcome)| &outcome.recovery);
    let unpassed = unpassed(&traces.values().flat_map(BTreeMap::keys).chain(recovered).collect());
    let is_clean = |outcome: &Outcome| outcome.wrong.is_none();
    let dead: Vec<_> = outcomes.iter().filter(|(trial, outcome)| is_dead(trial, outcome)).collect();
    let clean = dead.iter().filter(|(_, outcome)| is_clean(outcome)).count();
    let wrong = outcomes.iter().filter(|(_, outcome)| !is_clean(outcome)).count();
    let (dead, lived) = (dead.len(), outcomes.len() - dead.len());
    println!("{clean} of {dead} clean, and {lived} never came to their point, in {} s", began.elapsed().as_secs());
    assert_eq!(wrong, 0, "see the table; CRASH_SEED={}", wish.seed);
    assert!(dead > 0 && lived * 4 <= dead, "{lived} did not die, and {dead} did");
    if matches!(wish.sample, Sample::All | Sample::Points) {
        assert!(unpassed.is_empty(), "no scenario passes these, and there is no reason: {unpassed:#?}");
    }
}
