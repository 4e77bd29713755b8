//! A database for each test, cloned from a template that is made once.
//!
//! The template carries the migrations of every module and has their hash in its name, so an edited
//! migration makes a new one and tests of several processes share the first that is ready. No two
//! tests share a database.
#![allow(clippy::panic, reason = "a test that cannot have its database has to fail, and say why")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use eshopz_platform::db::{Db, DbConfig};
use eshopz_platform::migrate::{self, MigrateError, Migrator, ModuleMigrations};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// Names the server on which tests make their databases, by the URL of an owner who may do so.
pub const SERVER_VARIABLE: &str = "ESHOPZ_TEST_DATABASE_URL";

/// Held while a template is made. The number is `template` in ASCII, without its last letter.
const TEMPLATE_LOCK: &str = "SELECT pg_advisory_lock(32762618010427764)";

/// A database of one test; gone when this is dropped.
#[derive(Debug)]
pub struct TestDb {
    /// The database's URL, as its owner.
    pub url: String,
    server: String,
    name: String,
}

impl TestDb {
    /// Makes a database with the tables of all modules. `modules` are those that the test relies on:
    /// if another module's migrations do not run, the test has to do without that one.
    ///
    /// # Panics
    /// When there is no server to make it on, or a module that is needed cannot be migrated.
    pub async fn new(modules: &[&str]) -> Self {
        Self::on(server_url(), modules).await
    }

    /// The same on a server of the test's own, by the URL of its owner.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub async fn on(server: String, modules: &[&str]) -> Self {
        let template = template(&server, modules).await;
        let name = format!("eshopz_test_{}", Uuid::now_v7().simple());
        let admin = connect(&server).await;
        run(&admin, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self { url: with_database(&server, &name), server, name }
    }

    /// What a module's pool is made from.
    #[must_use]
    pub fn config(&self) -> DbConfig {
        DbConfig {
            url: self.url.clone(),
            reader_url: None,
            max_connections: 8,
            acquire_timeout: Duration::from_secs(30),
        }
    }

    /// A module's pool, in the role of its schema.
    ///
    /// # Panics
    /// Never: the URL has been used already.
    #[must_use]
    pub fn db(&self, schema: &'static str) -> Db {
        Db::new(schema, &self.config()).unwrap_or_else(|error| panic!("pool for {schema}: {error}"))
    }

    /// Takes over all rows of some tables of another database, as a replica that has caught up. Give them
    /// in the order of their foreign keys.
    ///
    /// # Panics
    /// When the server is gone, or there is no such table.
    pub async fn catch_up_with(&self, other: &Self, tables: &[&str]) {
        let (here, there) = (self.owner().await, other.owner().await);
        for table in tables.iter().rev() {
            run(&here, &format!("DELETE FROM {table}")).await;
        }
        for table in tables {
            let select = format!("SELECT coalesce(json_agg(t), '[]')::text FROM {table} t");
            let row = there.query_one(&select, &[]).await.unwrap_or_else(|error| panic!("{select}: {error}"));
            let insert = format!(
                "INSERT INTO {table} OVERRIDING SYSTEM VALUE \
                 SELECT * FROM json_populate_recordset(NULL::{table}, $1::text::json)"
            );
            let rows: String = row.get(0);
            here.execute(&insert, &[&rows]).await.unwrap_or_else(|error| panic!("{insert}: {error}"));
        }
    }

    /// A connection as the owner, beside every pool, to plant and to inspect.
    ///
    /// # Panics
    /// When the server is gone.
    pub async fn owner(&self) -> Client {
        connect(&self.url).await
    }
}

/// Waits, so that the databases of a long run of tests do not pile up; on a thread of its own, for
/// the test's runtime cannot be waited for from inside.
impl Drop for TestDb {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                let Ok((client, connection)) = tokio_postgres::connect(&server, NoTls).await else { return };
                tokio::spawn(connection);
                // Best effort: what stays behind goes with the server.
                let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
            });
        });
        let _ = dropping.join();
    }
}

