//! What stands before the shop: who a client is, how often it may ask, what every answer carries.

use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, Server, is_problem};

const FORWARDED: &str = "x-forwarded-for";

/// The status of a sign-in with a wrong password, as somebody with these lines of `X-Forwarded-For`.
async fn guess(shop: &Server, email: &str, lines: &[&str]) -> Answer {
    let headers: Vec<_> = lines.iter().map(|line| (FORWARDED, *line)).collect();
    let body = json!({"email": email, "password": "not the password"});
    shop.send("POST", "/api/v1/auth/login", &headers, Some(body)).await
}

/// How many of twenty requests with these lines of `X-Forwarded-For` are let in. A window of a minute may end meanwhile,
/// and then a few more are than the limit says.
async fn let_in(shop: &Server, line: impl Fn(usize) -> String) -> usize {
    let mut let_in = 0;
    for number in 0..20 {
        let answer = shop.send("GET", "/api/v1/categories", &[(FORWARDED, &line(number))], None).await;
        assert!([200, 429].contains(&answer.status), "{}", answer.text);
        let_in += usize::from(answer.status == 200);
    }
    let_in
}

#[tokio::test]
async fn nobody_gets_past_a_limit_by_saying_that_he_is_another() {
    let limits = ["--rate-limit", "on", "--rate-limit-per-minute", "5", "--sign-in-failures-per-address", "2"];
    let shop = Server::start(&limits).await;
    for number in 0..2 {
        let answer = guess(&shop, &format!("guess{number}@example.com"), &[&format!("198.51.100.{number}")]).await;
        assert_eq!(answer.status, 401);
    }
    let refused = guess(&shop, "guess2@example.com", &["198.51.100.2"]).await;
    is_problem(&refused, &[429], "rate_limited");
    let of_many = let_in(&shop, |number| format!("198.51.100.{number}, 127.0.0.1")).await;
    assert!((1..=8).contains(&of_many), "{of_many}");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_limits_of_its_own() {
    let settings = [
        "--trusted-proxies",
        "127.0.0.0/8,10.0.0.0/8",
        "--rate-limit",
        "on",
        "--rate-limit-per-minute",
        "8",
        "--sign-in-failures-per-address",
        "2",
    ];
    let shop = Server::start(&settings).await;
    for (number, lines) in [&["198.51.100.1"][..], &["6.6.6.6", "198.51.100.1, 10.0.0.7"]].into_iter().enumerate() {
        assert_eq!(guess(&shop, &format!("guess{number}@example.com"), lines).await.status, 401);
    }
    for lines in [&["198.51.100.1"][..], &["7.7.7.7, 198.51.100.1"], &["8.8.8.8", "198.51.100.1,10.1.1.1"]] {
        is_problem(&guess(&shop, "guess3@example.com", lines).await, &[429], "rate_limited");
    }
    assert_eq!(guess(&shop, "guess4@example.com", &["198.51.100.2"]).await.status, 401);
    // What is left of a proxy's own word is the client's invention.
    let of_one = let_in(&shop, |number| format!("7.7.7.{number}, 198.51.100.3")).await;
    assert!((8..=11).contains(&of_one), "{of_one}");
    let of_many = let_in(&shop, |number| format!("203.0.113.{number}")).await;
    assert_eq!(of_many, 20);
}

#[tokio::test]
async fn the_list_of_devices_has_the_clients_address() {
    let shop = Server::start(&["--trusted-proxies", "127.0.0.1"]).await;
    shop.register("ada@example.com").await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let headers = [(FORWARDED, "6.6.6.6, 2001:db8:1::5")];
    let tokens = shop.send("POST", "/api/v1/auth/login", &headers, Some(body)).await.expect(200);
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let sessions = shop.get("/api/v1/users/me/sessions", &[("authorization", &bearer)]).await;
    let current = sessions["items"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    assert_eq!(current["address"], "2001:db8:1::5");
}

/// The parameters of a policy in a field of draft-ietf-httpapi-ratelimit-headers.
fn parameters(answer: &Answer, field: &str, policy: &str) -> Vec<(String, u64)> {
    let text = answer.header(field);
    let member = text.split(", ").find_map(|member| member.strip_prefix(&format!("\"{policy}\";")));
    let pairs = member.unwrap_or_else(|| panic!("{policy} is not in {field}: {text}")).split(';');
    let read =
        |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.parse().unwrap())).unwrap();
    pairs.map(read).collect()
}

