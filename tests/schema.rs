//! Migrations up and down, the wall between the schemas, and Diesel's picture of the tables.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use eshopz::modules::Module;
use eshopz_platform::service_secret;
use eshopz_testkit::db::TestDb;
use tokio_postgres::error::SqlState;

use crate::support::{run, text};

const ALL: [&str; 5] = ["user", "product", "cart", "payment", "order"];

async fn dump(db: &TestDb) -> Vec<String> {
    let owner = db.owner().await;
    let rows = owner
        .query(
            "SELECT table_schema || '.' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable \
             FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema', 'public') \
             UNION ALL SELECT schemaname || '.' || indexname || ' ' || indexdef FROM pg_indexes \
             WHERE schemaname NOT IN ('pg_catalog', 'public') \
             UNION ALL SELECT conrelid::regclass::text || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
             WHERE conrelid <> 0 ORDER BY 1",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn migrations_go_up_down_and_up_to_the_same_schema() {
    let db = TestDb::new(&ALL).await;
    let first = dump(&db).await;
    let down = run(&db.url, &["migrate", "down", "--all"], "");
    assert!(down.status.success(), "{}", text(&down));
    assert!(dump(&db).await.iter().all(|line| !line.starts_with("orders.") && !line.starts_with("service.")));
    let plan = run(&db.url, &["migrate", "plan"], "");
    assert!(text(&plan).contains("CREATE TABLE"), "{}", text(&plan));
    assert!(dump(&db).await.iter().all(|line| !line.starts_with("orders.")), "a plan must not run");
    let twins: Vec<_> = (0..2)
        .map(|_| {
            let url = db.url.clone();
            std::thread::spawn(move || run(&url, &["migrate", "up"], ""))
        })
        .collect();
    for twin in twins {
        let output = twin.join().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
    assert_eq!(dump(&db).await, first);
    let status = text(&run(&db.url, &["migrate", "status"], ""));
    assert!(!status.contains("pending") && status.contains("applied"), "{status}");
}

/// A module's role is shown the door of the other four schemas (SQLSTATE 42501).
#[tokio::test]
async fn roles_see_their_own_schema_only() {
    let db = TestDb::new(&ALL).await;
    let owner = db.owner().await;
    for module in Module::ALL {
        for other in Module::ALL {
            let tables = owner
                .query(
                    "SELECT table_name::text FROM information_schema.tables WHERE table_schema = $1",
                    &[&other.schema()],
                )
                .await
                .unwrap();
            assert!(!tables.is_empty(), "{other} has no tables");
            owner.batch_execute(&format!("SET ROLE {}", module.schema())).await.unwrap();
            for row in tables {
                let table: String = row.get(0);
                let read = owner.query(&format!("SELECT 1 FROM {}.{table} LIMIT 1", other.schema()), &[]).await;
                if module == other {
                    assert!(read.is_ok(), "{module} cannot read its own {table}: {read:?}");
                } else {
                    let code = read.unwrap_err().code().map(|code| code.code().to_owned());
                    assert_eq!(code.as_deref(), Some("42501"), "{module} reads {other}'s {table}");
                }
            }
            owner.batch_execute("RESET ROLE").await.unwrap();
        }
    }
}

/// What is shared belongs to no module: each may read it, and none may do more.
#[tokio::test]
async fn roles_read_the_shared_secret_and_nobody_else_does() {
    let db = TestDb::new(&ALL).await;
    let owner = db.owner().await;
    let mut seen = Vec::new();
    for module in Module::ALL {
        seen.push(service_secret::read(&db.db(module.schema())).await.unwrap());
        owner.batch_execute(&format!("SET ROLE {}", module.schema())).await.unwrap();
        for statement in [
            "UPDATE service.secrets SET secret = 'x'",
            "INSERT INTO service.secrets (secret) VALUES ('x')",
            "DELETE FROM service.secrets",
            "TRUNCATE service.secrets",
            "CREATE TABLE service.mine (x int)",
        ] {
            let error = owner.batch_execute(statement).await.unwrap_err();
            assert_eq!(error.code().map(SqlState::code), Some("42501"), "{module}: {statement}");
        }
        owner.batch_execute("RESET ROLE").await.unwrap();
    }
    seen.dedup();
    assert!(seen.len() == 1 && seen[0].len() == 64, "{seen:?}");
    assert!(owner.batch_execute("INSERT INTO service.secrets (secret) VALUES ('x')").await.is_err(), "there is one");
    let others =
        "SELECT count(*) FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'service' AND a.grantee = 0";
    assert_eq!(owner.query_one(others, &[]).await.unwrap().get::<_, i64>(0), 0, "everybody may look in");
}

/// What the audit log has said stands, whoever gets hold of a module's role.
#[tokio::test]
async fn the_audit_log_is_only_added_to() {
    let db = TestDb::new(&ALL).await;
    let owner = db.owner().await;
    for module in Module::ALL {
        let log = format!("{}.audit_log", module.schema());
        owner.batch_execute(&format!("SET ROLE {}", module.schema())).await.unwrap();
        let insert = format!(
            "INSERT INTO {log} (id, actor, action, subject_type, subject_id, request_id) \
             VALUES (gen_random_uuid(), 'cli', 'tried', 'log', '1', 'r')"
        );
        owner.batch_execute(&insert).await.unwrap();
        for statement in [
            format!("UPDATE {log} SET actor = 'nobody'"),
            format!("DELETE FROM {log}"),
            format!("TRUNCATE {log}"),
            format!("DROP TABLE {log}"),
            format!("INSERT INTO {log} SELECT * FROM {log} ON CONFLICT (id) DO UPDATE SET actor = 'nobody'"),
        ] {
            let error = owner.batch_execute(&statement).await.unwrap_err();
            assert_eq!(error.code().map(SqlState::code), Some("42501"), "{module}: {statement}");
        }
        owner.batch_execute("RESET ROLE").await.unwrap();
        let kept = owner.query_one(&format!("SELECT count(*) FROM {log} WHERE actor = 'cli'"), &[]).await.unwrap();
        assert_eq!(kept.get::<_, i64>(0), 1, "{module}");
    }
}

/// The secret is made by whichever module comes first and goes with the last, in any order.
#[tokio::test]
async fn the_shared_secret_outlives_all_but_the_last_module() {
    let db = TestDb::new(&ALL).await;
    let owner = db.owner().await;
    let secret = async || {
        let there = owner.query_one("SELECT to_regclass('service.secrets') IS NOT NULL", &[]).await.unwrap();
        if !there.get::<_, bool>(0) {
            return None;
        }
        Some(owner.query_one("SELECT secret FROM service.secrets", &[]).await.unwrap().get::<_, String>(0))
    };
    let migrate = |way: &[&str], module: &str| {
        let output = run(&db.url, &[&["migrate"], way, &["--modules", module]].concat(), "");
        assert!(output.status.success(), "{way:?} {module}: {}", text(&output));
    };
    let first = secret().await;
    for module in ["cart", "user", "order", "product"] {
        migrate(&["down", "--all"], module);
        assert_eq!(secret().await, first, "without {module}");
    }
    migrate(&["up"], "order");
    migrate(&["down", "--all"], "payment");
    assert_eq!(service_secret::read(&db.db("orders")).await.ok(), first);
    assert!(service_secret::read(&db.db("payments")).await.is_err(), "it may still read");
    migrate(&["down", "--all"], "order");
    assert_eq!(secret().await, None);
    migrate(&["up"], "cart");
    let anew = secret().await;
    assert!(anew.is_some() && anew != first);
    assert_eq!(service_secret::read(&db.db("carts")).await.ok(), anew);
}

#[tokio::test]
async fn no_foreign_key_crosses_a_schema() {
    let db = TestDb::new(&ALL).await;
    let crossing = db
        .owner()
        .await
        .query(
            "SELECT k.conname::text FROM pg_constraint k JOIN pg_class a ON a.oid = k.conrelid \
             JOIN pg_class b ON b.oid = k.confrelid WHERE k.contype = 'f' AND a.relnamespace <> b.relnamespace",
            &[],
        )
        .await
        .unwrap();
    assert!(crossing.is_empty());
}

/// Table → column → (Diesel's type, nullable), read from a module's `schema.rs`.
fn drawn(module: &str) -> BTreeMap<String, BTreeMap<String, (String, bool)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("modules").join(module).join("src/schema.rs");
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut tables: BTreeMap<String, BTreeMap<String, (String, bool)>> = BTreeMap::new();
    let (mut table, mut renamed) = (String::new(), None);
    let is_code = |line: &&str| !line.starts_with("//") && !line.contains('!');
    for line in text.lines().map(str::trim).filter(is_code) {
        if let Some(name) = line.strip_prefix("#[sql_name = \"") {
            renamed = Some(name.trim_end_matches("\"]").to_owned());
        } else if let Some((column, kind)) = line.split_once(" -> ") {
            let kind = kind.trim_end_matches(',');
            let inner = kind.strip_prefix("Nullable<").and_then(|rest| rest.strip_suffix('>'));
            let kind = match inner.unwrap_or(kind) {
                "Int8" => "BigInt",
                "Int4" => "Integer",
                "Bytea" => "Binary",
                other => other,
            };
            let column = renamed.take().unwrap_or_else(|| column.trim_start_matches("r#").to_owned());
            tables.entry(table.clone()).or_default().insert(column, (kind.to_owned(), inner.is_some()));
        } else if line.ends_with('{') && line.contains('(') {
            table = line.split('(').next().unwrap_or_default().trim().to_owned();
        }
    }
    tables
}

/// Every table and column that Diesel was told of is there, with that type.
#[tokio::test]
async fn diesels_picture_is_what_the_migrations_make() {
    let db = TestDb::new(&ALL).await;
    let owner = db.owner().await;
    let mut wrong = Vec::new();
    for module in Module::ALL {
        for (table, columns) in drawn(module.name()) {
            for (column, (kind, nullable)) in columns {
                let row = owner
                    .query_opt(
                        "SELECT udt_name::text, is_nullable::text FROM information_schema.columns \
                         WHERE table_schema = $1 AND table_name = $2 AND column_name = $3",
                        &[&module.schema(), &table.as_str(), &column.as_str()],
                    )
                    .await
                    .unwrap();
                let Some(row) = row else {
                    wrong.push(format!("{module}: {table}.{column} does not exist"));
                    continue;
                };
                let (udt, null): (String, String) = (row.get(0), row.get(1));
                if diesel_type(&udt) != kind || (null == "YES") != nullable {
                    wrong.push(format!(
                        "{module}: {table}.{column} is {udt} (null: {null}), drawn as {kind} {nullable}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn diesel_type(udt: &str) -> &str {
    match udt {
        "uuid" => "Uuid",
        "text" | "varchar" => "Text",
        "int8" => "BigInt",
        "int4" => "Integer",
        "int2" => "SmallInt",
        "bool" => "Bool",
        "timestamptz" => "Timestamptz",
        "jsonb" => "Jsonb",
        "bytea" => "Binary",
        "_text" => "Array<Text>",
        "float8" => "Double",
        "tsvector" => "Tsvector",
        other => other,
    }
}
