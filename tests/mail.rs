//! Letters and second factors as an operator sets them up: by settings and on the command line.

use eshopz_testkit::db::TestDb;
use eshopz_testkit::smtp::SmtpSink;
use serde_json::{Value, json};

use crate::support::{MODULES, PASSWORD, Server, is_problem, run, text};

const PRODUCTION: [&str; 4] = ["--env", "production", "--payment-gateway", "sandbox"];

#[tokio::test]
async fn letters_go_to_the_mail_server_of_the_settings() {
    let sink = SmtpSink::start(&["--tls", "--login", "shop:secret"]);
    let url = format!("smtp://shop:secret@{}?tls=required", sink.address());
    let certificate = sink.certificate().to_str().unwrap().to_owned();
    let mail = ["--smtp-url", &url, "--mail-from", "Shop <shop@example.com>", "--smtp-ca-file", &certificate];
    let shop = Server::start(&[&PRODUCTION[..], &mail].concat()).await;
    let bearer = shop.register("ada@example.com").await;
    let letter = &sink.wait_for(1).await[0];
    assert_eq!((&letter["to"], &letter["encrypted"]), (&json!(["ada@example.com"]), &json!(true)));
    let text = letter["data"].as_str().unwrap();
    let token = text.lines().find_map(|line| line.strip_prefix("Token: ")).unwrap();
    let verified = shop.send("POST", "/api/v1/auth/verify-email", &[], Some(json!({"token": token}))).await;
    assert_eq!(verified.status, 204, "{}", verified.text);
    assert_eq!(shop.get("/api/v1/users/me", &[("authorization", &bearer)]).await["email_verified"], true);
}

#[test]
fn a_mail_server_that_cannot_be_used_is_one_line() {
    let serve =
        |arguments: &[&str]| run("postgres://nobody@127.0.0.1:9/none", &[&["serve"][..], arguments].concat(), "");
    let from = ["--mail-from", "Shop <shop@example.com>"];
    for (arguments, told) in [
        (vec!["--smtp-url", "mail:hunter2@example.com"], "ESHOPZ_MAIL_FROM"),
        ([&["--smtp-url", "mail:hunter2@example.com"][..], &from].concat(), "ESHOPZ_SMTP_URL"),
        ([&["--smtp-url", "smtp://me:hunter2@mail"][..], &from, &PRODUCTION].concat(), "not encrypted"),
        ([&["--argon2-memory-kib", "1024"][..], &PRODUCTION].concat(), "OWASP"),
    ] {
        let refused = serve(&arguments);
        let said = text(&refused);
        assert_eq!((refused.status.code(), said.lines().count()), (Some(2), 1), "{arguments:?}: {said}");
        assert!(said.contains(told) && !said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn in_production_the_folder_is_warned_of_and_admins_need_a_second_factor() {
    let db = TestDb::new(&MODULES).await;
    let create = |email: &str, more: &[&str]| {
        let all = [&["admin", "create", "--email", email][..], &PRODUCTION, more].concat();
        let output = run(&db.url, &all, PASSWORD);
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    create("plain@example.com", &[]);
    let said = create("root@example.com", &["--second-factor"]);
    assert!(said.contains("otpauth://totp/EShopz:root%40example%2Ecom?secret="), "{said}");
    let codes: Vec<&str> = said.lines().map(str::trim).filter(|line| line.matches('-').count() == 3).collect();
    assert_eq!(codes.len(), 10, "{said}");

    let shop = Server::start_on(db, &PRODUCTION).await;
    let warned = shop.said();
    assert!(warned.contains("ESHOPZ_SMTP_URL is not set"), "{warned}");
    let sign_in = async |email: &str, more: Value| {
        let mut body = json!({"email": email, "password": PASSWORD});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        shop.send("POST", "/api/v1/auth/login", &[], Some(body)).await
    };
    is_problem(&sign_in("root@example.com", json!({})).await, &[401], "second_factor_required");
    let root = sign_in("root@example.com", json!({"recovery_code": codes[0]})).await.expect(200);
    let plain = sign_in("plain@example.com", json!({})).await.expect(200);
    for (tokens, path, refused) in [
        (&root, "/api/v1/users", false),
        (&plain, "/api/v1/users", true),
        (&root, "/api/v1/products/export", false),
        (&plain, "/api/v1/products/export", true),
    ] {
        let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
        let answer = shop.send("GET", path, &[("authorization", &bearer)], None).await;
        if refused {
            is_problem(&answer, &[403], "second_factor_needed");
        } else {
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        }
    }
}