#[tokio::test]
async fn every_answer_tells_how_many_more_there_may_be() {
    let shop = Server::start(&["--rate-limit", "on", "--rate-limit-per-minute", "3"]).await;
    let of = |answer: &Answer, name: &str| {
        let all =
            [parameters(answer, "ratelimit-policy", "client"), parameters(answer, "ratelimit", "client")].concat();
        all.into_iter().find(|(parameter, _)| parameter == name).unwrap().1
    };
    for (path, status, left) in [("/api/v1/categories", 200, 2), ("/api/v1/nothing", 404, 1), ("/docs/", 200, 0)] {
        let answer = shop.send("GET", path, &[], None).await;
        assert_eq!((answer.status, of(&answer, "q"), of(&answer, "w")), (status, 3, 60));
        // Where a window ends meanwhile, some more are left.
        assert!((left..=3).contains(&of(&answer, "r")), "{}", answer.header("ratelimit"));
        assert!((1..=60).contains(&of(&answer, "t")), "{}", answer.header("ratelimit"));
    }
    let mut refused = None;
    for _ in 0..10 {
        let answer = shop.send("GET", "/api/v1/categories", &[], None).await;
        refused = refused.or((answer.status == 429).then_some(answer));
    }
    let refused = refused.expect("thirteen of three");
    assert_eq!(of(&refused, "r"), 0);
    assert_eq!(of(&refused, "t").to_string(), refused.header("retry-after"));
}

#[tokio::test]
async fn throttles_tell_how_one_stands_with_them() {
    let shop = Server::start(&["--sign-in-failures-per-account", "2"]).await;
    let plain = shop.send("GET", "/api/v1/categories", &[], None).await;
    assert_eq!((plain.header("ratelimit"), plain.header("ratelimit-policy")), (String::new(), String::new()));
    for left in [1, 0] {
        let failed = guess(&shop, "ada@example.com", &[]).await;
        assert_eq!(failed.status, 401);
        let policy = parameters(&failed, "ratelimit-policy", "sign_in_account");
        assert_eq!(policy, [("q".to_owned(), 2), ("w".to_owned(), 900)]);
        assert_eq!(parameters(&failed, "ratelimit", "sign_in_account")[0], ("r".to_owned(), left));
        assert_eq!(parameters(&failed, "ratelimit", "sign_in_address")[0].0, "r");
    }
    let refused = guess(&shop, "ada@example.com", &[]).await;
    is_problem(&refused, &[429], "rate_limited");
    let standing = parameters(&refused, "ratelimit", "sign_in_account");
    assert_eq!((standing[0].1, standing[1].1.to_string()), (0, refused.header("retry-after")));
}

#[tokio::test]
async fn imports_and_wrong_tokens_have_an_end() {
    let shop = Server::start(&["--imports-per-admin", "2", "--wrong-tokens-per-address", "2"]).await;
    let admin = shop.admin().await;
    let import = async || {
        let headers = [("authorization", admin.as_str()), ("content-type", "text/csv")];
        let file = b"Handle,Title,Variant Price\nshirt,Shirt,1.00\n".to_vec();
        shop.raw("POST", "/api/v1/products/import", &headers, file).await
    };
    for _ in 0..2 {
        assert_eq!(import().await.status, 200);
    }
    is_problem(&import().await, &[429], "rate_limited");
    let wrong = [
        ("/api/v1/auth/verify-email", json!({"token": "made-up"})),
        ("/api/v1/auth/password-reset/confirm", json!({"token": "made-up", "new_password": PASSWORD})),
    ];
    for (path, body) in wrong.clone() {
        assert_eq!(shop.send("POST", path, &[], Some(body)).await.status, 422);
    }
    for (path, body) in wrong {
        is_problem(&shop.send("POST", path, &[], Some(body)).await, &[429], "rate_limited");
    }
}

/// What every answer of the public listener has.
#[track_caller]
fn is_secured(answer: &Answer, policy: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("server", ""),
        ("x-powered-by", ""),
    ] {
        assert_eq!(answer.header(name), value, "{name} of {} {:.80}", answer.status, answer.text);
    }
    assert!(answer.header("permissions-policy").contains("camera=()"));
    let told = answer.header("content-security-policy");
    for part in [policy, "default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(!told.contains("unsafe-eval") && !told.contains("script-src 'self' 'unsafe-inline'"));
}

const API: &str = "default-src 'none'; base-uri";
const DOCS: &str = "script-src 'self';";

