//! Secrets are never shown: planted ones are searched for in everything that the program says, at the most
//! talkative level there is, while everything goes wrong that can.

use std::fmt::Write as _;

use eshopz_testkit::db::TestDb;
use eshopz_testkit::redis::TestRedis;
use serde_json::{Value, json};

use super::logins::Login;
use super::places::{Folder, Store, from_secret, patiently};
use super::rotation::changes;
use crate::support::{MODULES, PASSWORD, Process, Shop, address, eshopz, free_port, run, text};

/// The planted secrets. Each is a text that occurs nowhere else; that of the PEM is part of its body.
const DATABASE: &str = "plantedDatabasePassword7f3a";
const REDIS: &str = "plantedRedisPassword91bc";
const KEY: &str = "plantedSecretKey5d20";
const PREVIOUS: &str = "plantedPreviousKey66e1";
const WEBHOOK: &str = "plantedWebhookSecret3c48";
const STRIPE: &str = "sk_plantedStripeKey1a9e";
const PEM_BODY: &str = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
/// Its private half in hex.
const SEED: &str = "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842";
const SMTP: &str = "plantedSmtpPassword8be2";
const BAD: &str = "plantedBadPassword0aa9";

/// Needed with a mail server.
const MAIL_FROM: (&str, &str) = ("ESHOPZ_MAIL_FROM", "shop@example.com");

fn pem() -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{PEM_BODY}\n-----END PRIVATE KEY-----\n")
}

/// Everything that was said and answered.
#[derive(Default)]
struct Heard(String);

impl Heard {
    fn add(&mut self, text: &str) {
        writeln!(self.0, "{text}").unwrap();
    }

    async fn answers(&mut self, process: &Process, shop: &Shop) {
        let client = reqwest::Client::new();
        for path in ["/metrics", "/info", "/health/ready", "/health/live"] {
            let answer = client.get(format!("{}{path}", process.management())).send().await.unwrap();
            self.add(&answer.text().await.unwrap());
        }
        let login = json!({"email": "ada@example.com", "password": "wrong password, all of it"});
        let order = json!({"cart_id": "x", "email": "guest@example.com", "shipping_address": address()});
        for (method, path, headers, body) in [
            ("POST", "/api/v1/auth/login", &[][..], Some(login)),
            ("POST", "/api/v1/carts", &[], Some(json!({}))),
            ("POST", "/api/v1/orders", &[("idempotency-key", "one")], Some(order)),
            ("GET", "/api/v1/products", &[], None),
            ("GET", "/api/v1/orders", &[("authorization", "Bearer nonsense")], None),
            ("POST", "/api/v1/payments/webhooks/sandbox", &[("sandbox-signature", "t=1,v1=00")], Some(json!({}))),
            ("GET", "/api/v1/nowhere", &[], None),
        ] {
            let answer = shop.send(method, path, headers, body).await;
            self.add(&format!("{method} {path} {} {:?} {}", answer.status, answer.headers, answer.text));
        }
        let call = client.post(format!("{}/internal/v1/user/session_role", process.internal())).send().await.unwrap();
        self.add(&format!("{:?} {}", call.headers().clone(), call.text().await.unwrap()));
    }
}

/// The forms in which a text may show: as it is, in hex, and in the three ways in which base64 may meet it.
fn forms(secret: &str) -> Vec<String> {
    let hex = secret.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let mut forms = vec![secret.to_owned(), hex];
    for skipped in 0..3 {
        let whole = secret.len().saturating_sub(skipped) / 3 * 3;
        forms.push(base64(&secret.as_bytes()[skipped..skipped + whole]));
    }
    forms
}

/// Of whole groups of three.
fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let number = three.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(SIGNS[number >> shift & 63]))
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

/// The lines in which a secret shows, in whatever form.
fn found<'a>(heard: &'a str, secret: &str) -> Vec<&'a str> {
    let forms = forms(secret);
    heard.lines().filter(|line| forms.iter().any(|form| line.contains(form.as_str()))).collect()
}

/// A list of bytes, as `Debug` writes it.
fn as_numbers(secret: &str) -> String {
    secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ")
}

