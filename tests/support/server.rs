//! One process with all modules, and no ingress before it: for what is about the process itself.

use std::ops::Deref;
use std::path::PathBuf;

use eshopz_testkit::db::TestDb;

use super::{MODULES, Process, Shop, eshopz, free_port};

/// A shop in one process.
pub struct Server {
    pub management: String,
    process: Process,
    shop: Shop,
    folder: PathBuf,
}

impl Deref for Server {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

impl Server {
    pub async fn start(arguments: &[&str]) -> Self {
        Self::start_on(TestDb::new(&MODULES).await, arguments).await
    }

    pub async fn start_on(db: TestDb, arguments: &[&str]) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("eshopz-server-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let (url, data) = (db.url.clone(), folder.clone());
        let make = move || {
            let mut command = eshopz(&url, &["serve", "--listen", &format!("127.0.0.1:{port}")]);
            command.args(&arguments).env("ESHOPZ_DATA_DIR", &data);
            command
        };
        let mut process = Process::spawn("eshopz", port, folder.join("eshopz.log"), Box::new(make));
        process.wait_until_ready().await;
        let shop = Shop::new(process.public(), db, folder.join("mail"), 1);
        Self { management: process.management(), process, shop, folder }
    }

    /// The address of the listener for other processes.
    pub fn internal(&self) -> String {
        self.process.internal()
    }

    /// All metrics, as Prometheus reads them.
    pub async fn metrics(&self) -> String {
        reqwest::get(format!("{}/metrics", self.management)).await.unwrap().text().await.unwrap()
    }

    /// See [`Process::metric`].
    pub async fn metric(&self, parts: &[&str]) -> f64 {
        self.process.metric(parts).await
    }

    /// The last of what it said.
    pub fn said(&self) -> String {
        self.process.said()
    }

    /// All that it said.
    pub fn said_in_all(&self) -> String {
        self.process.said_in_all()
    }

    /// Sends SIGTERM and waits for the end; gives the exit code.
    pub async fn terminate(&mut self) -> i32 {
        self.process.terminate().await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill();
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}