#[tokio::test]
async fn every_answer_is_secured() {
    let shop = Server::start(&["--sign-in-failures-per-account", "1", "--trusted-proxies", "127.0.0.1"]).await;
    let broken = shop.raw("POST", "/api/v1/users", &[("content-type", "application/json")], b"{".to_vec()).await;
    let mut answers = vec![(broken, 400, API)];
    for status in [401, 429] {
        answers.push((guess(&shop, "ada@example.com", &[]).await, status, API));
    }
    for (method, path, status, policy) in [
        ("GET", "/api/v1/categories", 200, API),
        ("GET", "/api/v1/nothing", 404, API),
        ("DELETE", "/api/v1/products", 405, API),
        ("GET", "/openapi.json", 200, API),
        ("GET", "/docs/", 200, DOCS),
        // Where it leads, which the client follows.
        ("GET", "/docs", 200, DOCS),
        ("GET", "/docs/nothing.js", 404, DOCS),
        ("GET", "/docsx", 404, API),
    ] {
        answers.push((shop.send(method, path, &[], None).await, status, policy));
    }
    for (answer, status, policy) in answers {
        assert_eq!(answer.status, status, "{}", answer.text);
        is_secured(&answer, policy);
        assert_eq!(answer.header("strict-transport-security"), "", "nobody came by TLS");
    }
    let by_tls = [("x-forwarded-proto", "https"), (FORWARDED, "198.51.100.1")];
    let by_tls = shop.send("GET", "/api/v1/categories", &by_tls, None).await;
    assert!(by_tls.header("strict-transport-security").starts_with("max-age="));
    let own: u16 = shop.base.rsplit(':').next().unwrap().parse().unwrap();
    for port in [own + 1_000, own + 6_000] {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}/info")).await.unwrap();
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{port}");
    }
}

#[tokio::test]
async fn in_production_browsers_are_told_to_come_by_tls() {
    let settings = ["--env", "production", "--payment-gateway", "sandbox", "--webhook-secret", "whsec_of_this_test"];
    let shop = Server::start(&settings).await;
    let answer = shop.send("GET", "/api/v1/categories", &[], None).await;
    assert_eq!(answer.status, 200);
    is_secured(&answer, API);
    assert!(answer.header("strict-transport-security").starts_with("max-age=31536000"));
    // The general limit is on by itself.
    assert_eq!(parameters(&answer, "ratelimit-policy", "client"), [("q".to_owned(), 1_200), ("w".to_owned(), 60)]);
}

#[tokio::test]
async fn what_is_somebodys_own_is_kept_by_nobody() {
    let shop = Server::start(&[]).await;
    let ada = shop.register("ada@example.com").await;
    let (cart, token) = shop.guest_cart(&[]).await;
    let cart = format!("/api/v1/carts/{cart}");
    for (path, header) in [
        ("/api/v1/users/me", ("authorization", ada.as_str())),
        ("/api/v1/users/me/sessions", ("authorization", &ada)),
        ("/api/v1/carts/mine", ("authorization", &ada)),
        ("/api/v1/orders", ("authorization", &ada)),
        ("/api/v1/payments", ("authorization", &ada)),
        (cart.as_str(), ("x-cart-token", &token)),
    ] {
        let answer = shop.send("GET", path, &[header], None).await;
        assert_eq!((answer.status, answer.header("cache-control").as_str()), (200, "no-store"), "{path}");
    }
    let signed_in = json!({"email": "ada@example.com", "password": PASSWORD});
    let answer = shop.send("POST", "/api/v1/auth/login", &[], Some(signed_in)).await;
    assert_eq!((answer.status, answer.header("cache-control").as_str()), (200, "no-store"));
}

#[tokio::test]
async fn heads_and_bodies_have_limits() {
    let shop = Server::start(&[]).await;
    let long = shop.send("GET", &format!("/api/v1/products?q={}", "a".repeat(9_000)), &[], None).await;
    is_problem(&long, &[414], "uri_too_long");
    is_secured(&long, API);
    let value = "v".repeat(9_000);
    let heavy: Vec<_> = ["x-a", "x-b", "x-c", "x-d"].map(|name| (name, value.as_str())).into();
    is_problem(&shop.send("GET", "/api/v1/products", &heavy, None).await, &[431], "headers_too_large");
    let many = vec![("x-many", "v"); 85];
    is_problem(&shop.send("GET", "/api/v1/products", &many, None).await, &[431], "headers_too_large");
    // Within the limits nobody is refused.
    let some = vec![("x-many", "v"); 40];
    assert_eq!(shop.send("GET", "/api/v1/products", &some, None).await.status, 200);
    assert_eq!(shop.send("GET", &format!("/api/v1/products?q={}", "a".repeat(150)), &[], None).await.status, 200);

    let json = ("content-type", "application/json");
    for deep in ["[".repeat(200_000), "{\"a\":".repeat(100_000), format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000))]
    {
        let bare = shop.raw("POST", "/api/v1/users", &[json], deep.clone().into_bytes()).await;
        assert!([400, 422].contains(&bare.status), "{}", bare.text);
        let within = format!("{{\"email\": {deep}");
        let within = shop.raw("POST", "/api/v1/users", &[json], within.into_bytes()).await;
        assert!([400, 422].contains(&within.status), "{}", within.text);
    }
    let alive: Value = shop.get("/api/v1/products", &[]).await;
    assert!(alive["items"].is_array());
}
