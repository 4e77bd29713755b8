//! All flows, on all in one, on equal replicas, on five processes, and on every way of splitting one or two
//! modules off; with events handed over directly and by SNS and SQS.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use eshopz::modules::Module;
use futures::{FutureExt as _, StreamExt as _, stream};
use serde_json::Value;

use super::slot;
use crate::flows::{self, Flow};
use crate::support::{Deployment, Events, Plan, Scale, Shop, Topology};

/// No flow takes this long, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(150);

/// Races are run in full where everything meets in one process, and where nothing does.
const SMALL: Scale = Scale { buyers: 40, twins: 16 };

/// Runs the flows, many at the same time, and gives what went wrong.
async fn run_flows(shop: &Shop) -> Vec<String> {
    // Made before, so that flows do not wait for one another.
    shop.admin().await;
    // To look for what is wrong with a single one.
    let wanted = std::env::var("FLOW").unwrap_or_default();
    let chosen = flows::ALL.iter().filter(|flow| flow.name.contains(&wanted));
    // Races are crowds by themselves: they come when the others have gone.
    let (races, others): (Vec<&Flow>, Vec<&Flow>) = chosen.partition(|flow| flow.name.starts_with("races::"));
    let mut failures = Vec::new();
    for (flows, at_once) in [(others, 12), (races, 2)] {
        let outcomes = stream::iter(flows).map(|flow| run_flow(shop, flow)).buffer_unordered(at_once);
        failures.extend(outcomes.filter_map(std::future::ready).collect::<Vec<String>>().await);
    }
    failures
}

async fn run_flow(shop: &Shop, flow: &Flow) -> Option<String> {
    let run = AssertUnwindSafe((flow.run)(shop)).catch_unwind();
    match tokio::time::timeout(PATIENCE, run).await {
        Ok(Ok(())) => None,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
            Some(format!("{}: {text}", flow.name))
        }
        Err(_) => Some(format!("{}: not done in {} s", flow.name, PATIENCE.as_secs())),
    }
}

async fn prove(topology: Topology, events: Events, redis: bool, in_full: bool) {
    let _slot = slot().await;
    let started = Instant::now();
    let name = format!("{} with {} events{}", topology.name, events.name(), if redis { " and Redis" } else { "" });
    let mut deployment = Deployment::start(Plan { events, redis, ..Plan::of(topology) }).await;
    if !in_full {
        deployment.shop.scale = SMALL;
    }
    let boot = deployment.boot;
    let failures = run_flows(&deployment).await;
    assert!(failures.is_empty(), "{name}: {} failed\n{}", failures.len(), failures.join("\n"));
    if std::env::var_os("FLOW").is_none() {
        assert_routed(&deployment);
    }
    deployment.is_told_all().await;
    assert_eq!(deployment.verify(), Vec::<Value>::new(), "{name}");
    // What the test program prints is shown when a test fails; this line is to be seen in any case.
    let line = format!("topology {name}: {:.1} s, ready after {:.1} s\n", secs(started.elapsed()), secs(boot));
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
}

/// Every process was asked, none for what is internal, and none failed to answer.
fn assert_routed(deployment: &Deployment) {
    let log = deployment.ingress.log();
    let asked: BTreeSet<&str> = log.iter().filter_map(|access| access.process.as_deref()).collect();
    let ports: Vec<String> = deployment.processes.iter().map(|process| format!("127.0.0.1:{}", process.port)).collect();
    assert_eq!(asked, ports.iter().map(String::as_str).collect());
    let internal: Vec<_> = log.iter().filter(|access| access.path.contains("/internal/")).collect();
    assert!(!internal.is_empty(), "nobody has tried");
    assert!(internal.iter().all(|access| access.process.is_none() && access.status == 404), "{internal:?}");
}

fn secs(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

macro_rules! matrix {
    ($($name:ident: $topology:expr, redis $redis:literal, in full $full:literal;)*) => {
        /// The modules of each process, of every topology that is tested.
        fn tested() -> Vec<Topology> {
            vec![$($topology),*]
        }

        mod local {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    prove($topology, Events::Local, $redis, $full).await;
                }
            )*
        }

        mod sns {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    prove($topology, Events::Sns, $redis, $full).await;
                }
            )*
        }
    };
}

use Module::{Cart, Order, Payment, Product, User};

matrix! {
    combined: Topology::combined(), redis false, in full true;
    three_replicas: Topology::replicas(3), redis true, in full true;
    five_processes: Topology::five(), redis true, in full true;
    user_apart: Topology::without(&[User]), redis false, in full false;
    product_apart: Topology::without(&[Product]), redis false, in full false;
    cart_apart: Topology::without(&[Cart]), redis false, in full false;
    payment_apart: Topology::without(&[Payment]), redis false, in full false;
    order_apart: Topology::without(&[Order]), redis false, in full false;
    user_and_product_apart: Topology::without(&[User, Product]), redis false, in full false;
    user_and_cart_apart: Topology::without(&[User, Cart]), redis false, in full false;
    user_and_payment_apart: Topology::without(&[User, Payment]), redis false, in full false;
    user_and_order_apart: Topology::without(&[User, Order]), redis false, in full false;
    product_and_cart_apart: Topology::without(&[Product, Cart]), redis false, in full false;
    product_and_payment_apart: Topology::without(&[Product, Payment]), redis false, in full false;
    product_and_order_apart: Topology::without(&[Product, Order]), redis false, in full false;
    cart_and_payment_apart: Topology::without(&[Cart, Payment]), redis false, in full false;
    cart_and_order_apart: Topology::without(&[Cart, Order]), redis false, in full false;
    payment_and_order_apart: Topology::without(&[Payment, Order]), redis false, in full false;
}

/// A module that is added is split off as well.
#[test]
fn every_module_and_every_pair_is_split_off() {
    let tested: BTreeSet<Vec<Vec<Module>>> = tested().into_iter().map(|topology| topology.processes).collect();
    assert!(tested.contains(&Topology::combined().processes));
    assert!(tested.contains(&Topology::five().processes));
    for one in Module::ALL {
        assert!(tested.contains(&Topology::without(&[one]).processes), "{one} is never split off");
        for other in Module::ALL.into_iter().filter(|other| *other > one) {
            let pair = Topology::without(&[one, other]);
            assert!(tested.contains(&pair.processes), "{one} and {other} are never split off");
        }
    }
}
