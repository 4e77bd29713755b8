//! Letters wait in the database until they are out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use eshopz_user::{Mail, Mailer, SendError};
use serde_json::json;
use tokio::sync::{Semaphore, watch};

use crate::shop::{BrokenMailer, Letters, Shop, module, settings, until};

const WAITING: &str = "SELECT count(*) FROM users.letters";
const TOKENS: &str = "SELECT count(*) FROM users.mailed_tokens";

/// Stands still until it is let go.
struct Stuck {
    begun: AtomicUsize,
    go: Semaphore,
}

#[async_trait]
impl Mailer for Stuck {
    async fn send(&self, _: &Mail) -> Result<(), SendError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _go = self.go.acquire().await.unwrap();
        Ok(())
    }
}

async fn becomes(shop: &Shop, query: &str, expected: i64) {
    let began = Instant::now();
    while shop.number(query).await != expected {
        assert!(began.elapsed() < Duration::from_secs(10), "never {expected}: {query}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_letter_goes_out_within_a_second_and_leaves_no_row() {
    let shop = Shop::open().await;
    for email in ["ann@example.com", "bob@example.com"] {
        let began = Instant::now();
        shop.register(email).await;
        shop.letters.token(email, "Confirm").await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
    becomes(&shop, WAITING, 0).await;
    assert_eq!(shop.number(TOKENS).await, 2);
}

#[tokio::test]
async fn no_token_waits_with_a_letter() {
    let shop = Shop::open_mailing(Arc::new(BrokenMailer), Arc::default(), settings()).await;
    shop.register("ann@example.com").await;
    becomes(&shop, "SELECT coalesce(max(attempts), 0)::int8 FROM users.letters", 2).await;
    becomes(&shop, TOKENS, 0).await;
    // Another process with a mail server that works takes it over.
    let letters = Arc::<Letters>::default();
    let (_open, closed) = watch::channel(false);
    tokio::spawn(module(&shop.base, letters.clone(), settings()).deliver_mail(closed));
    shop.sql("UPDATE users.letters SET available_at = now()").await;
    let token = loop {
        if letters.count("ann@example.com") > 0 {
            break letters.token("ann@example.com", "Confirm").await;
        }
        shop.sql("UPDATE users.letters SET available_at = now() WHERE available_at > now() + interval '1 minute'")
            .await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(shop.call("POST", "/auth/verify-email", "", json!({"token": token})).await.status, 204);
}

#[tokio::test]
async fn what_a_process_held_that_died_is_sent_by_another() {
    let stuck = Arc::new(Stuck { begun: AtomicUsize::new(0), go: Semaphore::new(0) });
    let shop = Shop::open_mailing(stuck.clone(), Arc::default(), settings()).await;
    shop.register("ann@example.com").await;
    until("it is being sent", || stuck.begun.load(Ordering::SeqCst) == 1).await;
    let letters = Arc::<Letters>::default();
    let (_open, closed) = watch::channel(false);
    tokio::spawn(module(&shop.base, letters.clone(), settings()).deliver_mail(closed));
    // While the lease holds, nobody else sends it.
    shop.register("bob@example.com").await;
    until("both work", || letters.count("bob@example.com") + stuck.begun.load(Ordering::SeqCst) == 2).await;
    assert_eq!(letters.count("ann@example.com"), 0);
    let held = "SELECT count(*) FROM users.letters WHERE available_at > now() + interval '60 seconds'";
    assert!(shop.number(held).await >= 1);
    // The first one looks for letters as well, and may be the one to take it again.
    for _ in 0..50 {
        if letters.count("ann@example.com") > 0 {
            break;
        }
        shop.sql("UPDATE users.letters SET available_at = now() - interval '1 second'").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    letters.token("ann@example.com", "Confirm").await;
    // The one that was thought dead is not in the way of anything.
    stuck.go.add_permits(10);
    becomes(&shop, WAITING, 0).await;
}

#[tokio::test]
async fn two_processes_send_a_letter_once() {
    let shop = Shop::open().await;
    let others = Arc::<Letters>::default();
    let (_open, closed) = watch::channel(false);
    tokio::spawn(module(&shop.base, others.clone(), settings()).deliver_mail(closed));
    for number in 0..20 {
        shop.register(&format!("a{number}@example.com")).await;
    }
    becomes(&shop, WAITING, 0).await;
    for number in 0..20 {
        let email = format!("a{number}@example.com");
        assert_eq!(shop.letters.count(&email) + others.count(&email), 1, "{email}");
    }
}

#[tokio::test]
async fn a_letter_that_nobody_wants_any_more_is_not_sent() {
    let stuck = Arc::new(Stuck { begun: AtomicUsize::new(0), go: Semaphore::new(0) });
    let shop = Shop::open_mailing(stuck.clone(), Arc::default(), settings()).await;
    // They take all the room that there is, so that the others wait.
    for name in ["a", "b", "c", "d"] {
        shop.register(&format!("{name}@example.com")).await;
    }
    until("there is no room", || stuck.begun.load(Ordering::SeqCst) == 4).await;
    let gone = shop.customer("gone@example.com").await;
    shop.customer("verified@example.com").await;
    let reset = |email: &'static str| shop.call("POST", "/auth/password-reset", "", json!({"email": email}));
    for email in ["gone@example.com", "nobody@example.com"] {
        assert_eq!(reset(email).await.status, 202);
    }
    shop.sql("UPDATE users.users SET email_verified_at = now() WHERE email = 'verified@example.com'").await;
    let deleted = shop.call("DELETE", "/users/me", &gone, serde_json::Value::Null).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    stuck.go.add_permits(100);
    becomes(&shop, WAITING, 0).await;
    assert_eq!(stuck.begun.load(Ordering::SeqCst), 4);
    assert!(shop.module.verify().await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn a_letter_is_given_up_when_nobody_waits_for_it_any_more() {
    let shop = Shop::open_mailing(Arc::new(BrokenMailer), Arc::default(), settings()).await;
    shop.register("ann@example.com").await;
    becomes(&shop, WAITING, 1).await;
    shop.sql("UPDATE users.letters SET created_at = now() - interval '2 days', available_at = now()").await;
    becomes(&shop, "SELECT count(*) FROM users.letters WHERE attempts > 2", 1).await;
    shop.sql("UPDATE users.letters SET created_at = now() - interval '4 days', available_at = now()").await;
    becomes(&shop, WAITING, 0).await;
}

#[tokio::test]
async fn a_request_for_a_reset_looks_the_same_in_the_database_for_any_email() {
    let stuck = Arc::new(Stuck { begun: AtomicUsize::new(0), go: Semaphore::new(0) });
    let shop = Shop::open_mailing(stuck, Arc::default(), settings()).await;
    let statement = "CREATE FUNCTION users.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                     INSERT INTO users.kept VALUES (NEW.user_id, NEW.address); RETURN NEW; END $$; \
                     CREATE TABLE users.kept (user_id uuid, address text); \
                     CREATE TRIGGER keep AFTER INSERT ON users.letters FOR EACH ROW EXECUTE FUNCTION users.keep()";
    shop.register("ann@example.com").await;
    shop.sql(statement).await;
    for email in ["ann@example.com", "nobody@example.com"] {
        assert_eq!(shop.call("POST", "/auth/password-reset", "", json!({"email": email})).await.status, 202);
    }
    assert_eq!(shop.number("SELECT count(*) FROM users.kept WHERE user_id IS NULL AND address IS NOT NULL").await, 2);
}

#[tokio::test]
async fn another_mail_server_takes_over_without_a_restart() {
    let shop = Shop::open_mailing(Arc::new(BrokenMailer), Arc::default(), settings()).await;
    shop.register("ann@example.com").await;
    becomes(&shop, "SELECT count(*) FROM users.letters WHERE attempts > 0", 1).await;
    let letters = Arc::<Letters>::default();
    shop.module.replace_mailer(letters.clone());
    letters.token("ann@example.com", "Confirm").await;
}
