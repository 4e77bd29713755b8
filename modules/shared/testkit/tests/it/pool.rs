//! Connections on loan, and what those leave behind who are dropped with one.

use std::time::{Duration, Instant};

use diesel_async::{AsyncConnection as _, SimpleAsyncConnection as _};
use eshopz_platform::db::{Db, StoreError};
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
