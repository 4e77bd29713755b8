//! A database per test: whole, apart from the others, and gone afterwards.

use eshopz_testkit::db::{TestDb, migrations_on_disk};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_apart_and_gone_afterwards() {
    let making: Vec<_> = (0..12).map(|_| tokio::spawn(TestDb::new(&[]))).collect();
    let mut made = Vec::new();
    for one in making {
        made.push(one.await.unwrap());
    }
    made[0].owner().await.batch_execute("CREATE TABLE public.planted ()").await.unwrap();
    let other = made[1].owner().await;
    assert!(other.batch_execute("TABLE public.planted").await.is_err());

    let names: Vec<String> = made.iter().map(|db| db.url.rsplit('/').next().unwrap().to_owned()).collect();
    drop(made);
    let observer = TestDb::new(&[]).await;
    let listed = "SELECT 1 FROM pg_database WHERE datname = ANY($1)";
    let left = observer.owner().await.query(listed, &[&names]).await.unwrap();
    assert!(left.is_empty());
}

/// The convention of migrations/README.md, for every module that there is.
#[tokio::test]
async fn each_schema_is_used_in_its_own_role() {
    let schemas =
        [("user", "users"), ("product", "products"), ("cart", "carts"), ("payment", "payments"), ("order", "orders")];
    let sets = migrations_on_disk();
    let modules: Vec<&str> = sets.iter().map(|set| set.module.as_str()).collect();
    let test = TestDb::new(&modules).await;
    for set in &sets {
        let (_, schema) = schemas.iter().find(|(module, _)| *module == set.module).expect("a schema per module");
        let (client, connection) =
            test.db(schema).session_config().connect(tokio_postgres::NoTls).await.expect("a session in the role");
        tokio::spawn(connection);
        let row = client.query_one("SELECT current_user::text, current_schema()::text", &[]).await.unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), (*schema, *schema));
    }
}
