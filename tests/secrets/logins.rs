//! A role that has to give its password, on a test server that otherwise trusts everybody.

use std::fs;
use std::time::{Duration, Instant};

use eshopz_testkit::db::TestDb;
use tokio_postgres::{Config, NoTls, config::Host};

use crate::support::free_port;

/// Its members are asked for their password.
const GROUP: &str = "eshopz_test_logins";

/// Held by who changes the server's rules of entry.
static RULES: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// A role of one test, gone with it.
pub struct Login {
    pub name: String,
    owner: tokio_postgres::Client,
    address: Config,
}

impl Login {
    /// Makes the role, and waits until the server asks it for its password.
    pub async fn new(db: &TestDb, password: &str) -> Self {
        let owner = db.owner().await;
        // A number that no other test of this program has.
        let name = format!("plantedlogin_{}_{}", std::process::id(), free_port());
        let make_group = format!(
            "DO $$ BEGIN CREATE ROLE {GROUP}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        owner.batch_execute(&make_group).await.unwrap();
        // SCRAM's thousands of rounds take a program that is not optimised a quarter of a second each time.
        let make = format!(
            "SET password_encryption = md5; CREATE ROLE {name} LOGIN SUPERUSER IN ROLE {GROUP} PASSWORD '{password}'"
        );
        owner.batch_execute(&make).await.unwrap();
        let login = Self { name, owner, address: db.url.parse().unwrap() };
        login.ask_for_passwords().await;
        login
    }

    async fn ask_for_passwords(&self) {
        let file: String = self.owner.query_one("SHOW hba_file", &[]).await.unwrap().get(0);
        let rule = format!("local all +{GROUP} md5\n");
        {
            // One after another: who reads what another is just writing would lose the other rules.
            let _alone = RULES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let rules = fs::read_to_string(&file).unwrap();
            if !rules.starts_with(&rule) {
                fs::write(&file, format!("{rule}{rules}")).unwrap();
            }
        }
        self.owner.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let started = Instant::now();
        while self.can_enter("no password of anybody").await {
            assert!(started.elapsed() < Duration::from_secs(20), "the server asks for no password");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn can_enter(&self, password: &str) -> bool {
        self.address.clone().user(&self.name).password(password).connect(NoTls).await.is_ok()
    }

    /// The folder of the server's socket, and the database.
    pub fn place(&self) -> (String, String) {
        let Some(Host::Unix(folder)) = self.address.get_hosts().first() else { panic!("no socket") };
        (folder.display().to_string(), self.address.get_dbname().unwrap().to_owned())
    }

    /// A URL with this password, in which only letters, digits and `-` may be.
    pub fn url(&self, password: &str) -> String {
        let (folder, database) = self.place();
        format!("postgres://{}:{password}@{}/{database}", self.name, folder.replace('/', "%2F"))
    }

    /// Another password; who is inside stays.
    pub async fn change_password(&self, password: &str) {
        self.owner.batch_execute(&format!("ALTER ROLE {} PASSWORD '{password}'", self.name)).await.unwrap();
    }

    /// Everybody who came in by this role has to come in again.
    pub async fn throw_out(&self) {
        let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1";
        self.owner.query(all, &[&self.name]).await.unwrap();
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let (mut address, name) = (self.address.clone(), self.name.clone());
        // The test's own may be gone.
        address.dbname("postgres");
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (client, connection) = address.connect(NoTls).await.unwrap();
                tokio::spawn(connection);
                // Best effort: what stays behind goes with the server.
                drop(client.batch_execute(&format!("DROP ROLE {name}")).await);
            });
        });
        drop(dropping.join());
    }
}