#[track_caller]
fn assert_silent(heard: &str) {
    for secret in [DATABASE, REDIS, KEY, PREVIOUS, WEBHOOK, STRIPE, SMTP, PEM_BODY, SEED, BAD] {
        let lines = found(heard, secret);
        assert!(lines.is_empty(), "{secret} is shown in {} lines, first in {}", lines.len(), lines[0]);
        assert!(!heard.contains(&as_numbers(secret)), "{secret} is shown as numbers");
    }
    for part in PEM_BODY.as_bytes().chunks(16).map(|part| std::str::from_utf8(part).unwrap()) {
        assert!(!part.contains("INTuctv5") || !heard.contains(part), "a part of the signing key is shown");
    }
    // Tokens, those of services among them: none but what was answered to who signed in.
    let tokens: Vec<&str> = heard.lines().filter(|line| line.contains("eyJ") && line.contains(".eyJ")).collect();
    assert!(tokens.is_empty(), "a token is shown: {}", tokens[0]);
    assert!(!heard.contains(PASSWORD) && !heard.contains("wrong password, all of it"), "a password is shown");
}

/// The search finds what is there, in every form.
#[test]
fn the_search_can_fail() {
    for form in forms(DATABASE) {
        assert_eq!(found(&format!("quiet\nurl {form}!\nquiet"), DATABASE).len(), 1, "{form}");
    }
    assert_eq!(base64(b"Man"), "TWFu");
    // As in `user:password` of HTTP's basic credentials, whatever comes before.
    for before in ["", "a", "ab"] {
        let padded = format!("{before}{DATABASE}{}", "x".repeat(3 - (before.len() + DATABASE.len()) % 3));
        assert_eq!(found(&base64(padded.as_bytes()), DATABASE).len(), 1, "{before}");
    }
    assert!(found(&format!("{:?}", DATABASE.as_bytes()), DATABASE).is_empty());
    assert!(format!("{:?}", DATABASE.as_bytes()).contains(&as_numbers(DATABASE)));
    let caught = std::panic::catch_unwind(|| assert_silent(&format!("redis://:{REDIS}@cache")));
    assert!(caught.is_err());
}

fn planted(login: &Login, redis: &TestRedis) -> Value {
    json!({
        "database_url": login.url(DATABASE),
        "redis_url": redis.url().replace("redis://", &format!("redis://:{REDIS}@")),
        "secret_key": KEY,
        "secret_key_previous": PREVIOUS,
        "signing_keys": pem(),
        "webhook_secret": WEBHOOK,
        "stripe_secret_key": STRIPE,
        // Where nobody is.
        "smtp_url": format!("smtp://shop:{SMTP}@127.0.0.1:9"),
    })
}

