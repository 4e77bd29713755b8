//! What leaves an entry in the audit log, and who reads it.

use serde_json::{Value, json};

use crate::shop::{PASSWORD, Shop, access, assert_field};

/// Who reads it, without leaving an entry by that.
struct Reader {
    token: String,
    /// Of the entries that the reader's own account and session have made.
    seen: usize,
}

impl Reader {
    async fn new(shop: &Shop) -> Self {
        let token = shop.admin().await;
        let seen = entries(shop, &token, "").await.len();
        Self { token, seen }
    }

    /// What has come since the last time.
    async fn news(&mut self, shop: &Shop) -> Vec<Value> {
        let all = entries(shop, &self.token, "limit=100").await;
        let news = all.get(self.seen..).unwrap().to_vec();
        self.seen = all.len();
        news
    }

    /// The one entry that has come.
    async fn only(&mut self, shop: &Shop) -> Value {
        let mut news = self.news(shop).await;
        assert_eq!(news.len(), 1, "{news:#?}");
        news.pop().unwrap()
    }
}

async fn entries(shop: &Shop, token: &str, query: &str) -> Vec<Value> {
    shop.app.audit_log(&format!("/api/v1/users/audit-log?{query}"), &format!("Bearer {token}")).await.unwrap()
}

/// `action subject_type subject_id actor actor_role`.
fn line(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    ["action", "subject_type", "subject_id", "actor", "actor_role"].map(text).join(" ")
}

