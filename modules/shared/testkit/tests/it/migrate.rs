//! The runner of migrations, with a small set of its own.

use eshopz_platform::migrate::{Extent, MigrateError, Migration, Migrator, ModuleMigrations, Progress, State};
use eshopz_testkit::db::TestDb;

fn migration(version: &str, name: &str, up: &str, down: &str) -> Migration {
    Migration { version: version.into(), name: name.into(), up: up.into(), down: down.into() }
}

/// Two modules whose versions interleave: alpha 1, beta 2, alpha 3 (outside a transaction).
fn sets() -> Vec<ModuleMigrations> {
    let alpha = vec![
        migration("1", "init", "CREATE SCHEMA alpha; CREATE TABLE alpha.a (x int);", "DROP SCHEMA alpha CASCADE;"),
        migration(
            "3",
            "index",
            "-- no-transaction\nCREATE INDEX CONCURRENTLY a_x ON alpha.a (x)",
            "DROP INDEX alpha.a_x",
        ),
    ];
    let beta = vec![migration(
        "2",
        "init",
        "SELECT pg_sleep(0.1); CREATE SCHEMA beta; SET LOCAL search_path = beta; CREATE TABLE b ();",
        "DROP SCHEMA beta CASCADE;",
    )];
    vec![
        ModuleMigrations { module: "alpha".into(), migrations: alpha },
        ModuleMigrations { module: "beta".into(), migrations: beta },
    ]
}

fn migrator(db: &TestDb) -> Migrator {
    Migrator::new(&db.url, sets()).unwrap()
}

async fn up(migrator: &Migrator) -> Result<Vec<String>, MigrateError> {
    Ok(names(&migrator.up(&mut |_| {}).await?))
}

fn names<T: ToString>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