/// A user process and one of all others, so that service tokens travel. The first runs at `first_port`.
async fn pair(folder: &Folder, environment: &[(&'static str, String)]) -> (Process, Process) {
    let (first, second) = (free_port(), free_port());
    let mut environment = environment.to_vec();
    environment.push(("RUST_LOG", "trace".to_owned()));
    environment.push((MAIL_FROM.0, MAIL_FROM.1.to_owned()));
    environment.push(("ESHOPZ_USER_URL", format!("http://127.0.0.1:{}", first + 1_000)));
    for name in ["ESHOPZ_PRODUCT_URL", "ESHOPZ_CART_URL", "ESHOPZ_PAYMENT_URL", "ESHOPZ_ORDER_URL"] {
        environment.push((name, format!("http://127.0.0.1:{}", second + 1_000)));
    }
    let mut users = folder.start("user", first, &environment);
    users.wait_until_ready().await;
    let mut others = folder.start(OTHERS, second, &environment);
    others.wait_until_ready().await;
    (users, others)
}

const OTHERS: &str = "product,cart,payment,order";

#[tokio::test]
async fn secrets_in_the_environment_are_not_shown() {
    let (db, folder, redis) = (TestDb::new(&MODULES).await, Folder::new(), TestRedis::start());
    let login = Login::new(&db, DATABASE).await;
    assert_eq!(redis.ask(&format!("CONFIG SET requirepass {REDIS}")), "+OK");
    let environment: Vec<(&'static str, String)> = [
        ("database_url", "ESHOPZ_DATABASE_URL"),
        ("redis_url", "ESHOPZ_REDIS_URL"),
        ("secret_key", "ESHOPZ_SECRET_KEY"),
        ("secret_key_previous", "ESHOPZ_SECRET_KEY_PREVIOUS"),
        ("signing_keys", "ESHOPZ_SIGNING_KEYS"),
        ("webhook_secret", "ESHOPZ_WEBHOOK_SECRET"),
        ("stripe_secret_key", "ESHOPZ_STRIPE_SECRET_KEY"),
        ("smtp_url", "ESHOPZ_SMTP_URL"),
    ]
    .map(|(key, name)| (name, planted(&login, &redis)[key].as_str().unwrap().to_owned()))
    .to_vec();
    let mut heard = Heard::default();

    let (mut users, mut others) = pair(&folder, &environment).await;
    let mail = folder.0.join("mail");
    let (shop, at_others) = (
        Shop::new(users.public(), db, mail.clone(), 1),
        Shop::new(others.public(), TestDb::new(&MODULES).await, mail, 1),
    );
    let bearer = shop.register("ada@example.com").await;
    patiently(&at_others, "GET", "/api/v1/orders", &[("authorization", &bearer)], None).await.expect(200);
    heard.answers(&users, &shop).await;
    heard.answers(&others, &at_others).await;
    for process in [&mut users, &mut others] {
        assert_eq!(process.terminate().await, 0);
    }
    heard.add(&folder.said("user"));
    heard.add(&folder.said(OTHERS));

    // Commands, with what is right and with what is not.
    let config = eshopz("", &["config"]).envs(environment.clone()).output().unwrap();
    assert!(config.status.success());
    // The search finds what may be shown, so it would find what may not.
    assert!(!found(&text(&config), &login.name).is_empty(), "{}", text(&config));
    heard.add(&text(&config));
    let bad = [
        ("ESHOPZ_DATABASE_URL", format!("postgres://u:{BAD}@127.0.0.1:1/none")),
        ("ESHOPZ_DATABASE_URL", format!("postgres://u:p?{BAD}=1@h/none")),
        ("ESHOPZ_DATABASE_URL", format!("postgres://u:p@h:{BAD}/none")),
        ("ESHOPZ_DATABASE_URL", format!("{BAD}=1 host=h")),
        ("ESHOPZ_DATABASE_URL", login.url(BAD)),
        ("ESHOPZ_DATABASE_READER_URL", format!("postgres://u:{BAD}@h/none?{BAD}=1")),
        ("ESHOPZ_REDIS_URL", format!("redis://:{BAD}@h:port")),
        ("ESHOPZ_REDIS_URL", format!("{BAD}://h")),
        ("ESHOPZ_SIGNING_KEYS", BAD.to_owned()),
        ("ESHOPZ_SIGNING_KEYS", pem().replace("MC4C", "MC5C")),
        ("ESHOPZ_SECRETS", "aws:".to_owned()),
        ("ESHOPZ_SMTP_URL", format!("smtp://u:{BAD}@h:port")),
        ("ESHOPZ_SMTP_URL", format!("smtp://u:{BAD}@h?tls={BAD}")),
    ];
    for (name, value) in bad {
        for arguments in [&["config"][..], &["verify"], &["migrate", "status"], &["serve", "--startup-seconds", "0"]] {
            let mut command = eshopz("", arguments);
            command.envs(environment.clone()).env(MAIL_FROM.0, MAIL_FROM.1).env(name, &value).env("RUST_LOG", "trace");
            let listen = format!("127.0.0.1:{}", free_port());
            if arguments[0] == "serve" {
                command.args(["--listen", &listen]);
                // What a running one does with a Redis or reader that is away is seen elsewhere.
                let stops =
                    ["ESHOPZ_DATABASE_URL", "ESHOPZ_SIGNING_KEYS", "ESHOPZ_SECRETS", "ESHOPZ_SMTP_URL"].contains(&name);
                if !stops && !value.contains(":port") && !value.contains("://h") {
                    continue;
                }
            }
            let output = command.output().unwrap();
            heard.add(&text(&output));
            assert!(arguments[0] != "serve" || !output.status.success(), "{name}: {}", text(&output));
        }
    }
    heard.add(&text(&eshopz("", &["serve", "--help"]).envs(environment).output().unwrap()));
    heard.add(&text(&run(&login.url(DATABASE), &["serve", "--nonsense"], "")));
    assert!(heard.0.contains(r#""level":"TRACE""#), "it is not as talkative as it should be");
    assert_silent(&heard.0);
}

#[tokio::test]
async fn secrets_from_aws_are_not_shown() {
    let (db, store, folder, redis) = (TestDb::new(&MODULES).await, Store::start(), Folder::new(), TestRedis::start());
    let login = Login::new(&db, DATABASE).await;
    assert_eq!(redis.ask(&format!("CONFIG SET requirepass {REDIS}")), "+OK");
    let good = planted(&login, &redis);
    store.create("shop", &good.to_string()).await;
    let mut heard = Heard::default();
    let (mut users, mut others) = pair(&folder, &from_secret(&store, "shop")).await;
    let mail = folder.0.join("mail");
    let (shop, at_others) = (
        Shop::new(users.public(), db, mail.clone(), 1),
        Shop::new(others.public(), TestDb::new(&MODULES).await, mail, 1),
    );
    let bearer = shop.register("ada@example.com").await;
    patiently(&at_others, "GET", "/api/v1/orders", &[("authorization", &bearer)], None).await.expect(200);
    heard.answers(&users, &shop).await;

    let mut count = 0.0;
    for (key, value) in [
        ("database_url", login.url(BAD)),
        ("database_url", format!("postgres://u:{BAD}@127.0.0.1:1/none")),
        ("database_url", format!("postgres://u:p?{BAD}=1@h/none")),
        ("redis_url", format!("redis://:{BAD}@{}", redis.url().replace("redis://", ""))),
        ("redis_url", format!("redis://:{BAD}@h:port")),
        ("smtp_url", format!("smtp://shop:{BAD}@127.0.0.1:9")),
        ("smtp_url", format!("smtp://shop:{BAD}@h:port")),
        ("secret_key", BAD.chars().take(5).collect()),
        ("signing_keys", BAD.to_owned()),
        (BAD, "a key that is none".to_owned()),
        ("secret_key", good["secret_key"].as_str().unwrap().to_owned()),
    ] {
        let mut changed = good.clone();
        changed[key] = json!(value);
        store.put("shop", &changed).await;
        count += 1.0;
        changes(&users, count).await;
        changes(&others, count).await;
        login.throw_out().await;
        heard.answers(&users, &shop).await;
        heard.answers(&others, &at_others).await;
    }
    // It is as it was, and goes on as if nothing had been.
    patiently(&shop, "GET", "/api/v1/users/me", &[("authorization", &bearer)], None).await.expect(200);
    patiently(&at_others, "GET", "/api/v1/orders", &[("authorization", &bearer)], None).await.expect(200);
    for process in [&mut users, &mut others] {
        assert_eq!(process.terminate().await, 0);
    }
    for modules in ["user", OTHERS] {
        let said = folder.said(modules);
        assert!(said.contains("the secrets have changed") && said.contains("are refused"), "{said}");
        // A member's name is told, so that somebody may mend it.
        let told: Vec<&str> = said.lines().filter(|line| line.contains("no secret setting")).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        heard.add(&said.replace(told[0], ""));
    }
    for command in [&["config"][..], &["verify"], &["migrate", "status"]] {
        let output =
            store.eshopz("shop", command).env(MAIL_FROM.0, MAIL_FROM.1).env("RUST_LOG", "trace").output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        heard.add(&text(&output));
    }
    assert!(heard.0.contains(r#""level":"TRACE""#), "it is not as talkative as it should be");
    assert_silent(&heard.0);
}