/// The session of an access token.
fn session_of(token: &str) -> String {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["sid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn signing_in_and_out_is_noted() {
    let shop = Shop::open().await;
    let mut log = Reader::new(&shop).await;
    let ann = shop.register("ann@example.com").await;
    let id = ann["id"].as_str().unwrap();
    assert_eq!(log.news(&shop).await.len(), 0);

    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let signed_in = shop.call_with("POST", "/auth/login", "", &[("x-request-id", "asked-1")], body).await;
    let tokens = signed_in.json();
    let (token, entry) = (access(&tokens), log.only(&shop).await);
    assert_eq!(line(&entry), format!("auth.signed_in session {} {id} customer", session_of(&token)));
    assert_eq!((&entry["request_id"], &entry["address"]), (&json!("asked-1"), &json!("127.0.0.1")));
    assert!(entry["at"].as_str().is_some_and(|at| at.starts_with("20")), "{entry}");

    for (email, known) in [("Ann@example.com ", true), ("nobody@example.com", false)] {
        assert_eq!(shop.try_sign_in(email, "a wrong password").await.status, 401);
        let entry = log.only(&shop).await;
        let hash = entry["subject_id"].as_str().unwrap();
        assert_eq!(line(&entry), format!("auth.sign_in_failed email_hash {hash} nobody -"));
        assert!(hash.len() == 43 && !entry.to_string().contains("example.com"), "{entry}");
        assert_eq!(entry["details"], if known { json!({"user_id": id}) } else { json!({}) });
    }

    assert_eq!(shop.refresh(&tokens["refresh_token"]).await.status, 200);
    assert_eq!(log.news(&shop).await.len(), 0);
    for _ in 0..2 {
        assert_eq!(shop.refresh(&tokens["refresh_token"]).await.code(), "refresh_token_reused");
    }
    let entry = log.only(&shop).await;
    assert_eq!(line(&entry), format!("auth.refresh_token_reused session {} nobody -", session_of(&token)));
    assert_eq!(entry["details"]["user_id"], id);

    let (here, there) =
        (access(&shop.sign_in("ann@example.com").await), access(&shop.sign_in("ann@example.com").await));
    assert_eq!(log.news(&shop).await.len(), 2);
    let path = format!("/users/me/sessions/{}", session_of(&there));
    assert_eq!(shop.call("DELETE", &path, &here, Value::Null).await.status, 204);
    assert_eq!(shop.call("DELETE", &path, &here, Value::Null).await.status, 404);
    let revoked = line(&log.only(&shop).await);
    assert_eq!(revoked, format!("auth.session_revoked session {} {id} customer", session_of(&there)));
    assert_eq!(shop.call("POST", "/auth/logout", &here, Value::Null).await.status, 204);
    let signed_out = line(&log.only(&shop).await);
    assert_eq!(signed_out, format!("auth.signed_out session {} {id} customer", session_of(&here)));
}

#[tokio::test]
async fn what_becomes_of_an_account_is_noted() {
    let shop = Shop::open().await;
    let mut log = Reader::new(&shop).await;
    let made = entries(&shop, &log.token, "action=user.admin_created").await;
    let admin = made[0]["subject_id"].as_str().unwrap().to_owned();
    assert_eq!(line(&made[0]), format!("user.admin_created user {admin} cli -"));

    let ann = shop.register("ann@example.com").await;
    let (id, token) = (ann["id"].as_str().unwrap(), access(&shop.sign_in("ann@example.com").await));
    log.news(&shop).await;
    let change = |current: &str| json!({"current_password": current, "new_password": "battery staple correct"});
    let wrong = shop.call("PUT", "/users/me/password", &token, change("not the password")).await;
    assert_field(&wrong, "/current_password", "incorrect");
    assert_eq!(line(&log.only(&shop).await), format!("user.password_change_failed user {id} {id} customer"));
    assert_eq!(shop.call("PUT", "/users/me/password", &token, change(PASSWORD)).await.status, 204);
    assert_eq!(line(&log.only(&shop).await), format!("user.password_changed user {id} {id} customer"));

    shop.call("POST", "/auth/password-reset", "", json!({"email": "ann@example.com"})).await;
    let mailed = shop.letters.token("ann@example.com", "password").await;
    let reset = json!({"token": mailed, "new_password": PASSWORD});
    assert_eq!(shop.call("POST", "/auth/password-reset/confirm", "", reset.clone()).await.status, 204);
    assert_eq!(line(&log.only(&shop).await), format!("user.password_reset user {id} {id} customer"));
    assert_eq!(shop.call("POST", "/auth/password-reset/confirm", "", reset).await.status, 422);

    let path = format!("/users/{id}");
    let patch = async |body: Value| shop.call("PATCH", &path, &log.token, body).await.status;
    assert_eq!(patch(json!({"role": "admin", "disabled": true})).await, 200);
    assert_eq!(patch(json!({"role": "admin", "disabled": true})).await, 200, "the same again");
    assert_eq!(patch(json!({"disabled": false})).await, 200);
    let expected = ["user.role_changed", "user.disabled", "user.enabled"];
    let news = log.news(&shop).await;
    let lines: Vec<String> = news.iter().map(line).collect();
    assert_eq!(lines, expected.map(|action| format!("{action} user {id} {admin} admin")));
    assert_eq!(news[0]["details"], json!({"from": "customer", "to": "admin"}));

    let token = access(&shop.sign_in("ann@example.com").await);
    log.news(&shop).await;
    let stale = shop.call_with("DELETE", "/users/me", &token, &[("if-match", "\"1-x\"")], Value::Null).await;
    assert_eq!((stale.status, log.news(&shop).await.len()), (412, 0), "what is rolled back leaves nothing");
    assert_eq!(shop.call("DELETE", "/users/me", &token, Value::Null).await.status, 204);
    assert_eq!(line(&log.only(&shop).await), format!("user.deleted user {id} {id} admin"));
}

#[tokio::test]
async fn what_cannot_be_noted_is_not_done() {
    let shop = Shop::open().await;
    let token = shop.admin().await;
    let ann = shop.register("ann@example.com").await;
    let path = format!("/users/{}", ann["id"].as_str().unwrap());
    shop.sql("ALTER TABLE users.audit_log ADD CONSTRAINT no_more CHECK (action <> 'user.disabled')").await;
    assert_eq!(shop.call("PATCH", &path, &token, json!({"disabled": true})).await.status, 500);
    assert_eq!(shop.call("GET", &path, &token, Value::Null).await.json(), ann);
    shop.sql("ALTER TABLE users.audit_log ADD CONSTRAINT nobody CHECK (action <> 'auth.signed_in') NOT VALID").await;
    assert_eq!(shop.try_sign_in("ann@example.com", PASSWORD).await.status, 500);
    assert_eq!(shop.number("SELECT count(*) FROM users.sessions").await, 1, "the admin's");
}

#[tokio::test]
async fn keys_are_rotated_by_somebody() {
    let shop = Shop::open().await;
    let mut log = Reader::new(&shop).await;
    let rotation = shop.module.rotate_keys().await.unwrap();
    shop.module.rotate_keys().await.unwrap();
    let entry = log.only(&shop).await;
    assert_eq!(line(&entry), format!("signing_key.rotated signing_key {} cli -", rotation.new));
    assert_eq!(entry["details"]["old"], json!(rotation.old));
    shop.module.revoke_key(&rotation.new).await.unwrap();
    assert_eq!(line(&log.only(&shop).await), format!("signing_key.revoked signing_key {} cli -", rotation.new));
    assert!(shop.module.revoke_key(&rotation.new).await.is_err());
    assert_eq!(log.news(&shop).await.len(), 0);
}

#[tokio::test]
async fn admins_read_it_by_filters_and_pages() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let customer = shop.customer("ann@example.com").await;
    for _ in 0..3 {
        shop.sign_in("ann@example.com").await;
    }
    for (token, status) in [("", 401), (customer.as_str(), 403)] {
        assert_eq!(shop.call("GET", "/users/audit-log", token, Value::Null).await.status, status);
    }
    let all = entries(&shop, &admin, "").await;
    assert_eq!(all.len(), 6, "{all:#?}");
    let (mut seen, mut path) = (Vec::new(), "/users/audit-log?limit=2".to_owned());
    loop {
        let page = shop.call("GET", &path, &admin, Value::Null).await.json();
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/users/audit-log?limit=2&cursor={cursor}");
    }
    seen.reverse();
    assert_eq!(seen, all);
    let ann = all[2]["actor"].as_str().unwrap();
    let at = all[3]["at"].as_str().unwrap();
    for (query, count) in [
        (format!("actor={ann}"), 4),
        ("actor=cli".to_owned(), 1),
        (format!("actor={ann}&action=auth.signed_out"), 0),
        ("action=auth.signed_in".to_owned(), 5),
        (format!("subject={}", all[2]["subject_id"].as_str().unwrap()), 1),
        (format!("from={at}"), 3),
        (format!("to={at}"), 3),
        (format!("from={at}&to={at}"), 0),
    ] {
        assert_eq!(entries(&shop, &admin, &query).await.len(), count, "{query}");
    }
    for query in ["limit=0", "cursor=nonsense", "actor=%00", "from=yesterday", "from=-200000-01-01T00:00:00Z", "who=x"]
    {
        let answer = shop.call("GET", &format!("/users/audit-log?{query}"), &admin, Value::Null).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text);
    }
}
