//! The private server: started, shared, killed, and started again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use eshopz_platform::embedded::{Embedded, EmbeddedConfig, EmbeddedError};

/// A folder of one test. Made before the server in it, and so gone after it.
struct Folder(PathBuf);

impl std::ops::Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn folder(name: &str) -> Folder {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    Folder(folder)
}

fn config(folder: &Path) -> EmbeddedConfig {
    EmbeddedConfig { data_dir: folder.join("postgres"), bin_dir: None, fsync: false, max_connections: 20 }
}

async fn start(folder: &Path) -> Embedded {
    Embedded::start(config(folder)).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn connect(server: &Embedded) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(server.url(), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn run(server: &Embedded, statement: &str) {
    connect(server).await.unwrap().batch_execute(statement).await.unwrap();
}

fn kill_9(server: &Embedded) -> u32 {
    let file = std::fs::read_to_string(server.data_dir().join("postmaster.pid")).unwrap();
    let pid: u32 = file.lines().next().unwrap().parse().unwrap();
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    pid
}

/// Leaves it as the last one, which stops it. Another test that starts a program just then has a copy of our share until
/// it has become that program: then it is joined and left once more.
async fn leave(mut server: Embedded, folder: &Path, how: impl AsyncFn(Embedded) -> Result<bool, EmbeddedError>) {
    let began = Instant::now();
    while !how(server).await.unwrap() {
        assert!(began.elapsed() < Duration::from_secs(30), "it is not stopped");
        tokio::time::sleep(Duration::from_millis(5)).await;
        server = start(folder).await;
    }
}

#[tokio::test]
async fn the_first_start_makes_it_and_the_second_is_quick() {
    let folder = folder("first");
    let server = start(&folder).await;
    assert!(server.started_here());
    run(&server, "CREATE TABLE kept AS SELECT lower('ÄÖ') AS word").await;
    leave(server, &folder, Embedded::stop).await;

    let begun = Instant::now();
    let server = start(&folder).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let word = connect(&server).await.unwrap().query_one("SELECT word FROM kept", &[]).await.unwrap();
    assert_eq!(word.get::<_, &str>(0), "äö");
    let log = std::fs::read_to_string(server.log()).unwrap();
    assert!(log.contains("ready to accept connections"), "{log}");
    leave(server, &folder, Embedded::stop_and_remove).await;
    assert!(!folder.join("postgres").exists());
}

#[tokio::test]
async fn the_last_one_out_stops_it() {
    let folder = folder("shared");
    let (one, two) = tokio::join!(start(&folder), start(&folder));
    assert!(one.started_here() != two.started_here());
    let (starter, guest) = if one.started_here() { (one, two) } else { (two, one) };
    assert!(!starter.stop().await.unwrap());
    run(&guest, "SELECT 1").await;
    leave(guest, &folder, Embedded::stop_and_remove).await;
}

#[tokio::test]
async fn after_kill_9_of_the_server_it_starts_again() {
    let folder = folder("killed");
    let server = start(&folder).await;
    run(&server, "CREATE TABLE kept ()").await;
    let busy = connect(&server).await.unwrap();
    let working = tokio::spawn(async move { busy.batch_execute("SELECT pg_sleep(0.3)").await });
    kill_9(&server);
    drop(server);
    let server = start(&folder).await;
    run(&server, "TABLE kept").await;
    assert!(working.await.unwrap().is_err());
    leave(server, &folder, Embedded::stop_and_remove).await;
}

#[tokio::test]
async fn a_pid_that_went_to_another_process_is_no_obstacle() {
    let folder = folder("reused");
    let server = start(&folder).await;
    let data = server.data_dir().to_owned();
    let dead = kill_9(&server);
    drop(server);
    // Both lock files now name a process that lives and is no server: this one.
    for file in [data.join("postmaster.pid"), data.join(".s.PGSQL.5432.lock")] {
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen(&dead.to_string(), &std::process::id().to_string(), 1)).unwrap();
    }
    let server = start(&folder).await;
    run(&server, "SELECT 1").await;
    leave(server, &folder, Embedded::stop_and_remove).await;
}

#[tokio::test]
async fn an_orphan_is_taken_over() {
    let folder = folder("orphan");
    let server = start(&folder).await;
    // As after kill -9 of the shop: the server runs, and nobody has a share in it.
    std::fs::remove_file(folder.join("postgres.users")).unwrap();
    let heir = start(&folder).await;
    assert!(!heir.started_here());
    leave(heir, &folder, Embedded::stop).await;
    assert!(connect(&server).await.is_err());
    drop(server);
    leave(start(&folder).await, &folder, Embedded::stop_and_remove).await;
}

#[tokio::test]
async fn dropping_asks_it_to_end_and_the_next_start_waits_for_that() {
    let folder = folder("dropped");
    drop(start(&folder).await);
    let server = start(&folder).await;
    assert!(server.started_here());
    run(&server, "SELECT 1").await;
    leave(server, &folder, Embedded::stop_and_remove).await;
}

#[tokio::test]
async fn an_initdb_cut_off_halfway_is_done_again() {
    let folder = folder("halfway");
    std::fs::create_dir_all(folder.join("postgres.new.1/base")).unwrap();
    std::fs::create_dir_all(folder.join("postgres")).unwrap();
    let server = start(&folder).await;
    assert!(!folder.join("postgres.new.1").exists());
    leave(server, &folder, Embedded::stop_and_remove).await;
}

#[tokio::test]
async fn a_deep_folder_has_its_socket_elsewhere() {
    let top = folder("deep");
    let folder = top.join("deeper/".repeat(20));
    let server = start(&folder).await;
    assert!(server.url().contains("@%2Ftmp%2Feshopz-"), "{}", server.url());
    run(&server, "SELECT 1").await;
    leave(server, &folder, Embedded::stop_and_remove).await;
}

#[tokio::test]
async fn what_is_in_the_way_is_told_in_one_line() {
    let folder = folder("refused");
    std::fs::create_dir_all(folder.join("postgres")).unwrap();
    std::fs::write(folder.join("postgres/notes.txt"), "mine").unwrap();
    let error = Embedded::start(config(&folder)).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::NotAData(_)), "{error}");

    std::fs::write(folder.join("postgres/PG_VERSION"), "9\n").unwrap();
    let error = Embedded::start(config(&folder)).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::OtherVersion { wanted: 9, .. }), "{error}");

    let nowhere = EmbeddedConfig { bin_dir: Some("/nowhere".into()), ..config(&folder) };
    let error = Embedded::start(nowhere).await.unwrap_err();
    assert!(!error.to_string().contains('\n') && error.to_string().contains("/nowhere"), "{error}");
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let folder = folder("unwilling");
    let impossible = EmbeddedConfig { max_connections: 1, ..config(&folder) };
    let error = Embedded::start(impossible).await.unwrap_err().to_string();
    assert!(error.contains("superuser_reserved_connections") && !error.contains('\n'), "{error}");
}
