//! A start from secrets alone.

use eshopz_testkit::db::TestDb;
use serde_json::{Value, json};

use super::logins::Login;
use super::places::{Folder, Store, from_secret};
use crate::support::{MODULES, Shop, text};

#[tokio::test]
async fn a_shop_starts_from_a_secret_alone() {
    let (db, store, folder) = (TestDb::new(&MODULES).await, Store::start(), Folder::new());
    let secret = json!({"database_url": db.url, "ESHOPZ_SECRET_KEY": "0123456789abcdef", "redis_url": "", "logo": "x"});
    store.create("shop/all", &secret.to_string()).await;
    let process = folder.serve("all", &from_secret(&store, "shop/all")).await;
    let shop = Shop::new(process.public(), db, folder.0.join("mail"), 1);
    shop.register("ada@example.com").await;
    let said = folder.said("all");
    assert!(said.contains(r#""key":"logo""#) && !said.contains("0123456789abcdef"), "{said}");

    let status = text(&store.run("shop/all", &["migrate", "status"]));
    assert!(status.contains("applied") && !status.contains("pending"), "{status}");
    let config = store.run("shop/all", &["config"]);
    let config: Value = serde_json::from_slice(&config.stdout).unwrap_or_else(|_| panic!("{}", text(&config)));
    assert_eq!(config["secrets"], "aws:shop/all");
    let from = json!({"ESHOPZ_DATABASE_URL": "the secret shop/all", "ESHOPZ_SECRET_KEY": "the secret shop/all"});
    assert_eq!(config["from_secrets"], from);
    assert_eq!(config["secret_key"], "***");
}

#[tokio::test]
async fn a_member_that_is_no_setting_may_be_anything() {
    let store = Store::start();
    let secret = r#"{"redis_url": "redis://there", "feature": true, "limits": {"a": "hunter2"}, "hosts": ["hunter2"]}"#;
    store.create("shop", secret).await;
    let output = store.run("shop", &["config"]);
    let said = text(&output);
    assert!(output.status.success() && said.contains("redis://there") && !said.contains("hunter2"), "{said}");
    for key in ["feature", "limits", "hosts"] {
        assert!(said.contains(&format!(r#""key":"{key}""#)), "{key}: {said}");
    }
}

#[tokio::test]
async fn what_rds_writes_is_a_database_url() {
    let (db, store, folder) = (TestDb::new(&MODULES).await, Store::start(), Folder::new());
    let password = "p@ss/w?rd%:&é";
    let login = Login::new(&db, password).await;
    let (host, database) = login.place();
    let rds = json!({
        "username": login.name, "password": password, "host": host, "port": 5432, "dbname": database,
        "engine": "postgres", "dbInstanceIdentifier": "shop",
    });
    store.create("rds!db-1", &rds.to_string()).await;
    store.create("keys", &json!({"secret_key": "0123456789abcdef"}).to_string()).await;
    let mut process = folder.serve("all", &from_secret(&store, "rds!db-1,keys")).await;
    assert!(!folder.said("all").contains("WARN"), "{}", process.said());
    assert_eq!(process.terminate().await, 0);
}

#[tokio::test]
async fn a_flag_counts_more_than_a_secret() {
    let store = Store::start();
    store.create("shop", r#"{"database_url": "postgres://theirs:x@there/shop", "redis_url": "redis://there"}"#).await;
    let mut command = store.eshopz("shop", &["config", "--redis-url", "redis://here"]);
    let output = command.env("ESHOPZ_USER_DATABASE_URL", "postgres://ours:y@here/shop").output().unwrap();
    let config: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(config["redis_url"], "redis://here");
    assert_eq!(config["database"]["urls"]["user"], "postgres://ours:***@here/shop");
    assert_eq!(config["database"]["urls"]["cart"], "postgres://theirs:***@there/shop");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("ESHOPZ_REDIS_URL") && !said.contains("redis://"), "{said}");
}

#[tokio::test]
async fn a_secret_that_is_of_no_use_is_one_line() {
    let store = Store::start();
    store.create("list", r#"["hunter2"]"#).await;
    store.create("nested", r#"{"database_url": {"password": "hunter2"}}"#).await;
    store.create("mysql", r#"{"username": "a", "password": "hunter2", "host": "b", "engine": "mysql"}"#).await;
    store.create("hostless", r#"{"database_url": "postgres://a:hunter2@/shop"}"#).await;
    store.create("empty", "{}").await;
    let production = ["serve", "--env", "production", "--payment-gateway", "sandbox"];
    for (secret, arguments, told) in [
        ("none", &["serve"][..], "no secret `none`"),
        ("list", &["verify"], "`list` is not a JSON object"),
        ("nested", &["migrate", "up"], "`database_url` has to be a text"),
        ("mysql", &["config"], "not PostgreSQL"),
        ("hostless", &["serve"], "it names no host"),
        ("empty", &production, "ESHOPZ_DATABASE_URL"),
    ] {
        let output = store.run(secret, arguments);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{secret}: {said}");
        assert!(said.starts_with("eshopz: ") && said.contains(told) && said.lines().count() == 1, "{secret}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let no_region = store.eshopz("none", &["config"]).env_remove("AWS_REGION").output().unwrap();
    assert!(no_region.status.code() == Some(2) && text(&no_region).contains("AWS_REGION"), "{}", text(&no_region));
    let away = store.eshopz("none", &["config"]).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").output().unwrap();
    assert!(away.status.code() == Some(1) && text(&away).contains("cannot be reached"), "{}", text(&away));
    let modules = store.eshopz("none", &["modules"]).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").output().unwrap();
    assert!(modules.status.success(), "{}", text(&modules));
}