async fn exists(db: &TestDb, relation: &str) -> bool {
    db.owner().await.query_one("SELECT to_regclass($1) IS NOT NULL", &[&relation]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_at_once_do_the_work_of_one() {
    let db = TestDb::new(&[]).await;
    let (one, two) = (migrator(&db), migrator(&db));
    let (first, second) = tokio::join!(up(&one), up(&two));
    let mut done = [first.unwrap(), second.unwrap()];
    done.sort();
    assert_eq!(done[0], Vec::<String>::new());
    assert_eq!(done[1], ["alpha/1_init", "beta/2_init", "alpha/3_index"]);
    assert!(exists(&db, "alpha.a_x").await && exists(&db, "beta.b").await);
    one.check().await.unwrap();
}

#[tokio::test]
async fn a_run_waits_for_the_one_before_and_says_so() {
    let db = TestDb::new(&[]).await;
    let holder = db.owner().await;
    holder.batch_execute("SELECT pg_advisory_lock(111546347778170)").await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let waiting = tokio::spawn({
        let migrator = migrator(&db);
        async move { migrator.up(&mut |progress| drop(tell.send(format!("{progress:?}")))).await.map(drop) }
    });
    assert_eq!(told.recv().await, Some(format!("{:?}", Progress::Waiting)));
    assert!(!waiting.is_finished());
    drop(holder);
    waiting.await.unwrap().unwrap();
    let mut more = 0;
    while told.recv().await.is_some() {
        more += 1;
    }
    assert_eq!(more, 2 * 3);
}

#[tokio::test]
async fn down_takes_back_the_newest_or_all_and_keeps_to_its_modules() {
    let db = TestDb::new(&[]).await;
    let migrator = migrator(&db);
    up(&migrator).await.unwrap();
    assert_eq!(names(&migrator.down(Extent::Last, &mut |_| {}).await.unwrap()), ["alpha/3_index"]);
    assert!(!exists(&db, "alpha.a_x").await);

    let beta = migrator.clone().only(&["beta"]).unwrap();
    assert_eq!(names(&beta.down(Extent::All, &mut |_| {}).await.unwrap()), ["beta/2_init"]);
    assert!(exists(&db, "alpha.a").await && !exists(&db, "beta.b").await);
    assert!(matches!(migrator.clone().only(&["gamma"]), Err(MigrateError::NoSuchModule(name)) if name == "gamma"));

    assert_eq!(up(&migrator).await.unwrap(), ["beta/2_init", "alpha/3_index"]);
    let all = migrator.down(Extent::All, &mut |_| {}).await.unwrap();
    assert_eq!(names(&all), ["alpha/3_index", "beta/2_init", "alpha/1_init"]);
    assert!(migrator.down(Extent::Last, &mut |_| {}).await.unwrap().is_empty());
}

#[tokio::test]
async fn redo_runs_the_newest_again() {
    let db = TestDb::new(&[]).await;
    let migrator = migrator(&db);
    assert_eq!(migrator.redo(&mut |_| {}).await.unwrap(), None);
    up(&migrator).await.unwrap();
    let redone = migrator.redo(&mut |_| {}).await.unwrap().unwrap();
    assert_eq!(redone.to_string(), "alpha/3_index");
    assert!(exists(&db, "alpha.a_x").await);
    migrator.check().await.unwrap();
}

#[tokio::test]
async fn a_plan_changes_nothing_and_is_what_up_does() {
    let db = TestDb::new(&[]).await;
    db.owner().await.batch_execute("DROP TABLE public.eshopz_migrations").await.unwrap();
    let migrator = migrator(&db).only(&["beta"]).unwrap();
    let plan = migrator.plan().await.unwrap();
    assert!(plan.contains("-- beta/2_init up.sql\nBEGIN;"), "{plan}");
    assert!(!exists(&db, "beta.b").await && !exists(&db, "public.eshopz_migrations").await);

    db.owner().await.batch_execute(&plan).await.unwrap();
    migrator.check().await.unwrap();
    assert_eq!(migrator.plan().await.unwrap(), "");
}

#[tokio::test]
async fn status_and_check_tell_what_differs_and_what_mends_it() {
    let db = TestDb::new(&[]).await;
    let known = migrator(&db);
    let pending = known.check().await.unwrap_err();
    assert!(matches!(&pending, MigrateError::Pending(ids) if ids.len() == 3));
    assert!(pending.to_string().contains("`eshopz migrate up`"), "{pending}");

    up(&known).await.unwrap();
    let mut older = sets();
    older[0].migrations.pop();
    let older = Migrator::new(&db.url, older).unwrap();
    // The release before goes on, and its `migrate up` does nothing; only it cannot take back what it does not know.
    older.check().await.unwrap();
    assert_eq!(up(&older).await.unwrap(), Vec::<String>::new());
    assert!(matches!(older.down(Extent::Last, &mut |_| {}).await, Err(MigrateError::Unknown(_))));
    assert!(matches!(older.status().await.unwrap()[2].state, State::Unknown(_)));
}

#[tokio::test]
async fn another_line_of_migrations_is_refused() {
    let db = TestDb::new(&[]).await;
    up(&migrator(&db)).await.unwrap();
    let mut other = sets();
    other[0].migrations[1] = migration("4", "other", "SELECT 1", "SELECT 1");
    let other = Migrator::new(&db.url, other).unwrap();
    assert_eq!(
        other.check().await.unwrap_err().to_string(),
        "the database is newer than this program, which does not know migration alpha/3_index: run a newer eshopz"
    );
    assert!(matches!(up(&other).await, Err(MigrateError::Unknown(_))));
    let mut between = sets();
    between[0].migrations[1].version = "0".into();
    let between = Migrator::new(&db.url, between).unwrap();
    assert!(matches!(between.check().await, Err(MigrateError::Unknown(_))));
}

#[tokio::test]
async fn a_changed_file_is_found_and_can_be_taken_back() {
    let db = TestDb::new(&[]).await;
    let known = migrator(&db);
    up(&known).await.unwrap();
    let mut edited = sets();
    edited[0].migrations[1].up.push_str(" WHERE x > 0");
    let edited = Migrator::new(&db.url, edited).unwrap();
    assert!(matches!(edited.check().await, Err(MigrateError::Changed(ids)) if names(&ids) == ["alpha/3_index"]));
    assert!(matches!(up(&edited).await, Err(MigrateError::Changed(_))));
    let states: Vec<State> = edited.status().await.unwrap().into_iter().map(|line| line.state).collect();
    assert!(matches!(states[..], [State::Applied(_), State::Applied(_), State::Changed(_)]), "{states:?}");

    edited.redo(&mut |_| {}).await.unwrap();
    edited.check().await.unwrap();
}

#[tokio::test]
async fn a_failure_names_the_line_and_leaves_nothing_of_itself() {
    let db = TestDb::new(&[]).await;
    let mut broken = sets();
    broken[1].migrations[0].up = "CREATE SCHEMA beta;\nSELECT nonsense;\n".into();
    let broken = Migrator::new(&db.url, broken).unwrap();
    let error = up(&broken).await.unwrap_err().to_string();
    assert_eq!(error, "migration beta/2_init failed in up.sql: line 2: column \"nonsense\" does not exist");
    let states: Vec<State> = broken.status().await.unwrap().into_iter().map(|line| line.state).collect();
    assert!(matches!(states[..], [State::Applied(_), State::Pending, State::Pending]), "{states:?}");
    assert_eq!(up(&migrator(&db)).await.unwrap(), ["beta/2_init", "alpha/3_index"]);
}

#[tokio::test]
async fn a_role_without_rights_may_check() {
    let db = TestDb::new(&[]).await;
    up(&migrator(&db)).await.unwrap();
    let role = format!("r_{}", db.url.rsplit('_').next().unwrap());
    db.owner().await.batch_execute(&format!("CREATE ROLE {role}")).await.unwrap();
    let url = format!("{}?options=-c%20role%3D{role}", db.url);
    Migrator::new(&url, sets()).unwrap().check().await.unwrap();
    db.owner().await.batch_execute(&format!("DROP ROLE {role}")).await.unwrap();
}
