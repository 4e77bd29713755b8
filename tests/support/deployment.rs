//! A whole deployment on this machine: processes, ingress, and what they share.

use std::fs::Permissions;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use eshopz::modules::Module;
use eshopz_testkit::db::TestDb;
use eshopz_testkit::moto::Moto;
use eshopz_testkit::redis::TestRedis;
use futures::future::join_all;

use super::{Events, Ingress, MODULES, Process, Shop, Topology, eshopz, free_port, text};

/// What to start.
#[derive(Clone, Debug)]
pub struct Plan {
    pub topology: Topology,
    pub events: Events,
    pub redis: bool,
    /// Further arguments of `eshopz serve`.
    pub arguments: Vec<&'static str>,
    /// Further variables of its environment.
    pub environment: Vec<(&'static str, String)>,
}

impl Plan {
    pub fn of(topology: Topology) -> Self {
        Self { topology, events: Events::Local, redis: false, arguments: Vec::new(), environment: Vec::new() }
    }
}

/// A running deployment. The order of the fields is that in which it ends.
pub struct Deployment {
    pub ingress: Ingress,
    pub processes: Vec<Process>,
    pub redis: Option<TestRedis>,
    pub shop: Shop,
    pub boot: Duration,
    topology: Topology,
    _moto: Option<Arc<Moto>>,
    _folder: Folder,
}

impl Deref for Deployment {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

impl Deployment {
    pub async fn start(plan: Plan) -> Self {
        Self::start_on(TestDb::new(&MODULES).await, plan).await
    }

    /// On a database that is there.
    pub async fn start_on(db: TestDb, plan: Plan) -> Self {
        let started = Instant::now();
        let folder = Folder::new();
        let redis = if plan.redis { Some(TestRedis::start()) } else { None };
        let moto = (plan.events == Events::Sns).then(shared_moto);
        let shared = Shared::new(&plan, &db, &folder.0, redis.as_ref(), moto.as_deref());
        if moto.is_some() {
            let made = shared.command(&["events", "setup"]).output().unwrap();
            assert!(made.status.success(), "{}", text(&made));
        }
        let mut processes = start_processes(&plan, &shared, &folder.0);
        let topology = plan.topology.clone();
        let ports: Vec<u16> = processes.iter().map(|process| process.port).collect();
        let ingress =
            Ingress::start(folder.0.join("ingress"), |module| ports_of(&topology, &ports, module, None)).await;
        join_all(processes.iter_mut().map(Process::wait_until_ready)).await;
        let shop = Shop::new(ingress.base(), db, folder.0.join("mail"), topology.pods());
        let boot = started.elapsed();
        Self { ingress, processes, redis, shop, boot, topology, _moto: moto, _folder: folder }
    }

    /// The processes that run a module.
    pub fn running(&self, module: Module) -> Vec<usize> {
        (0..self.processes.len()).filter(|index| self.topology.processes[*index].contains(&module)).collect()
    }

    /// The one process that runs a module.
    pub fn process(&mut self, module: Module) -> &mut Process {
        let index = self.running(module)[0];
        &mut self.processes[index]
    }

    /// Has the ingress leave out a process, or none.
    pub async fn route_without(&self, left_out: Option<usize>) {
        let ports: Vec<u16> = self.processes.iter().map(|process| process.port).collect();
        self.ingress.route(|module| ports_of(&self.topology, &ports, module, left_out)).await;
    }

    /// A metric of all processes that run a module.
    pub async fn metric(&self, module: Module, parts: &[&str]) -> f64 {
        let asked = self.running(module).into_iter().map(|index| self.processes[index].metric(parts));
        join_all(asked).await.into_iter().sum()
    }
}

fn ports_of(topology: &Topology, ports: &[u16], module: Module, left_out: Option<usize>) -> Vec<u16> {
    let running = topology.processes.iter().zip(ports).enumerate();
    let running = running.filter(|(index, (modules, _))| modules.contains(&module) && Some(*index) != left_out);
    running.map(|(_, (_, port))| *port).collect()
}

/// What every process of a deployment is told.
#[derive(Clone)]
struct Shared {
    database_url: String,
    environment: Vec<(String, String)>,
}

impl Shared {
    fn new(plan: &Plan, db: &TestDb, folder: &Path, redis: Option<&TestRedis>, moto: Option<&Moto>) -> Self {
        let mut environment = vec![
            ("ESHOPZ_DATA_DIR".to_owned(), folder.to_str().unwrap().to_owned()),
            ("ESHOPZ_EVENTS".to_owned(), plan.events.name().to_owned()),
        ];
        environment.extend(plan.environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        if let Some(redis) = redis {
            environment.push(("ESHOPZ_REDIS_URL".to_owned(), redis.url()));
        }
        if let Some(moto) = moto {
            environment.extend(moto.env().map(|(name, value)| (name.to_owned(), value)));
            // Deployments share a server, and each has topics and queues of its own.
            let own = folder.file_name().unwrap().to_str().unwrap();
            environment.push(("ESHOPZ_EVENTS_PREFIX".to_owned(), own.to_owned()));
        }
        Self { database_url: db.url.clone(), environment }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = eshopz(&self.database_url, arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

fn start_processes(plan: &Plan, shared: &Shared, folder: &Path) -> Vec<Process> {
    let ports: Vec<u16> = plan.topology.processes.iter().map(|_| free_port()).collect();
    let running = |module: Module| {
        let index = plan.topology.processes.iter().position(|modules| modules.contains(&module)).unwrap();
        format!("http://127.0.0.1:{}", ports[index] + 1_000)
    };
    let start = |(modules, port): (&Vec<Module>, &u16)| {
        let names: Vec<&str> = modules.iter().map(|module| module.name()).collect();
        let names = names.join(",");
        let neighbours: Vec<(String, String)> = Module::ALL
            .into_iter()
            .filter(|module| !modules.contains(module))
            .map(|module| (format!("ESHOPZ_{}_URL", module.name().to_uppercase()), running(module)))
            .collect();
        let (shared, arguments, port, selected) = (shared.clone(), plan.arguments.clone(), *port, names.clone());
        let make = move || {
            let mut command = shared.command(&["serve", "--listen", &format!("127.0.0.1:{port}"), "--workers", "2"]);
            command.args(["--modules", &selected]).args(&arguments);
            command.envs(neighbours.iter().map(|(name, value)| (name, value)));
            command
        };
        let log = folder.join(format!("{}-{port}.log", names.replace(',', "-")));
        Process::spawn(format!("{names} at {port}"), port, log, Box::new(make))
    };
    plan.topology.processes.iter().zip(&ports).map(start).collect()
}

/// One server for all deployments that run at the same time; it ends with the last of them.
fn shared_moto() -> Arc<Moto> {
    static RUNNING: Mutex<Weak<Moto>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.upgrade().unwrap_or_else(|| {
        let moto = Arc::new(Moto::start());
        *running = Arc::downgrade(&moto);
        moto
    })
}

/// A folder of its own, which goes at the end, unless somebody will want to read what is in it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("eshopz-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("-- logs are in {}", self.0.display());
        } else {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }
}
