//! Another password, another role, another database, while statements run: nobody notices.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use diesel::sql_types::Text;
use eshopz_platform::db::{Db, DbConfig, Single as _, StoreError};
use eshopz_platform::embedded::{Embedded, EmbeddedConfig};
use tokio_postgres::{Client, NoTls};

const ROOM: usize = 4;

/// A server of this test's own, which asks the role `app` for its password.
struct Server {
    embedded: Option<Embedded>,
    folder: PathBuf,
    owner: Client,
}

#[derive(diesel::QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

impl Server {
    async fn start(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let config =
            EmbeddedConfig { data_dir: folder.join("postgres"), bin_dir: None, fsync: false, max_connections: 40 };
        let embedded = Embedded::start(config).await.unwrap_or_else(|error| panic!("{error}"));
        let (owner, connection) = tokio_postgres::connect(embedded.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let rules = "local all app scram-sha-256\nlocal all all trust\n";
        std::fs::write(embedded.data_dir().join("pg_hba.conf"), rules).unwrap();
        owner
            .batch_execute(
                "SELECT pg_reload_conf(); \
                 CREATE ROLE payments NOLOGIN; CREATE SCHEMA payments; GRANT USAGE ON SCHEMA payments TO payments; \
                 CREATE ROLE app LOGIN PASSWORD 'first' IN ROLE payments; \
                 CREATE ROLE other LOGIN IN ROLE payments",
            )
            .await
            .unwrap();
        Self { embedded: Some(embedded), folder, owner }
    }

    fn config(&self, who: &str) -> DbConfig {
        let owner = self.embedded.as_ref().unwrap().url();
        let url = owner.replacen("eshopz@", &format!("{who}@"), 1);
        DbConfig { url, reader_url: None, max_connections: ROOM, acquire_timeout: Duration::from_secs(30) }
    }

    /// How many sessions a role has.
    async fn sessions(&self, role: &str) -> i64 {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()";
        self.owner.query_one(query, &[&role]).await.unwrap().get(0)
    }

    async fn until_sessions(&self, role: &str, wanted: impl Fn(i64) -> bool) {
        for _ in 0..1_000 {
            if wanted(self.sessions(role).await) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{role} has {} sessions", self.sessions(role).await);
    }

    async fn stop(mut self) {
        self.embedded.take().unwrap().stop_and_remove().await.unwrap();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

async fn whoami(db: &Db) -> Result<String, StoreError> {
    // Not for the whole file: it has a `load`, and so have atomics.
    let mut conn = db.conn().await?;
    let row: Word = diesel::sql_query("SELECT session_user::text AS word").single(&mut conn).await?;
    Ok(row.word)
}

/// Statements without a pause, by twice as many tasks as there are connections.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn on(db: &Db) -> Self {
        let (stop, done, failed) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::default());
        let tasks = (0..2 * ROOM).map(|_| {
            let (db, stop, done, failed) =
                (db.clone(), Arc::clone(&stop), Arc::clone(&done), Arc::<AtomicU64>::clone(&failed));
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    match whoami(&db).await {
                        Ok(_) => done.fetch_add(1, Ordering::SeqCst),
                        Err(error) => {
                            eprintln!("{error}");
                            failed.fetch_add(1, Ordering::SeqCst)
                        }
                    };
                }
            })
        });
        Self { tasks: tasks.collect(), stop, done, failed }
    }

    /// Waits until it has gone on for a while.
    async fn goes_on(&self) {
        let before = self.done.load(Ordering::SeqCst);
        while self.done.load(Ordering::SeqCst) < before + 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The number of statements that failed.
    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.failed.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_changes_under_load() {
    let server = Server::start("password").await;
    let db = Db::new("payments", &server.config("app:first")).unwrap();
    let load = Load::on(&db);
    load.goes_on().await;
    // None may be on its way with the first password when that is no more.
    server.until_sessions("app", |open| usize::try_from(open).unwrap() == ROOM).await;
    let pids = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'";

    server.owner.batch_execute("ALTER ROLE app PASSWORD 'second'").await.unwrap();
    load.goes_on().await;
    db.reconfigure(&server.config("app:second")).unwrap();
    load.goes_on().await;
    assert_eq!(load.failed.load(Ordering::SeqCst), 0);

    // And now every connection has to be opened anew. One that was told to end can be lent once more, in the moment
    // before that is noticed, so that it fails twice.
    server.until_sessions("app", |open| usize::try_from(open).unwrap() == ROOM).await;
    let killed = server.owner.query(pids, &[]).await.unwrap().len();
    load.goes_on().await;
    let failed = load.end().await;
    assert!(failed <= 2 * u64::try_from(killed).unwrap(), "{failed} failed, {killed} were killed");

    // The old password was indeed of no use any more.
    let old = Db::new("payments", &server.config("app:first")).unwrap();
    let error = whoami(&old).await.unwrap_err().to_string();
    assert!(error.contains("password authentication failed") && !error.contains("first"), "{error}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_the_old_url_go_away() {
    let server = Server::start("url").await;
    let db = Db::new("payments", &server.config("app:first")).unwrap();
    let load = Load::on(&db);
    load.goes_on().await;
    let held = db.conn().await.unwrap();
    db.reconfigure(&server.config("other")).unwrap();
    server.owner.batch_execute("ALTER ROLE app NOLOGIN").await.unwrap();
    load.goes_on().await;
    server.until_sessions("app", |sessions| sessions == 1).await;
    drop(held);
    server.until_sessions("app", |sessions| sessions == 0).await;
    assert_eq!((whoami(&db).await.unwrap().as_str(), load.end().await), ("other", 0));
    assert_eq!(db.session_config().get_user(), Some("other"));

    // With nobody asking for anything, idle ones go at once.
    server.owner.batch_execute("ALTER ROLE app LOGIN").await.unwrap();
    assert!(server.sessions("other").await > 0);
    db.reconfigure(&server.config("app:first")).unwrap();
    server.until_sessions("other", |sessions| sessions == 0).await;

    // The same again closes nothing; one that cannot be read changes nothing.
    assert_eq!(whoami(&db).await.unwrap(), "app");
    db.reconfigure(&server.config("app:first")).unwrap();
    let bad = DbConfig { url: "postgres://other@h:port/x".to_owned(), ..server.config("app:first") };
    assert!(db.reconfigure(&bad).is_err());
    assert_eq!((server.sessions("app").await, whoami(&db).await.unwrap().as_str()), (1, "app"));
    server.stop().await;
}

#[tokio::test]
async fn whoever_holds_a_connection_of_its_own_is_told() {
    let server = Server::start("told").await;
    let db = Db::new("payments", &server.config("app:first")).unwrap();
    let told = db.moved();
    db.reconfigure(&server.config("app:first")).unwrap();
    assert!(futures::FutureExt::now_or_never(db.moved()).is_none());
    db.reconfigure(&server.config("other")).unwrap();
    tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    server.stop().await;
}
