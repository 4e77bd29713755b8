//! What a process is told to run, how it becomes ready, and how it leaves.

use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use eshopz_testkit::db::TestDb;
use serde_json::json;

use crate::support::{self, MODULES, Process, eshopz, free_port, single_port, text};

/// `serve` of some modules on a free port, with its data where nobody else's is.
fn serve(database_url: &str, modules: &'static str, arguments: &'static [&'static str]) -> Process {
    let port = free_port();
    let folder = std::env::temp_dir().join(format!("eshopz-startup-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (url, data) = (database_url.to_owned(), folder.clone());
    let make = move || {
        let mut command = eshopz(&url, &["serve", "--modules", modules, "--listen", &format!("127.0.0.1:{port}")]);
        // Neighbours that nobody is.
        for module in MODULES {
            command.env(format!("ESHOPZ_{}_URL", module.to_uppercase()), "http://127.0.0.1:9");
        }
        command.args(arguments).env("ESHOPZ_DATA_DIR", &data);
        command
    };
    Process::spawn(modules, port, folder.join("eshopz.log"), Box::new(make))
}

async fn status(process: &Process, path: &str) -> u16 {
    let started = Instant::now();
    loop {
        match reqwest::get(format!("{}{path}", process.management())).await {
            Ok(answer) => return answer.status().as_u16(),
            Err(error) => assert!(started.elapsed() < Duration::from_secs(20), "{error}: {}", process.said()),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_wrong_selection_is_one_line_before_a_port_is_bound() {
    let port = free_port();
    // Whoever bound a port before looking would fail by these.
    let _taken: Vec<TcpListener> =
        [0, 1_000, 6_000].map(|above| TcpListener::bind(("127.0.0.1", port + above)).unwrap()).into();
    let listen = format!("127.0.0.1:{port}");
    let back = format!("http://127.0.0.1:{}", port + 1_000);
    let cases: [(&[&str], &str); 11] = [
        (&["--modules", "cart,basket"], "`basket` is no module"),
        (&["--modules", ","], "name at least one module"),
        (&["--modules", "order", "--product-url", ""], "order calls product, which does not run in this process"),
        (&["--modules", "order", "--cart-url", "cart:4003"], "ESHOPZ_CART_URL is `cart:4003`, not an address"),
        (&["--modules", "user", "--order-url", "nonsense"], "user is heard by order"),
        (&["--modules", "cart", "--user-url", &back], "leads back to this process"),
        (&["--modules", "cart", "--env", "production"], "set ESHOPZ_USER_URL"),
        (&["--redis-url", "redis//:secret@nowhere"], "ESHOPZ_REDIS_URL is no address"),
        (
            &["--database-url", "postgres://me:secret@here:port/shop"],
            "the database URL is not valid: invalid value for",
        ),
        (&["--order-database-url", "me:secret@here"], "the database URL is not valid"),
        (&["--database-reader-url", "postgres://me:secret@[/"], "the database reader URL is not valid"),
    ];
    for (arguments, words) in cases {
        let mut all = vec!["serve", "--listen", &listen];
        all.extend(arguments);
        let refused = support::run("postgres://nobody@127.0.0.1:9/none", &all, "");
        let said = text(&refused);
        assert_eq!((refused.status.code(), said.lines().count()), (Some(2), 1), "{arguments:?}: {said}");
        assert!(said.contains(words) && !said.contains("secret@"), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn readiness_waits_for_the_migrations() {
    let db = TestDb::new(&MODULES).await;
    assert!(support::run(&db.url, &["migrate", "down", "--all"], "").status.success());
    let mut process = serve(&db.url, "all", &[]);
    assert_eq!(status(&process, "/health/live").await, 200);
    assert_eq!(status(&process, "/health/ready").await, 503);
    let started = Instant::now();
    while !process.said().contains("eshopz migrate up") {
        assert!(started.elapsed() < Duration::from_secs(20), "it does not say what it waits for: {}", process.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status(&process, "/health/ready").await, 503);
    let migrated = support::run(&db.url, &["migrate", "up"], "");
    assert!(migrated.status.success(), "{}", text(&migrated));
    process.wait_until_ready().await;
    assert_eq!(process.terminate().await, 0);
}

#[tokio::test]
async fn readiness_waits_for_the_database_and_a_start_may_be_broken_off() {
    let nowhere = format!("postgres://nobody@127.0.0.1:{}/none", single_port());
    let mut process = serve(&nowhere, "cart", &[]);
    assert_eq!(status(&process, "/health/live").await, 200);
    assert_eq!(status(&process, "/health/ready").await, 503);
    assert_eq!(process.terminate().await, 0, "{}", process.said());
    let listen = format!("127.0.0.1:{}", free_port());
    let impatient = support::run(
        &nowhere,
        &["serve", "--modules", "user", "--listen", &listen, "--startup-seconds", "1", "--events", "sns"],
        "",
    );
    assert_eq!(impatient.status.code(), Some(1));
    assert!(text(&impatient).contains("cannot connect to the database"), "{}", text(&impatient));
}

/// The neighbours of these are all away. Each is ready all the same, and says 503 to what needs one.
#[tokio::test]
async fn readiness_never_waits_for_a_neighbour() {
    let db = TestDb::new(&MODULES).await;
    for modules in MODULES {
        let mut process = serve(&db.url, modules, &[]);
        process.wait_until_ready().await;
        assert!(process.boot < Duration::from_secs(20), "{modules} took {:?}", process.boot);
        assert_eq!(process.terminate().await, 0);
    }
    let mut process = serve(&db.url, "cart", &[]);
    process.wait_until_ready().await;
    let client = reqwest::Client::new();
    let carts = format!("{}/api/v1/carts", process.public());
    let made = client.post(&carts).json(&json!({})).send().await.unwrap();
    assert_eq!(made.status(), 201, "a guest's cart needs no neighbour");
    let cart: serde_json::Value = made.json().await.unwrap();
    let items = format!("{carts}/{}/items", cart["id"].as_str().unwrap());
    let line = json!({"variant_id": "019a0000-0000-7000-8000-000000000002", "quantity": 1});
    let started = Instant::now();
    let answer = client.post(items).header("x-cart-token", cart["token"].as_str().unwrap()).json(&line).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// From SIGTERM on it is not ready, what was begun ends well, and then it is gone.
#[tokio::test]
async fn sigterm_is_a_drain() {
    let db = TestDb::new(&MODULES).await;
    let mut process = serve(&db.url, "all", &["--drain-seconds", "2", "--grace-seconds", "10"]);
    process.wait_until_ready().await;
    let users = format!("{}/api/v1/users", process.public());
    let client = reqwest::Client::new();
    // Hashing a password takes a while, so that this is under way for as long as the process leaves.
    let register = |number: usize| {
        let account =
            json!({"email": format!("ann{number}@example.com"), "password": support::PASSWORD, "full_name": "Ann"});
        tokio::spawn(client.post(&users).json(&account).send())
    };
    let early: Vec<_> = (0..4).map(register).collect();
    let first = status(&process, "/health/ready").await;
    process.signal("TERM");
    let started = Instant::now();
    while status(&process, "/health/ready").await == 200 {
        assert!(started.elapsed() < Duration::from_secs(2), "it says that it is ready though it leaves");
    }
    assert_eq!(first, 200);
    let late: Vec<_> = (4..8).map(register).collect();
    for answer in early.into_iter().chain(late) {
        assert_eq!(answer.await.unwrap().unwrap().status(), 201, "a request was cut");
    }
    assert_eq!(process.terminate().await, 0);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let db = TestDb::new(&MODULES).await;
    let port = free_port();
    for above in [0, 1_000, 6_000] {
        let _taken = TcpListener::bind(("127.0.0.1", port + above)).unwrap();
        let listen = format!("127.0.0.1:{port}");
        let refused = ended(
            eshopz(&db.url, &["serve", "--listen", &listen])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        assert!(refused.contains(&format!("cannot listen on 127.0.0.1:{}", port + above)), "{refused}");
    }
}

/// What a process said that has to end by itself with exit code 1.
fn ended(mut child: Child) -> String {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    text(&output)
}
