//! Letters by SMTP, to a real server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eshopz_testkit::smtp::SmtpSink;
use eshopz_user::{Mail, Mailer as _, SendError, SmtpMailer, SmtpSettings};
use serde_json::{Value, json};

use crate::shop::{Letters, Shop, settings, until};

const FROM: &str = "EShopz <shop@example.com>";

fn mailer(url: &str, certificates: Option<&[u8]>) -> SmtpMailer {
    SmtpMailer::new(&SmtpSettings { url, from: FROM, certificates, allow_open_password: true }).unwrap()
}

fn mail(to: &str) -> Mail {
    Mail { to: to.to_owned(), subject: "Grüße".to_owned(), text: "Hello, Zoë.\n.\nToken: abc\n".to_owned() }
}

fn header<'a>(letter: &'a Value, name: &str) -> &'a str {
    let (headers, _) = letter["data"].as_str().unwrap().split_once("\r\n\r\n").unwrap();
    headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

#[tokio::test]
async fn a_letter_arrives_whole() {
    let sink = SmtpSink::start(&[]);
    mailer(&format!("smtp://{}", sink.address()), None).send(&mail("ann@example.com")).await.unwrap();
    let letter = &sink.wait_for(1).await[0];
    assert_eq!((&letter["from"], &letter["to"]), (&json!("shop@example.com"), &json!(["ann@example.com"])));
    assert_eq!((&letter["encrypted"], &letter["hello"]), (&json!(false), &json!("example.com")));
    assert_eq!((header(letter, "From"), header(letter, "To")), (FROM, "ann@example.com"));
    assert_eq!(header(letter, "Auto-Submitted"), "auto-generated");
    assert!(header(letter, "Message-ID").ends_with("@example.com>") && !header(letter, "Date").is_empty());
    let text = letter["data"].as_str().unwrap();
    assert!(text.is_ascii() && text.contains("\r\nToken: abc\r\n"), "{text}");
}

#[tokio::test]
async fn a_letter_goes_by_tls_to_who_it_is_meant_for_only() {
    for (scheme, argument) in [("smtp", "--tls"), ("smtps", "--smtps")] {
        let sink = SmtpSink::start(&[argument, "--login", "shop:pass word"]);
        let pem = std::fs::read(sink.certificate()).unwrap();
        let url = |password: &str| format!("{scheme}://shop:{password}@{}?tls=required", sink.address());
        mailer(&url("pass%20word"), Some(&pem)).send(&mail("ann@example.com")).await.unwrap();
        let letter = &sink.wait_for(1).await[0];
        assert_eq!((&letter["encrypted"], &letter["login"]), (&json!(true), &json!("shop")));

        // Nobody vouches for the certificate.
        let strange = mailer(&url("pass%20word"), None).send(&mail("ann@example.com")).await;
        assert!(strange.is_err(), "{strange:?}");
        let other = SmtpSink::start(&[argument]);
        let others = std::fs::read(other.certificate()).unwrap();
        assert!(mailer(&url("pass%20word"), Some(&others)).send(&mail("ann@example.com")).await.is_err());
        // It is good, and another's.
        let elsewhere = SmtpSink::start(&[argument, "--name", "mail.example.com"]);
        let theirs = std::fs::read(elsewhere.certificate()).unwrap();
        let url = format!("{scheme}://{}?tls=required", elsewhere.address());
        assert!(mailer(&url, Some(&theirs)).send(&mail("ann@example.com")).await.is_err());
        assert_eq!(elsewhere.letters().len(), 0);

        let refused = mailer(&format!("{scheme}://shop:wrong@{}?tls=required", sink.address()), Some(&pem));
        assert!(matches!(refused.send(&mail("ann@example.com")).await, Err(SendError::Refused(_))));
        assert_eq!(sink.letters().len(), 1);
    }
}

#[tokio::test]
async fn nothing_goes_out_unencrypted_where_encryption_is_required() {
    let sink = SmtpSink::start(&[]);
    let outcome = mailer(&format!("smtp://{}?tls=required", sink.address()), None).send(&mail("ann@example.com")).await;
    assert!(matches!(outcome, Err(SendError::NotSent(_))), "{outcome:?}");
    assert_eq!(sink.letters().len(), 0);
}

#[tokio::test]
async fn what_the_server_says_is_understood_and_says_nothing_of_whom() {
    let sink = SmtpSink::start(&[]);
    let to = |who: &'static str| {
        let url = format!("smtp://{}", sink.address());
        async move { mailer(&url, None).send(&mail(who)).await.unwrap_err() }
    };
    let refused = to("refused@example.com").await;
    assert!(matches!(refused, SendError::Refused(_)) && refused.to_string().contains("550"), "{refused}");
    assert!(!refused.to_string().contains("refused@"), "{refused}");
    assert!(matches!(to("later@example.com").await, SendError::NotSent(_)));
    let away = mailer("smtp://127.0.0.1:1", None).send(&mail("ann@example.com")).await.unwrap_err();
    assert!(matches!(away, SendError::NotSent(_)), "{away:?}");
}

#[tokio::test]
async fn a_server_that_is_away_loses_no_letter_and_keeps_nobody_waiting() {
    let mut sink = SmtpSink::start(&[]);
    let server = Arc::new(mailer(&format!("smtp://{}", sink.address()), None));
    let shop = Shop::open_mailing(server, Arc::<Letters>::default(), settings()).await;
    sink.stop();
    let began = Instant::now();
    for name in ["ann", "bob"] {
        shop.register(&format!("{name}@example.com")).await;
    }
    for _ in 0..3 {
        let asked = shop.call("POST", "/auth/password-reset", "", json!({"email": "ann@example.com"})).await;
        assert_eq!(asked.status, 202);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let tried = "SELECT count(*) FROM users.letters WHERE attempts >= 2";
    while shop.number(tried).await < 5 {
        assert!(began.elapsed() < Duration::from_secs(20), "they are not tried again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sink.resume(&[]);
    let letters = sink.wait_for(3).await;
    while shop.number("SELECT count(*) FROM users.letters").await > 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "letters are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let to = |letters: &[Value], who: &str, subject: &str| {
        let is = |letter: &&Value| header(letter, "To") == who && header(letter, "Subject") == subject;
        letters.iter().filter(is).count()
    };
    let letters = if letters.len() < sink.letters().len() { sink.letters() } else { letters };
    assert_eq!(to(&letters, "ann@example.com", "Confirm your email address"), 1);
    assert_eq!(to(&letters, "bob@example.com", "Confirm your email address"), 1);
    // One letter answers them all, unless two were on their way together.
    assert!((1..=3).contains(&to(&letters, "ann@example.com", "Choose a new password")));
    let text = letters.iter().find(|letter| header(letter, "Subject") == "Choose a new password").unwrap();
    let token = text["data"].as_str().unwrap().lines().find_map(|line| line.strip_prefix("Token: ")).unwrap();
    let confirm = json!({"token": token, "new_password": "battery staple correct"});
    assert_eq!(shop.call("POST", "/auth/password-reset/confirm", "", confirm).await.status, 204);
    until("nothing is left to do", || true).await;
}
