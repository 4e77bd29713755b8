//! Secrets in moto's server, and processes that are told to look there.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use eshopz_testkit::moto::{Moto, REGION};
use serde_json::{Value, json};

use crate::support::{Answer, Process, Shop, eshopz, free_port};

/// An AWS Secrets Manager of one test.
pub struct Store {
    pub moto: Moto,
    client: reqwest::Client,
}

impl Store {
    pub fn start() -> Self {
        Self { moto: Moto::start(), client: reqwest::Client::new() }
    }

    /// What AWS' own command line would ask. moto looks at the scope of the signature only.
    async fn ask(&self, action: &str, body: Value) {
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/secretsmanager/aws4_request");
        let request = self
            .client
            .post(self.moto.endpoint())
            .header("x-amz-target", format!("secretsmanager.{action}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", format!("{scope}, SignedHeaders=host, Signature=none"));
        let answer = request.body(body.to_string()).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{action}: {status} {}", answer.text().await.unwrap());
    }

    pub async fn create(&self, name: &str, value: &str) {
        self.ask("CreateSecret", json!({"Name": name, "SecretString": value})).await;
    }

    /// A new current version.
    pub async fn put(&self, name: &str, value: &Value) {
        self.ask("PutSecretValue", json!({"SecretId": name, "SecretString": value.to_string()})).await;
    }

    /// The program, which gets its secrets from here and looks every second.
    pub fn eshopz(&self, secrets: &str, arguments: &[&str]) -> Command {
        let mut command = eshopz("", arguments);
        command.envs(self.moto.env()).env("ESHOPZ_SECRETS", format!("aws:{secrets}"));
        command
    }

    pub fn run(&self, secrets: &str, arguments: &[&str]) -> Output {
        self.eshopz(secrets, arguments).output().unwrap()
    }
}

/// A folder of one test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("eshopz-secrets-{}-{}", std::process::id(), free_port()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Starts `eshopz serve` with this environment and waits until it is ready.
    pub async fn serve(&self, modules: &str, environment: &[(&str, String)]) -> Process {
        let mut process = self.start(modules, free_port(), environment);
        process.wait_until_ready().await;
        process
    }

    /// The same on a given port, and without waiting.
    pub fn start(&self, modules: &str, port: u16, environment: &[(&str, String)]) -> Process {
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let (data, selected) = (self.0.clone(), modules.to_owned());
        let make = move || {
            let mut command = eshopz("", &["serve", "--modules", &selected, "--listen", &format!("127.0.0.1:{port}")]);
            command.env("ESHOPZ_DATA_DIR", &data).env("ESHOPZ_SECRETS_REFRESH_SECONDS", "1");
            command.envs(environment.iter().cloned());
            command
        };
        Process::spawn(modules, port, self.log(modules), Box::new(make))
    }

    /// What the process of these modules says.
    pub fn log(&self, modules: &str) -> PathBuf {
        self.0.join(format!("{modules}.log"))
    }

    pub fn said(&self, modules: &str) -> String {
        std::fs::read_to_string(self.log(modules)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }
}

/// An answer that is not 503: a 503 says that the same may be tried again.
pub async fn patiently(shop: &Shop, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
    let started = Instant::now();
    loop {
        let answer = shop.send(method, path, headers, body.clone()).await;
        if answer.status != 503 {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "still 503: {}", answer.text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The environment by which a process finds a secret.
pub fn from_secret(store: &Store, name: &str) -> Vec<(&'static str, String)> {
    let mut environment = store.moto.env().to_vec();
    environment.push(("ESHOPZ_SECRETS", format!("aws:{name}")));
    environment
}