/// The migrations as they lie in the repository now.
///
/// # Panics
/// When they cannot be read, or a folder among them is not a migration.
#[must_use]
pub fn migrations_on_disk() -> Vec<ModuleMigrations> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../migrations");
    let mut files = Vec::new();
    for module in children(&root) {
        for file in children(&module).iter().flat_map(|migration| children(migration)) {
            let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let below = file.strip_prefix(&root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
            files.push((below, text));
        }
    }
    migrate::from_files(files).unwrap_or_else(|error| panic!("{error}"))
}

/// What a folder holds; nothing, if it is none.
fn children(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
}

fn server_url() -> String {
    std::env::var(SERVER_VARIABLE).unwrap_or_else(|_| {
        panic!(
            "{SERVER_VARIABLE} is not set: run the tests as \
             `cargo run -q -p eshopz-testkit --bin with-postgres -- cargo test`"
        )
    })
}

/// The name of a template that holds at least these modules, which is made if it is not there.
async fn template(server: &str, needed: &[&str]) -> String {
    let mut sets = migrations_on_disk();
    if let Some(module) = needed.iter().find(|module| sets.iter().all(|set| set.module != **module)) {
        panic!("the test needs module `{module}`, which has no migrations");
    }
    loop {
        let name = format!("eshopz_tpl_{}", migrate::fingerprint(&sets));
        match make_template(server, &name, sets.clone()).await {
            Ok(()) => return name,
            Err(MigrateError::Failed { id, file, detail }) if !needed.contains(&id.module.as_str()) => {
                eprintln!("test database without module {}: {id} failed in {file}: {detail}", id.module);
                sets.retain(|set| set.module != id.module);
            }
            Err(error) => panic!("no template database: {error}"),
        }
    }
}

/// The template grows under another name, so that one cut off halfway is never taken for whole.
async fn make_template(server: &str, name: &str, sets: Vec<ModuleMigrations>) -> Result<(), MigrateError> {
    let admin = connect(server).await;
    if exists(&admin, name).await {
        return Ok(());
    }
    run(&admin, TEMPLATE_LOCK).await;
    if exists(&admin, name).await {
        return Ok(());
    }
    let growing = format!("{name}_tmp");
    run(&admin, &format!("DROP DATABASE IF EXISTS {growing} WITH (FORCE)")).await;
    run(&admin, &format!("CREATE DATABASE {growing}")).await;
    Migrator::new(&with_database(server, &growing), sets)?.up(&mut |_| {}).await?;
    wait_until_left(&admin, &growing).await;
    run(&admin, &format!("ALTER DATABASE {growing} RENAME TO {name}")).await;
    // Nobody may stand in it while it is cloned, and autovacuum would.
    run(&admin, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    Ok(())
}

/// The migrator's connection ends a moment after the migrator.
async fn wait_until_left(admin: &Client, name: &str) {
    for _ in 0..500 {
        let row = admin.query_one("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", &[&name]).await;
        if row.is_ok_and(|row| row.get::<_, i64>(0) == 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn exists(admin: &Client, name: &str) -> bool {
    admin
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
        .await
        .unwrap_or_else(|error| panic!("test server: {error}"))
        .is_some()
}

async fn run(admin: &Client, statement: &str) {
    if let Err(error) = admin.batch_execute(statement).await {
        let told = error.as_db_error().map_or_else(|| error.to_string(), |told| told.message().to_owned());
        panic!("test server: {told}: {statement}");
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("no connection to the test server at {url}: {error}"));
    tokio::spawn(connection);
    client
}

/// The same server and user, another database.
fn with_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').map_or((server, None), |(address, query)| (address, Some(query)));
    let authority = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = authority.split('/').next().unwrap_or(authority);
    let scheme = address.strip_suffix(authority).unwrap_or("postgres://");
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}{host}/{name}{query}")
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn only_the_database_changes() {
        for (server, other) in [
            ("postgres://me@%2Ftmp%2Fdb/eshopz", "postgres://me@%2Ftmp%2Fdb/x"),
            ("postgres://me:pw@host:5433", "postgres://me:pw@host:5433/x"),
            ("postgresql://host/a?sslmode=disable", "postgresql://host/x?sslmode=disable"),
        ] {
            assert_eq!(with_database(server, "x"), other);
        }
    }
}
