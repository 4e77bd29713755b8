//! Connections on loan, and what those leave behind who are dropped with one.

use std::time::{Duration, Instant};

use diesel::prelude::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::Integer;
use diesel_async::{AsyncConnection as _, SimpleAsyncConnection as _};
use eshopz_platform::db::{Db, Single as _, StoreError};
use eshopz_testkit::db::TestDb;

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
