//! Making accounts.

use std::sync::Arc;

use eshopz_kernel::FaultKind;
use eshopz_user::Limit;
use serde_json::{Value, json};

use crate::shop::{BrokenMailer, PASSWORD, Shop, assert_field, settings};

#[tokio::test]
async fn an_account_is_made_shown_and_told_of() {
    let shop = Shop::open().await;
    let body = json!({"email": " Ann.B@Example.COM ", "password": PASSWORD, "full_name": "  Ann Example "});
    let answer = shop.call("POST", "/users", "", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let user = answer.json();
    assert_eq!(answer.header("location"), format!("/api/v1/users/{}", user["id"].as_str().unwrap()));
    assert!(!answer.header("etag").is_empty());
    let mut fields: Vec<&String> = user.as_object().unwrap().keys().collect();
    fields.sort();
    let expected =
        ["created_at", "disabled", "email", "email_verified", "full_name", "id", "phone", "role", "updated_at"];
    assert_eq!(fields, expected);
    assert_eq!((&user["email"], &user["full_name"]), (&json!("Ann.B@example.com"), &json!("Ann Example")));
    assert_eq!((&user["role"], &user["disabled"]), (&json!("customer"), &json!(false)));
    assert_eq!((&user["email_verified"], &user["phone"]), (&json!(false), &Value::Null));

    let hashes = "SELECT count(*) FROM users.users WHERE password_hash LIKE '$argon2id$%'";
    assert_eq!(shop.number(hashes).await, 1);
    let events = "SELECT count(*) FROM users.outbox o JOIN users.users u ON o.payload->>'user_id' = u.id::text \
                  WHERE name = 'user.registered.v1'";
    assert_eq!(shop.number(events).await, 1);
}

#[tokio::test]
async fn an_email_belongs_to_one_account_whatever_its_case() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    for email in ["ann@example.com", "ANN@example.com", "Ann@EXAMPLE.com"] {
        let body = json!({"email": email, "password": PASSWORD, "full_name": "Ann"});
        let answer = shop.call("POST", "/users", "", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (409, "email_taken"));
    }
    assert_eq!(shop.number("SELECT count(*) FROM users.users").await, 1);
    assert_eq!(shop.number("SELECT count(*) FROM users.outbox").await, 1);
    assert_eq!(shop.try_sign_in("ANN@Example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_email() {
    let shop = Shop::open().await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD, "full_name": "Ann"});
    let mut statuses = Vec::new();
    let (a, b, c, d) = tokio::join!(
        shop.call("POST", "/users", "", body.clone()),
        shop.call("POST", "/users", "", body.clone()),
        shop.call("POST", "/users", "", body.clone()),
        shop.call("POST", "/users", "", body.clone()),
    );
    statuses.extend([a.status, b.status, c.status, d.status]);
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
}

#[tokio::test]
async fn what_is_not_valid_is_named() {
    let shop = Shop::open().await;
    let good = json!({"email": "ann@example.com", "password": PASSWORD, "full_name": "Ann"});
    let long = "long ago ".repeat(15);
    for (field, value, code) in [
        ("email", json!("no address"), "email"),
        ("email", json!("a\u{0}@example.com"), "nul_character"),
        ("email", json!("\u{430}dmin@example.com"), "email"), // Cyrillic а
        ("email", json!("ad\u{200b}min@example.com"), "email"),
        ("email", json!("ann\r\nBcc: x@example.com"), "email"),
        ("email", json!("ann@x\r\nBcc: x@example.com[127.0.0.1]"), "email"),
        ("email", json!(5), "invalid"),
        ("password", json!("short"), "length"),
        ("password", json!(long), "length"),
        ("password", json!("Password123"), "too_common"),
        ("password", json!("qwertyuiop"), "too_common"),
        ("password", json!("1111111111"), "too_common"),
        ("password", json!("Ann@Example.com"), "too_personal"),
        ("password", json!("ann-2026-2026"), "too_personal"),
        ("password", json!("EShopz123456"), "too_personal"),
        ("full_name", json!("  "), "length"),
        ("full_name", json!("x".repeat(201)), "length"),
        ("full_name", json!("A\u{0}nn"), "nul_character"),
        ("full_name", Value::Null, "invalid"),
        ("role", json!("admin"), "unknown_field"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        assert_field(&shop.call("POST", "/users", "", body).await, &format!("/{field}"), code);
    }
    assert_eq!(shop.number("SELECT count(*) FROM users.users").await, 0);
}

#[tokio::test]
async fn a_password_counts_in_characters() {
    let shop = Shop::open().await;
    let han = |count: u32| (0..count).filter_map(|number| char::from_u32(0x4e00 + number * 7)).collect::<String>();
    for (email, password, status) in [
        ("a@example.com", "ünïcödé-pä".to_owned(), 201),
        ("b@example.com", "ünïcödé-p".to_owned(), 422),
        ("c@example.com", han(128), 201),
        ("d@example.com", han(129), 422),
    ] {
        let body = json!({"email": email, "password": password, "full_name": "Ann"});
        assert_eq!(shop.call("POST", "/users", "", body).await.status, status, "{email}");
        assert_eq!(shop.try_sign_in(email, &password).await.status == 200, status == 201, "{email}");
    }
}

#[tokio::test]
async fn one_address_makes_so_many_accounts_and_no_more() {
    let limit = Limit::new(2, std::time::Duration::from_secs(3_600));
    let settings = eshopz_user::UserSettings { registrations_per_address: limit, ..settings() };
    let shop = Shop::open_with(settings).await;
    shop.register("a@example.com").await;
    shop.register("b@example.com").await;
    let body = json!({"email": "c@example.com", "password": PASSWORD, "full_name": "C"});
    let answer = shop.call("POST", "/users", "", body).await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "rate_limited"));
    assert!(answer.header("retry-after").parse::<u32>().unwrap() <= 3_600);
}

