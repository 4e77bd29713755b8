//! The catalogue's file by HTTP: who may send and fetch it, and what the answers are.

use eshopz_kernel::UserId;
use eshopz_testkit::{TestAnswer, TestApp};

use super::{HEAD, SAMPLE, Shop};

/// Sends a file as an admin.
async fn post(app: &TestApp, media_type: &str, file: &str) -> TestAnswer {
    let admin = app.identity.admin();
    let headers = [("authorization", admin.as_str()), ("content-type", media_type)];
    app.send_raw("POST", "/api/v1/products/import", &headers, file.as_bytes().to_vec()).await.unwrap()
}

#[tokio::test]
async fn files_come_and_go_by_http() {
    let shop = Shop::open().await;
    let module = shop.module();
    let app = TestApp::start(move |cfg| module.configure(cfg)).await.unwrap();

    let answer = post(&app, "text/csv; charset=utf-8", SAMPLE).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let report = answer.json();
    assert_eq!(report["products"], serde_json::json!({"created": 3, "updated": 0, "unchanged": 0}));
    assert_eq!(report["refused"], serde_json::json!([]));
    let answer = post(&app, "application/vnd.ms-excel", &format!("{HEAD}x,X,,,,,,abc,\n")).await;
    let refused = &answer.json()["refused"][0];
    assert_eq!(
        refused,
        &serde_json::json!({"row": 2, "handle": "x", "reason_code": "price_invalid",
            "reason": "`Variant Price` is `abc`, which is not a number such as 19.99"})
    );

    let admin = app.identity.admin();
    let export = app.send("GET", "/api/v1/products/export", &[("authorization", &admin)], None).await.unwrap();
    assert_eq!((export.status, export.header("content-type").as_str()), (200, "text/csv; charset=utf-8"));
    assert_eq!(export.header("content-disposition"), "attachment; filename=\"products.csv\"");
    assert_eq!(export.text, shop.export().await);
    let again = post(&app, "text/csv", &export.text).await.json();
    assert_eq!(again["products"]["unchanged"], 3);
}

/// The status for a file of which nothing but its length is sent.
async fn announced_too_large(app: &TestApp) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = app.base.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/products/import HTTP/1.1\r\nhost: {address}\r\nauthorization: {}\r\n\
         content-type: text/csv\r\ncontent-length: 300000000\r\n\r\n",
        app.identity.admin()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[9..]).parse().unwrap()
}

#[tokio::test]
async fn files_are_for_admins_and_in_csv() {
    let shop = Shop::open().await;
    let module = shop.module();
    let app = TestApp::start(move |cfg| module.configure(cfg)).await.unwrap();
    let import = "/api/v1/products/import";
    let none = app.send_raw("POST", import, &[("content-type", "text/csv")], SAMPLE.into()).await.unwrap();
    assert_eq!((none.status, none.code().as_str()), (401, "unauthenticated"));
    let customer = app.identity.customer(UserId::new());
    let headers = [("content-type", "text/csv"), ("authorization", customer.as_str())];
    assert_eq!(app.send_raw("POST", import, &headers, SAMPLE.into()).await.unwrap().status, 403);
    let export = app.send("GET", "/api/v1/products/export", &[("authorization", &customer)], None).await.unwrap();
    assert_eq!(export.status, 403);
    let json = post(&app, "application/json", "{}").await;
    assert_eq!((json.status, json.code().as_str()), (415, "unsupported_media_type"));
    assert_eq!(announced_too_large(&app).await, 413);
    for file in ["", "Name,Price\n", "PK\u{3}\u{4}"] {
        let answer = post(&app, "text/csv", file).await;
        assert_eq!((answer.status, answer.code().as_str()), (422, "not_a_product_csv"), "{}", answer.text);
    }
    assert_eq!(shop.catalogue().await, Vec::<String>::new());
}
