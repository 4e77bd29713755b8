//! Everything that a run needs: the servers, the processes, the catalogue, the admin; and the end of all that.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use eshopz_testkit::load::body::text;
use eshopz_testkit::load::{Call, Http, Shelf};
use eshopz_testkit::postgres::Postgres;
use eshopz_testkit::redis::TestRedis;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;

use crate::client::{Client, LIMIT};
use crate::faults::{Victims, Weather};
use crate::fleet::{Process, Recipe};
use crate::shop::{Capture, PASSWORD, Shop};

pub const ADMIN: &str = "admin@example.com";
/// Products of the demo catalogue.
const PRODUCTS: &str = "200";
/// Variants that everybody wants, and how many there are of each.
const SCARCE: usize = 6;
const SCARCE_ON_HAND: u32 = 60;

/// Where things are.
#[derive(Debug)]
pub struct Places {
    /// The ingress.
    pub base: String,
    pub ports: Vec<u16>,
    pub program: PathBuf,
    pub folder: PathBuf,
    pub capture: Capture,
}

/// What is up.
pub struct Stage {
    pub victims: Rc<Victims>,
    pub recipe: Recipe,
}

impl Stage {
    /// Starts the servers and the processes and fills the shop.
    pub async fn set(places: &Places) -> Result<Self, String> {
        let postgres = Postgres::start(&places.folder).await?;
        let started = tokio::task::spawn_blocking(TestRedis::start).await;
        let redis = started.map_err(|_| "redis-server does not start".to_owned())?;
        let database_url = postgres.url().to_owned();
        let recipe = Recipe {
            program: places.program.clone(),
            folder: places.folder.clone(),
            settings: settings(places, &database_url, &redis.url()),
        };
        let victims = Victims {
            processes: Vec::new(),
            postgres: Mutex::new(postgres),
            redis: Arc::new(std::sync::Mutex::new(redis)),
        };
        let mut stage = Self { victims: Rc::new(victims), recipe };
        match stage.fill(places).await {
            Ok(processes) => {
                if let Some(victims) = Rc::get_mut(&mut stage.victims) {
                    victims.processes = processes;
                }
                Ok(stage)
            }
            Err(error) => {
                stage.strike().await?;
                Err(error)
            }
        }
    }

    async fn fill(&self, places: &Places) -> Result<Vec<Mutex<Process>>, String> {
        self.run(&["migrate", "up"], "").await?;
        self.run(&["seed", "demo", "--products", PRODUCTS], "").await?;
        self.run(&["admin", "create", "--email", ADMIN], PASSWORD).await?;
        let start = |(index, port): (usize, &u16)| Process::start(index + 1, *port, &self.recipe);
        let mut processes = places.ports.iter().enumerate().map(start).collect::<Result<Vec<_>, _>>()?;
        for process in &mut processes {
            process.ready().await?;
        }
        Ok(processes.into_iter().map(Mutex::new).collect())
    }

    /// The shop as its clients will know it; the load begins now.
    pub async fn open(&self, places: &Places) -> Result<Rc<Shop>, String> {
        let http = Http::new(&places.base, LIMIT)?;
        let weather = Rc::new(Weather::new(Instant::now()));
        let preparing = Client::new(http.clone(), weather);
        let wrong = |_| "the admin cannot sign in".to_owned();
        let (admin, _) = preparing.sign_in(ADMIN).await.map_err(wrong)?;
        let mut scarce = Vec::new();
        for number in 1..=SCARCE {
            scarce.push(scarce_variant(&http, &admin, number).await?);
        }
        let shelf = Shelf::read(&http).await?;
        let client = Client::new(http, Rc::new(Weather::new(Instant::now())));
        let (admin, ledger) = (RefCell::new(admin), RefCell::default());
        Ok(Rc::new(Shop { client, shelf, scarce, ledger, admin, checkouts: Cell::new(0), capture: places.capture }))
    }

    /// Runs a command of the program; what it says on its standard output.
    pub async fn run(&self, arguments: &[&str], stdin: &str) -> Result<String, String> {
        let (succeeded, said) = self.try_run(arguments, stdin).await?;
        if succeeded { Ok(said) } else { Err(format!("eshopz {}: {said}", arguments.join(" "))) }
    }

    /// The same, and whether it succeeded.
    pub async fn try_run(&self, arguments: &[&str], stdin: &str) -> Result<(bool, String), String> {
        let mut command = self.recipe.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", self.recipe.program.display()))?;
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(stdin.as_bytes()).await.map_err(|error| error.to_string())?;
        }
        let output = child.wait_with_output().await.map_err(|error| error.to_string())?;
        let said = if output.status.success() { output.stdout } else { [output.stdout, output.stderr].concat() };
        Ok((output.status.success(), String::from_utf8_lossy(&said).trim_end().to_owned()))
    }

    /// Ends everything, frozen or not.
    pub async fn strike(self) -> Result<(), String> {
        for process in &self.victims.processes {
            let mut process = process.lock().await;
            process.signal(Signal::KILL);
            process.ended().await?;
        }
        self.victims.redis.lock().unwrap_or_else(PoisonError::into_inner).kill();
        let postgres = self.victims.postgres.lock().await;
        postgres.stop_in_order();
        postgres.ended().await
    }
}

/// What every process is told. An order that nobody pays lives a quarter of a minute.
fn settings(places: &Places, database_url: &str, redis_url: &str) -> Vec<(String, String)> {
    [
        ("ESHOPZ_DATABASE_URL", database_url),
        ("ESHOPZ_REDIS_URL", redis_url),
        ("ESHOPZ_DATA_DIR", &places.folder.join("data").to_string_lossy()),
        ("ESHOPZ_ORDER_EXPIRY_MINUTES", "0.25"),
        ("ESHOPZ_PAYMENT_CAPTURE", places.capture.name()),
        ("ESHOPZ_GATEWAY_TIMEOUT_MS", "1500"),
        ("RUST_LOG", "warn"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

async fn scarce_variant(http: &Http, admin: &str, number: usize) -> Result<String, String> {
    let price = json!({"amount": 1_000, "currency": "USD"});
    let body = Some(json!({
        "title": format!("Scarce thing {number}"), "variants": [{"price": price, "on_hand": SCARCE_ON_HAND}],
    }));
    let headers = [("authorization", admin)];
    let path = "/api/v1/products".to_owned();
    let call = Call { operation: "POST /products", method: Method::POST, path, headers: &headers, body };
    let made = http.once(&call).await?;
    let variant = made.body.pointer("/variants/0").map(|variant| text(variant, "id")).unwrap_or_default();
    if variant.is_empty() { Err(format!("no product is made: {} {}", made.status, made.body)) } else { Ok(variant) }
}

/// Signs the admin in again before his token expires, for as long as it is waited for.
pub async fn keep_admin(shop: Rc<Shop>) {
    loop {
        tokio::time::sleep(Duration::from_secs(600)).await;
        if let Ok((bearer, _)) = shop.client.sign_in(ADMIN).await {
            shop.admin.replace(bearer);
        }
    }
}
