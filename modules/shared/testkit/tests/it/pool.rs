//! Connections on loan, and what those leave behind who are dropped with one.

use std::time::{Duration, Instant};

use diesel::prelude::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::Integer;
use diesel_async::{AsyncConnection as _, SimpleAsyncConnection as _};
use eshopz_platform::db::{Conn, Db, DbConfig, Single as _, StoreError};
use eshopz_testkit::db::TestDb;
use eshopz_testkit::postgres::Postgres;

/// Long after a dropped transaction should be gone, and long before the server ends it by itself.
const SOON: Duration = Duration::from_secs(5);

async fn in_transaction(db: &Db) {
    let mut conn = db.conn().await.unwrap();
    let done: Result<(), StoreError> = conn
        .transaction(async |conn| {
            conn.batch_execute("LOCK TABLE payments IN EXCLUSIVE MODE").await?;
            std::future::pending().await
        })
        .await;
    done.unwrap();
}

#[tokio::test]
async fn whoever_is_dropped_in_a_transaction_holds_no_lock() {
    let test = TestDb::new(&["payment"]).await;
    let (db, owner) = (test.db("payments"), test.owner().await);
    let locked = "SELECT 1 FROM pg_locks WHERE relation = 'payments.payments'::regclass AND mode = 'ExclusiveLock'";
    {
        let mut dropped = std::pin::pin!(in_transaction(&db));
        while owner.query(locked, &[]).await.unwrap().is_empty() {
            assert!(tokio::time::timeout(Duration::from_millis(10), &mut dropped).await.is_err(), "it has ended");
        }
    }
    let since = Instant::now();
    while !owner.query(locked, &[]).await.unwrap().is_empty() {
        assert!(since.elapsed() < SOON, "its transaction is still open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    db.conn().await.unwrap().batch_execute("SELECT 1").await.unwrap();
}

/// Holds a lock, and waits for another that somebody else has.
async fn waits_in_transaction(db: &Db) {
    let mut conn = db.conn().await.unwrap();
    let done: Result<(), StoreError> = conn
        .transaction(async |conn| {
            conn.batch_execute("LOCK TABLE payments IN EXCLUSIVE MODE").await?;
            Ok(conn.batch_execute("LOCK TABLE transactions IN EXCLUSIVE MODE").await?)
        })
        .await;
    done.unwrap();
}

#[tokio::test]
async fn whoever_is_dropped_while_it_waits_for_a_lock_holds_none() {
    let test = TestDb::new(&["payment"]).await;
    let (db, owner) = (test.db("payments"), test.owner().await);
    owner.batch_execute("BEGIN; LOCK TABLE payments.transactions IN EXCLUSIVE MODE").await.unwrap();
    let looker = test.owner().await;
    let waits = "SELECT 1 FROM pg_locks WHERE relation = 'payments.transactions'::regclass AND NOT granted";
    let locked = "SELECT 1 FROM pg_locks WHERE relation = 'payments.payments'::regclass AND mode = 'ExclusiveLock'";
    {
        let mut dropped = std::pin::pin!(waits_in_transaction(&db));
        while looker.query(waits, &[]).await.unwrap().is_empty() {
            assert!(tokio::time::timeout(Duration::from_millis(10), &mut dropped).await.is_err(), "it has ended");
        }
    }
    let since = Instant::now();
    while !looker.query(locked, &[]).await.unwrap().is_empty() {
        assert!(since.elapsed() < SOON, "it waits on, with its lock");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    id: i32,
}

/// The server's process at the other end.
async fn backend(conn: &mut Conn) -> i32 {
    let backend: Backend = sql_query("SELECT pg_backend_pid() AS id").single(conn).await.unwrap();
    backend.id
}

/// Something that is done with a pool, by a thread that says where its connections are driven.
fn worker<T: Send + 'static>(db: &Db, work: impl AsyncFnOnce(Db) -> T + Send + 'static) -> T {
    let db = db.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            eshopz_platform::home::settle();
            work(db).await
        })
    });
    thread.join().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_lent_to_whom_it_is_at_home_with() {
    let test = TestDb::new(&["payment"]).await;
    let db = Db::new("payments", &DbConfig { max_connections: 3, ..test.config() }).unwrap();
    let elsewhere = {
        let (mut one, mut two) = (db.conn().await.unwrap(), db.conn().await.unwrap());
        [backend(&mut one).await, backend(&mut two).await]
    };
    let (own, borrowed) = worker(&db, async |db| {
        let own = backend(&mut db.conn().await.unwrap()).await;
        for _ in 0..3 {
            assert_eq!(backend(&mut db.conn().await.unwrap()).await, own);
        }
        // Two at once: the second moves here, and the third, a moment later, is lent as it is.
        let (mut one, mut two) = (db.conn().await.unwrap(), db.conn().await.unwrap());
        let mut three = db.conn().await.unwrap();
        let all = [backend(&mut one).await, backend(&mut two).await, backend(&mut three).await];
        assert_eq!(all[0], own);
        (own, all[2])
    });
    assert!(!elsewhere.contains(&own), "there was room for one more");
    assert!(elsewhere.contains(&borrowed), "{elsewhere:?} {borrowed}");
    assert_eq!(db.pool_status().0, 3);
}

