//! One key in two processes: each has an `InFlight` of its own, so only the key's row is between them.

use std::time::Duration;

use diesel_async::AsyncConnection as _;
use eshopz_kernel::Fault;
use eshopz_platform::db::{Db, StoreError};
use eshopz_platform::http::{Answer, HttpFault, Reply};
use eshopz_platform::idempotency::{Claim, IdempotencyKey, InFlight, once, record};
use eshopz_testkit::db::TestDb;
use tokio::sync::oneshot;
use uuid::Uuid;

fn claim_for(request: &str) -> Claim {
    Claim::new("user:ada", IdempotencyKey("k".to_owned()), "buy", &request).unwrap()
}

fn claim() -> Claim {
    claim_for("a mug")
}

async fn write_key(db: &Db, claim: &Claim, resource: Uuid) -> bool {
    record(&mut db.conn().await.unwrap(), claim, resource).await.map_err(StoreError::from).unwrap()
}

fn taken() -> Answer {
    Err(HttpFault(Fault::conflict("idempotency_in_progress", "The first still runs.")))
}

/// Answers what is kept under the key.
async fn kept(db: &Db) -> Reply {
    let unreached = |_, _| async { Answer::Err(Fault::internal("done again").into()) };
    once(db, &InFlight::default(), claim(), unreached).await.unwrap()
}

