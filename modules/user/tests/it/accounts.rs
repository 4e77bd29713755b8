//! What admins do with accounts.

use serde_json::{Value, json};

use crate::shop::{PASSWORD, Shop, access, assert_field};

fn path(user: &Value) -> String {
    format!("/users/{}", user["id"].as_str().unwrap())
}

async fn emails(shop: &Shop, token: &str, query: &str) -> Vec<String> {
    let list = shop.call("GET", &format!("/users?{query}"), token, Value::Null).await;
    assert_eq!(list.status, 200, "{}", list.text);
    let list = list.json();
    list["items"].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn accounts_are_listed_filtered_and_paged() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for name in ["ann", "bob", "bo_b", "Zoe"] {
        shop.register(&format!("{name}@example.com")).await;
    }
    let gone = access(&{
        shop.register("gone@example.com").await;
        shop.sign_in("gone@example.com").await
    });
    shop.call("DELETE", "/users/me", &gone, Value::Null).await;

    let newest_first =
        ["Zoe@example.com", "bo_b@example.com", "bob@example.com", "ann@example.com", "admin@example.com"];
    assert_eq!(emails(&shop, &admin, "").await, newest_first);
    let oldest_first: Vec<&str> = newest_first.iter().rev().copied().collect();
    assert_eq!(emails(&shop, &admin, "sort=created_at").await, oldest_first);
    assert_eq!(emails(&shop, &admin, "email=BO_").await, ["bo_b@example.com"]);
    assert_eq!(emails(&shop, &admin, "email=zoe@Example.com").await, ["Zoe@example.com"]);
    assert_eq!(emails(&shop, &admin, "email=%25").await.len(), 0);
    assert_eq!(emails(&shop, &admin, "role=admin").await, ["admin@example.com"]);
    assert_eq!(emails(&shop, &admin, "role=customer&email=ann").await, ["ann@example.com"]);

    for (sort, expected) in [("-created_at", newest_first.to_vec()), ("created_at", oldest_first)] {
        let (mut seen, mut query) = (Vec::new(), format!("limit=2&sort={sort}"));
        loop {
            seen.extend(emails(&shop, &admin, &query).await);
            let page = shop.call("GET", &format!("/users?{query}"), &admin, Value::Null).await.json();
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            query = format!("limit=2&sort={sort}&cursor={cursor}");
        }
        assert_eq!(seen, expected);
    }
    let page = shop.call("GET", "/users?limit=2", &admin, Value::Null).await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let other_order = format!("/users?limit=2&sort=created_at&cursor={cursor}");
    assert_field(&shop.call("GET", &other_order, &admin, Value::Null).await, "/cursor", "invalid_cursor");
    let nowhere = json!({"newest_first": true, "at": "-200000-01-01T00:00:00Z", "id": uuid::Uuid::nil()});
    let ancient = format!("/users?cursor={}", eshopz_kernel::Cursor::encode(&nowhere));
    assert_field(&shop.call("GET", &ancient, &admin, Value::Null).await, "/cursor", "invalid_cursor");
    for (query, field) in [("sort=email", "/sort"), ("role=king", "/role"), ("email=%00", "/email"), ("q=x", "/q")] {
        let answer = shop.call("GET", &format!("/users?{query}"), &admin, Value::Null).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["field"], json!(field));
    }
}

#[tokio::test]
async fn a_disabled_account_is_shut_out() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let user = shop.register("ann@example.com").await;
    let tokens = shop.sign_in("ann@example.com").await;
    let seen = shop.call("GET", &path(&user), &admin, Value::Null).await;
    assert_eq!(seen.json(), user);
    let (path, etag) = (path(&user), seen.header("etag"));
    let if_match = [("if-match", etag.as_str())];
    let disable = || shop.call_with("PATCH", &path, &admin, &if_match, json!({"disabled": true}));
    let first = disable().await;
    assert_eq!((first.status, &first.json()["disabled"]), (200, &json!(true)));
    assert_eq!(disable().await.status, 412);
    assert!(!shop.is_signed_in(&access(&tokens)).await);
    assert_eq!(shop.refresh(&tokens["refresh_token"]).await.status, 401);
    assert_eq!(shop.try_sign_in("ann@example.com", PASSWORD).await.status, 401);
    let enabled = shop.call("PATCH", &path, &admin, json!({"disabled": false})).await;
    assert_eq!(enabled.json()["disabled"], json!(false));
    shop.sign_in("ann@example.com").await;
    assert!(!shop.is_signed_in(&access(&tokens)).await, "a session that ended stays so");
}

#[tokio::test]
async fn a_role_holds_from_the_next_sign_in() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let user = shop.register("ann@example.com").await;
    let before = access(&shop.sign_in("ann@example.com").await);
    assert_eq!(shop.call("GET", "/users", &before, Value::Null).await.status, 403);
    let made = shop.call("PATCH", &path(&user), &admin, json!({"role": "admin"})).await;
    assert_eq!((made.status, &made.json()["role"]), (200, &json!("admin")));
    assert!(!shop.is_signed_in(&before).await);
    let after = access(&shop.sign_in("ann@example.com").await);
    assert_eq!(shop.call("GET", "/users", &after, Value::Null).await.status, 200);
    // Of no effect, and so nobody is signed out.
    assert_eq!(shop.call("PATCH", &path(&user), &admin, json!({"role": "admin"})).await.status, 200);
    assert!(shop.is_signed_in(&after).await);

    for (body, field) in [
        (json!({"role": "king"}), "/role"),
        (json!({"role": null}), "/role"),
        (json!({"disabled": null}), "/disabled"),
        (json!({"email": "x@example.com"}), "/email"),
    ] {
        let answer = shop.call("PATCH", &path(&user), &admin, body).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["field"]), (422, &json!(field)));
    }
    let nobody = json!({"id": eshopz_kernel::UserId::new()});
    assert_eq!(shop.call("PATCH", &path(&nobody), &admin, json!({"disabled": true})).await.status, 404);
    assert_eq!(shop.call("GET", "/users/7", &admin, Value::Null).await.code(), "invalid_id");
}

#[tokio::test]
async fn there_is_always_an_admin() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let me = shop.call("GET", "/users/me", &admin, Value::Null).await.json();
    for body in [json!({"role": "customer"}), json!({"disabled": true})] {
        let answer = shop.call("PATCH", &path(&me), &admin, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (409, "last_admin"));
    }
    assert_eq!(shop.call("DELETE", "/users/me", &admin, Value::Null).await.code(), "last_admin");

    let other = shop.module.create_admin("other@example.com", PASSWORD).await.unwrap();
    let (mine, others) = (path(&me), format!("/users/{other}"));
    let (one, two) = tokio::join!(
        shop.call("PATCH", &mine, &admin, json!({"role": "customer"})),
        shop.call("PATCH", &others, &admin, json!({"disabled": true})),
    );
    let refused = [&one, &two].iter().filter(|answer| answer.status != 200).count();
    assert_eq!(refused, 1, "{} {}", one.text, two.text);
    let left = "SELECT count(*) FROM users.users WHERE role = 'admin' AND disabled_at IS NULL";
    assert_eq!(shop.number(left).await, 1);
}