/// Takes and gives back the pool's only connection elsewhere than in the present worker.
async fn lent_elsewhere(db: &Db) -> i32 {
    let db = db.clone();
    let elsewhere = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { backend(&mut db.conn().await.unwrap()).await })
    });
    // Not only `join`: this thread drives what the other one is lent.
    while !elsewhere.is_finished() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    elsewhere.join().unwrap()
}

/// A worker ends before what is in the background does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_worker_is_lent_nothing_of_one_that_is_about_to_end() {
    let test = TestDb::new(&["payment"]).await;
    let db = Db::new("payments", &DbConfig { max_connections: 1, ..test.config() }).unwrap();
    let (moved, mut conn) = worker(&db, async |db| {
        let own = backend(&mut db.conn().await.unwrap()).await;
        // It moves once.
        let moved = lent_elsewhere(&db).await;
        assert_ne!(moved, own);
        let mut conn = db.conn().await.unwrap();
        assert_eq!(backend(&mut conn).await, moved);
        (moved, conn)
    });
    // The worker was lent what is driven here, and that is still good.
    assert_eq!(backend(&mut conn).await, moved);
    drop(conn);

    let db = Db::new("payments", &DbConfig { max_connections: 1, ..test.config() }).unwrap();
    let conn = worker(&db, async |db| db.conn().await.unwrap());
    drop(conn);
    // It was driven by the worker, which has ended: it is no good to anybody any more.
    backend(&mut db.conn().await.unwrap()).await;

    let db = Db::new("payments", &DbConfig { max_connections: 1, ..test.config() }).unwrap();
    let (own, moved) = worker(&db, async |db| {
        eshopz_platform::home::leave();
        let own = backend(&mut db.conn().await.unwrap()).await;
        (own, [lent_elsewhere(&db).await, lent_elsewhere(&db).await])
    });
    assert_ne!(own, moved[0]);
    assert_eq!(moved[0], moved[1]);
    assert_eq!(backend(&mut db.conn().await.unwrap()).await, moved[0]);
    assert_eq!(db.pool_status(), (1, 1));
}

/// As an address does after a failover that it has not heard of.
#[tokio::test]
async fn a_standby_is_not_taken_for_the_writer() {
    let folder = std::env::temp_dir().join(format!("eshopz-standby-{}", std::process::id()));
    let mut postgres = Postgres::start(&folder).await.unwrap();
    let test = TestDb::on(postgres.url().to_owned(), &["payment"]).await;
    let db = test.db("payments");
    drop(db.conn().await.unwrap());
    postgres.stop_in_order();
    postgres.ended().await.unwrap();
    let signal = folder.join("postgres").join("standby.signal");
    std::fs::write(&signal, "").unwrap();
    postgres.start_again().await.unwrap();
    let refused = db.conn().await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("standby"), "{refused}");
    postgres.stop_in_order();
    postgres.ended().await.unwrap();
    std::fs::remove_file(signal).unwrap();
    postgres.start_again().await.unwrap();
    drop(db.conn().await.unwrap());
    postgres.stop().await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = Integer)]
    n: i32,
}

#[tokio::test]
async fn what_is_not_committed_is_not_returned() {
    let test = TestDb::new(&["payment"]).await;
    let db = test.db("payments");
    let mut conn = db.conn().await.unwrap();
    // PostgreSQL looks at the commit for twins, when it has sent the row already.
    conn.batch_execute("CREATE TEMPORARY TABLE kept (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)").await.unwrap();
    let insert = || sql_query("INSERT INTO kept VALUES (1) RETURNING n");
    let first: Number = insert().single(&mut conn).await.unwrap();
    assert_eq!(first.n, 1);
    let twin = insert().single::<Number>(&mut conn).await.map(|twin| twin.n);
    assert!(matches!(twin, Err(diesel::result::Error::DatabaseError(..))), "{twin:?}");
}
