//! What a process says while it runs, and how that is changed.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use eshopz_testkit::db::TestDb;
use serde_json::Value;

use crate::support::{Folder, MODULES, Server, eshopz, free_port};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Each line of a log, all of which are JSON.
fn lines(said: &str) -> Vec<Value> {
    said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

async fn filter(shop: &Server, text: &str) -> (u16, String) {
    let put = reqwest::Client::new().put(format!("{}/log", shop.management)).body(text.to_owned());
    let answer = put.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_line_says_whose_it_is_once_it_is_asked_for() {
    let shop = Server::start(&[]).await;
    let ada = shop.register(&shop.email("ada")).await;
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let headers = [("authorization", ada.as_str()), ("x-request-id", "the-first"), ("traceparent", parent.as_str())];
    let me = shop.get("/api/v1/users/me", &headers).await;
    assert!(!shop.said_in_all().contains("the-first"), "only what is wrong is asked for");

    let (status, told) = filter(&shop, "eshopz_user=loud").await;
    assert_eq!(status, 400);
    assert!(told.contains("error parsing level filter") && told.contains("as RUST_LOG has it"), "{told}");
    for nothing in ["", " \n", "info\neshopz_order=debug"] {
        assert_eq!(filter(&shop, nothing).await.0, 400, "{nothing:?}");
    }
    assert_eq!(filter(&shop, &"x".repeat(5_000)).await.0, 413);
    assert_eq!(filter(&shop, " info\n").await, (204, String::new()));
    let now = reqwest::get(format!("{}/log", shop.management)).await.unwrap().text().await.unwrap();
    assert_eq!(now, "info\n");

    shop.get("/api/v1/users/me", &[headers[0], ("x-request-id", "the-second"), headers[2]]).await;
    let lines = lines(&shop.said_in_all());
    let line = lines.iter().find(|line| line["message"] == "answered" && line["request_id"] == "the-second").unwrap();
    for (name, value) in
        [("trace_id", TRACE), ("module", "user"), ("actor_id", me["id"].as_str().unwrap()), ("level", "INFO")]
    {
        assert_eq!(line[name], value, "{name} of {line}");
    }
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
}

#[tokio::test]
async fn a_shop_logs_to_standard_output_and_a_command_does_not() {
    let db = TestDb::new(&MODULES).await;
    let (folder, port) = (Folder::new(), free_port());
    let [output, errors] = ["output", "errors"].map(|name| folder.0.join(name));
    let mut serve = eshopz(&db.url, &["serve", "--listen", &format!("127.0.0.1:{port}")]);
    serve.env_remove("RUST_LOG").env("ESHOPZ_DATA_DIR", &folder.0).stdin(Stdio::null());
    serve.stdout(File::create(&output).unwrap()).stderr(File::create(&errors).unwrap());
    let mut child = serve.spawn().unwrap();
    let read = |path| std::fs::read_to_string(path).unwrap();
    for _ in 0..600 {
        if read(&output).contains("\"ready\"") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let said = lines(&read(&output));
    assert!(said.iter().any(|line| line["message"] == "ready"), "{said:?}");
    assert_eq!(read(&errors), "");
    let graph = eshopz(&db.url, &["modules", "--graph"]).env("RUST_LOG", "trace").output().unwrap();
    assert!(!String::from_utf8(graph.stdout).unwrap().contains("timestamp"));
}
