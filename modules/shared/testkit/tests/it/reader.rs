//! Reads by a replica, and by the writer when there is none to be had. Another database stands for a
//! replica that is behind: whatever the writer has, it has not.

use std::time::{Duration, Instant};

use diesel::sql_types::Text;
use diesel_async::RunQueryDsl as _;
use diesel_async::pooled_connection::PoolableConnection as _;
use eshopz_kernel::{Fault, FaultKind};
use eshopz_platform::db::{Conn, Db, DbConfig, Single as _, StoreError};
use eshopz_testkit::db::TestDb;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_postgres::config::Host;

#[derive(diesel::QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

async fn ask(conn: &mut Conn, what: &str) -> Result<String, StoreError> {
    let row: Word = diesel::sql_query(format!("SELECT {what}::text AS word")).single(conn).await?;
    Ok(row.word)
}

/// The name of the database that answers a read.
async fn answers(db: &Db) -> Result<String, Fault> {
    Ok(ask(&mut db.read_conn().await?, "current_database()").await?)
}

fn name(db: &TestDb) -> String {
    db.url.rsplit('/').next().unwrap().to_owned()
}

fn with_reader(writer: &TestDb, reader: &str) -> Db {
    let config = DbConfig { reader_url: Some(reader.to_owned()), max_connections: 4, ..writer.config() };
    Db::new("payments", &config).unwrap()
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, work).await.expect("in time")
}

#[tokio::test]
async fn the_reader_answers_reads_in_the_modules_role_and_takes_no_change() {
    let (writer, replica) = (TestDb::new(&["payment"]).await, TestDb::new(&["payment"]).await);
    let db = with_reader(&writer, &replica.url);
    assert_eq!(answers(&db).await.unwrap(), name(&replica));
    let mut conn = db.read_conn().await.unwrap();
    assert_eq!(ask(&mut conn, "current_user").await.unwrap(), "payments");
    assert_eq!(ask(&mut conn, "current_schema()").await.unwrap(), "payments");
    let change = diesel::sql_query("DELETE FROM payments").execute(&mut conn).await.unwrap_err();
    assert!(change.to_string().contains("read-only transaction"), "{change}");
    assert_eq!(ask(&mut db.conn().await.unwrap(), "current_database()").await.unwrap(), name(&writer));
}

#[tokio::test]
async fn without_a_reader_the_writer_answers() {
    let writer = TestDb::new(&["payment"]).await;
    let db = writer.db("payments");
    assert_eq!(answers(&db).await.unwrap(), name(&writer));
}

#[tokio::test]
async fn a_reader_that_goes_and_comes_back_is_left_and_used_again() {
    let (writer, replica) = (TestDb::new(&["payment"]).await, TestDb::new(&["payment"]).await);
    let db = with_reader(&writer, &replica.url);
    let mut held = db.read_conn().await.unwrap();
    assert_eq!(ask(&mut held, "current_database()").await.unwrap(), name(&replica));

    let owner = writer.owner().await;
    let (gone, back) = (
        format!(
            "ALTER DATABASE {0} ALLOW_CONNECTIONS false; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{0}'",
            name(&replica)
        ),
        format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", name(&replica)),
    );
    owner.batch_execute(&gone).await.unwrap();
    let broken = Fault::from(ask(&mut held, "1").await.unwrap_err());
    assert_eq!((broken.kind, broken.retry_after), (FaultKind::Unavailable, Some(1)), "broken in the middle");
    // The server says that it ends the session before it closes the connection.
    within(Duration::from_secs(5), async {
        while !held.is_broken() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    drop(held);
    for _ in 0..20 {
        assert_eq!(answers(&db).await.unwrap(), name(&writer));
    }
    owner.batch_execute(&back).await.unwrap();
    within(Duration::from_secs(20), async {
        while answers(&db).await.unwrap() != name(&replica) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_never_answers_costs_one_read_a_moment() {
    let writer = TestDb::new(&["payment"]).await;
    // It takes connections and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let db = with_reader(&writer, &format!("postgres://eshopz@{}/eshopz", mute.local_addr().unwrap()));
    db.conn().await.unwrap();
    let begun = Instant::now();
    let reads = futures::future::join_all((0..200).map(|_| answers(&db)));
    for answered in within(Duration::from_secs(10), reads).await {
        assert_eq!(answered.unwrap(), name(&writer));
    }
    assert!(begun.elapsed() >= Duration::from_millis(200), "it was waited for");
    // The gate is closed now: none of these waits, but for at most one per second.
    let begun = Instant::now();
    for _ in 0..40 {
        answers(&db).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// A way to the server that falls silent when told to, with all its connections open. Returns where it begins.
async fn silenceable(db: &TestDb, silent: watch::Receiver<bool>) -> String {
    let config: tokio_postgres::Config = db.url.parse().unwrap();
    let [Host::Unix(folder)] = config.get_hosts() else { panic!("not a socket: {:?}", config.get_hosts()) };
    let socket = folder.join(format!(".s.PGSQL.{}", config.get_ports()[0]));
    let way = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("host=127.0.0.1 port={} user=eshopz dbname={}", way.local_addr().unwrap().port(), name(db));
    tokio::spawn(async move {
        while let Ok((stream, _)) = way.accept().await {
            let server = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(pass(stream, server, silent.clone()));
        }
    });
    url
}

async fn pass(mut stream: TcpStream, mut server: UnixStream, mut silent: watch::Receiver<bool>) {
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut stream, &mut server) => return,
        _ = async { silent.wait_for(|silent| *silent).await.is_ok() } => {}
    }
    // Both ends stay open.
    std::future::pending().await
}

#[tokio::test]
async fn idle_connections_that_fell_silent_are_not_lent() {
    let (writer, replica) = (TestDb::new(&["payment"]).await, TestDb::new(&["payment"]).await);
    let (silence, silent) = watch::channel(false);
    let db = with_reader(&writer, &silenceable(&replica, silent.clone()).await);
    // All four connections are there, and idle.
    for _ in 0..2 {
        let all = futures::future::join_all((0..4).map(|_| async { db.read_conn().await.unwrap() })).await;
        drop(all);
    }
    assert_eq!(answers(&db).await.unwrap(), name(&replica));
    silence.send_replace(true);
    // As long as it takes until a connection counts as idle.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1_200) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(within(Duration::from_secs(2), answers(&db)).await.unwrap(), name(&writer));
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_reader_that_is_all_in_use_is_no_bottleneck() {
    let (writer, replica) = (TestDb::new(&["payment"]).await, TestDb::new(&["payment"]).await);
    let db = with_reader(&writer, &replica.url);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(db.read_conn().await.unwrap());
    }
    assert_eq!(within(Duration::from_secs(5), answers(&db)).await.unwrap(), name(&writer));
}