#[tokio::test]
async fn a_broken_mail_server_does_not_stop_registrations() {
    let shop = Shop::open_mailing(Arc::new(BrokenMailer), Arc::default(), settings()).await;
    shop.register("ann@example.com").await;
    shop.sign_in("ann@example.com").await;
}

#[tokio::test]
async fn an_admin_is_made_from_the_command_line() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    let token = shop.admin().await;
    let me = shop.call("GET", "/users/me", &token, Value::Null).await.json();
    assert_eq!((&me["role"], &me["email_verified"]), (&json!("admin"), &json!(true)));
    let fault = shop.module.create_admin("ANN@example.com", PASSWORD).await.unwrap_err();
    assert_eq!((fault.kind, fault.code.as_ref()), (FaultKind::Conflict, "email_taken"));
    let fault = shop.module.create_admin("new@example.com", "short").await.unwrap_err();
    assert_eq!(fault.errors[0].field, "/password");
}

#[tokio::test]
async fn a_domain_of_foreign_letters_is_one_however_it_is_written() {
    let shop = Shop::open().await;
    let user = shop.register("ann@Bücher.example").await;
    assert_eq!(user["email"], json!("ann@xn--bcher-kva.example"));
    for same in ["ann@bücher.example", "ANN@BÜCHER.example", "ann@xn--bcher-kva.example"] {
        assert_eq!(shop.try_sign_in(same, PASSWORD).await.status, 200, "{same}");
        let body = json!({"email": same, "password": PASSWORD, "full_name": "Ann"});
        assert_eq!(shop.call("POST", "/users", "", body).await.code(), "email_taken", "{same}");
    }
    // Another domain, whatever it looks like.
    let user = shop.register("ann@ex\u{430}mple.com").await;
    assert_eq!(user["email"], json!("ann@xn--exmple-4nf.com"));
    assert_eq!(shop.try_sign_in("ann@example.com", PASSWORD).await.status, 401);
}

#[tokio::test]
async fn an_email_of_before_is_still_signed_in_with() {
    let shop = Shop::open().await;
    shop.register("ann@example.com").await;
    for old in ["ann@bücher.example", "\u{430}nn@example.com", "ann..lee@example.com", "ann@[127.0.0.1]"] {
        shop.sql(&format!("UPDATE users.users SET email = '{old}'")).await;
        assert_eq!(shop.try_sign_in(old, PASSWORD).await.status, 200, "{old}");
    }
    shop.sql("UPDATE users.users SET email = 'ann@bücher.example'").await;
    let body = json!({"email": "ann@bücher.example", "password": PASSWORD, "full_name": "Ann"});
    assert_eq!(shop.call("POST", "/users", "", body).await.code(), "email_taken");
    assert_eq!(shop.call("POST", "/auth/password-reset", "", json!({"email": "ann@bücher.example"})).await.status, 202);
    shop.letters.token("ann@bücher.example", "new password").await;
}