#[tokio::test]
async fn a_twin_that_comes_too_late_does_not_answer_for_the_first() {
    let test = TestDb::new(&["payment"]).await;
    let db = test.db("payments");
    // One purchase for both, as of one cart; and one that each makes anew, as an attempt to pay.
    for (ours, theirs) in [(Uuid::from_u128(1), Uuid::from_u128(1)), (Uuid::from_u128(1), Uuid::from_u128(2))] {
        let (twin_looked, looked) = oneshot::channel::<()>();
        let (written, first_wrote) = oneshot::channel::<()>();
        let (twin_left, left) = oneshot::channel::<()>();
        let (pool, other) = (db.clone(), db.clone());
        let (here, there) = (InFlight::default(), InFlight::default());
        let first = once(&db, &here, claim(), move |claim, _| async move {
            looked.await.unwrap();
            assert!(write_key(&pool, &claim, ours).await);
            written.send(()).unwrap();
            left.await.unwrap();
            Ok(Reply::ok(&"bought")?)
        });
        let twin = async {
            let answer = once(&db, &there, claim(), move |claim, _| async move {
                twin_looked.send(()).unwrap();
                first_wrote.await.unwrap();
                assert!(!write_key(&other, &claim, theirs).await);
                taken()
            })
            .await;
            twin_left.send(()).unwrap();
            answer
        };
        let (first, twin) = tokio::join!(first, twin);
        assert_eq!(first.unwrap().body(), br#""bought""#);
        assert_eq!(twin.unwrap_err().0.code, "idempotency_in_progress");
        assert_eq!((kept(&db).await.status().as_u16(), kept(&db).await.body()), (200, &br#""bought""#[..]));
        test.owner().await.batch_execute("TRUNCATE payments.idempotency_keys").await.unwrap();
    }
}

#[tokio::test]
async fn another_request_does_not_take_a_running_key_over() {
    let test = TestDb::new(&["payment"]).await;
    let db = test.db("payments");
    let resource = Uuid::now_v7();
    assert!(write_key(&db, &claim(), resource).await);
    assert!(!write_key(&db, &claim_for("two mugs"), resource).await);
}

#[tokio::test]
async fn an_interrupted_attempt_is_gone_on_with_and_answered() {
    let test = TestDb::new(&["payment"]).await;
    let db = test.db("payments");
    let resource = Uuid::now_v7();
    assert!(write_key(&db, &claim(), resource).await);
    let past = "UPDATE payments.idempotency_keys SET created_at = now() - interval '1 minute'";
    test.owner().await.batch_execute(past).await.unwrap();
    let pool = db.clone();
    let work = move |claim, resumed: Option<Uuid>| async move {
        assert_eq!(resumed, Some(resource));
        assert!(write_key(&pool, &claim, resource).await);
        Ok(Reply::ok(&"bought")?)
    };
    assert_eq!(once(&db, &InFlight::default(), claim(), work).await.unwrap().body(), br#""bought""#);
    assert_eq!(kept(&db).await.body(), br#""bought""#);
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day_however_long_ago_its_work_began() {
    let test = TestDb::new(&["payment"]).await;
    let db = test.db("payments");
    let resource = Uuid::now_v7();
    assert!(write_key(&db, &claim(), resource).await);
    let past = "UPDATE payments.idempotency_keys SET created_at = now() - interval '25 hours'";
    test.owner().await.batch_execute(past).await.unwrap();
    // It goes on without writing the key's row again, as a refund does.
    let work = move |_, resumed| async move {
        assert_eq!(resumed, Some(resource));
        Ok(Reply::ok(&"bought")?)
    };
    once(&db, &InFlight::default(), claim(), work).await.unwrap();
    assert_eq!(kept(&db).await.body(), br#""bought""#);
}

#[tokio::test]
async fn who_was_rolled_back_and_came_too_late_does_not_answer_for_a_twin() {
    let test = TestDb::new(&["payment"]).await;
    let db = test.db("payments");
    let (purchase, pool, here) = (Uuid::from_u128(1), db.clone(), InFlight::default());
    let late = once(&db, &here, claim(), move |claim, _| async move {
        // Its transaction is rolled back, and a twin in another process has the key by then.
        let mut conn = pool.conn().await.unwrap();
        let undone = conn.transaction::<(), diesel::result::Error, _>(async |conn| {
            assert!(record(conn, &claim, purchase).await?);
            Err(diesel::result::Error::RollbackTransaction)
        });
        undone.await.unwrap_err();
        assert!(write_key(&pool, &claim_for("a mug"), purchase).await);
        assert!(!write_key(&pool, &claim, purchase).await);
        taken()
    });
    late.await.unwrap_err();
    let answered = "SELECT 1 FROM payments.idempotency_keys WHERE status IS NOT NULL";
    assert!(test.owner().await.query(answered, &[]).await.unwrap().is_empty(), "the twin's key has an answer");
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_is_given_all_the_same() {
    let test = TestDb::new(&["payment"]).await;
    let db = test.db("payments");
    let (pool, owner, in_flight) = (db.clone(), test.owner().await, InFlight::default());
    let work = move |claim, _| async move {
        assert!(write_key(&pool, &claim, Uuid::now_v7()).await);
        owner.batch_execute("REVOKE UPDATE ON payments.idempotency_keys FROM payments").await.unwrap();
        Ok(Reply::ok(&"bought")?)
    };
    let answered = once(&db, &in_flight, claim(), work);
    let answer = tokio::time::timeout(Duration::from_secs(30), answered).await.unwrap();
    assert_eq!(answer.unwrap().body(), br#""bought""#);
}

#[tokio::test]
async fn a_503_is_no_answer_and_the_same_key_goes_on_at_once() {
    let test = TestDb::new(&["payment"]).await;
    let (db, in_flight) = (test.db("payments"), InFlight::default());
    let resource = Uuid::now_v7();
    for resumed in [None, Some(resource), Some(resource)] {
        let pool = db.clone();
        let work = move |claim, found| async move {
            assert_eq!(found, resumed);
            assert!(write_key(&pool, &claim, resource).await);
            Answer::Err(Fault::unavailable("The neighbour is away.", 1).into())
        };
        assert_eq!(once(&db, &in_flight, claim(), work).await.unwrap_err().0.code, "unavailable");
    }
    let pool = db.clone();
    let work = move |claim, _| async move {
        assert!(write_key(&pool, &claim, resource).await);
        Ok(Reply::ok(&"bought")?)
    };
    assert_eq!(once(&db, &in_flight, claim(), work).await.unwrap().body(), br#""bought""#);
    assert_eq!(kept(&db).await.body(), br#""bought""#);
}

/// As at a stop: the worker has no connection left, so its runtime ends, and the client is not waiting.
#[tokio::test]
async fn the_work_outlives_the_worker_whose_client_hung_up() {
    let test = TestDb::new(&["payment"]).await;
    let db = test.db("payments");
    let (began, begun) = oneshot::channel::<()>();
    let (go_on, going_on) = oneshot::channel::<()>();
    let pool = db.clone();
    let worker = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (ours, in_flight) = (pool.clone(), InFlight::default());
        let work = move |claim, _| async move {
            began.send(()).unwrap();
            going_on.await.unwrap();
            assert!(write_key(&ours, &claim, Uuid::now_v7()).await);
            Ok(Reply::ok(&"bought")?)
        };
        runtime.block_on(async {
            tokio::select! {
                _ = once(&pool, &in_flight, claim(), work) => panic!("the client hangs up first"),
                _ = begun => {}
            }
        });
    });
    // The pool is driven by this runtime, so it must not be blocked.
    tokio::task::spawn_blocking(move || worker.join().unwrap()).await.unwrap();
    assert_eq!(db.tasks().drained(Duration::ZERO).await, 1);
    go_on.send(()).unwrap();
    assert_eq!(db.tasks().drained(Duration::from_secs(30)).await, 0);
    assert_eq!(kept(&db).await.body(), br#""bought""#);
}
