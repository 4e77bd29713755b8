//! What happens to carts without a request.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use eshopz_kernel::{Event as _, EventEnvelope, EventId, UserId};
use eshopz_user_api::{ExportRequested, UserApi, UserDeleted};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::accounts::Accounts;
use crate::shop::Shop;

#[tokio::test]
async fn carts_end_when_their_time_is_up() {
    let shop = Shop::open().await;
    let (idle, old, fresh) = (shop.guest().await, shop.guest().await, shop.guest().await);
    let customer = shop.customer(UserId::new()).await;
    old.add(shop.catalogue.offer(100, 9), 1).await;
    shop.plant(&format!(
        "UPDATE carts SET expires_at = now() - interval '1 minute' WHERE id IN ('{}', '{}'); \
         UPDATE carts SET status = 'abandoned', closed_at = now() - interval '31 days' WHERE id = '{}';",
        idle.cart, customer.cart, old.cart
    ))
    .await;
    let (stop, shutdown) = watch::channel(false);
    for job in shop.carts.jobs() {
        tokio::spawn(job.run(shop.base.db("carts"), shutdown.clone()));
    }
    let done = async {
        while shop.count("carts WHERE status = 'abandoned'").await != 2 || shop.count("cart_items").await != 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), done).await.unwrap();
    stop.send_replace(true);
    assert_eq!(old.send("GET", "", None).await.status, 404);
    assert_eq!(idle.read().await["status"], "abandoned");
    assert_eq!(fresh.read().await["status"], "open");
    assert_eq!(shop.count("carts").await, 3);
}

#[tokio::test]
async fn a_change_moves_the_end() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    shop.plant("UPDATE carts SET expires_at = now() + interval '1 hour'").await;
    guest.read().await;
    assert_eq!(shop.count("carts WHERE expires_at > now() + interval '29 days'").await, 0);
    guest.add(shop.catalogue.offer(100, 9), 1).await;
    assert_eq!(shop.count("carts WHERE expires_at > now() + interval '29 days'").await, 1);
}

#[tokio::test]
async fn a_deleted_account_takes_its_carts_along() {
    let shop = Shop::open().await;
    let user = UserId::new();
    let (customer, guest) = (shop.customer(user).await, shop.guest().await);
    let stays = shop.customer(UserId::new()).await;
    guest.add(shop.catalogue.offer(100, 9), 1).await;
    customer.add(shop.catalogue.offer(200, 9), 1).await;
    customer.send("POST", "/merge", Some(json!({"cart_id": guest.cart, "token": guest.header.1}))).await;
    let payload = serde_json::to_value(UserDeleted { user_id: user, email_hash: None, at: Utc::now() }).unwrap();
    let name = UserDeleted::NAME.to_owned();
    let event = EventEnvelope { id: EventId::new(), name, occurred_at: Utc::now(), payload, traceparent: None };
    let users: Arc<dyn UserApi> = Accounts::shared();
    let listeners = shop.carts.listeners(&users);
    let listener = listeners.iter().find(|listener| listener.name() == "cart.forget_customer").unwrap();
    assert_eq!(listener.events(), [UserDeleted::NAME]);
    listener.handle(&event).await.unwrap();
    assert_eq!((shop.count("carts").await, shop.count("cart_items").await), (1, 0));
    stays.read().await;
    // The event comes again, when somebody of that id has a cart once more: it counts once.
    shop.customer(user).await;
    listener.handle(&event).await.unwrap();
    assert_eq!(shop.count("carts").await, 2);
}

#[tokio::test]
async fn a_persons_carts_are_handed_over_in_parts() {
    let shop = Shop::open().await;
    let user = UserId::new();
    let ours = shop.customer(user).await;
    ours.add(shop.catalogue.offer(200, 9), 3).await;
    shop.customer(UserId::new()).await;
    shop.plant(&format!(
        "INSERT INTO carts (id, customer_id, currency, expires_at, status, closed_at, order_id) \
         SELECT gen_random_uuid(), '{user}', 'USD', now(), 'ordered', now(), gen_random_uuid() FROM generate_series(1, 20)"
    ))
    .await;
    let accounts = Accounts::shared();
    let users: Arc<dyn UserApi> = accounts.clone();
    let listeners = shop.carts.listeners(&users);
    let listener = listeners.iter().find(|listener| listener.name() == "cart.export").unwrap();
    let request = ExportRequested { export_id: Uuid::now_v7(), user_id: user, email_hash: None, at: Utc::now() };
    let (payload, name) = (serde_json::to_value(&request).unwrap(), ExportRequested::NAME.to_owned());
    let event = EventEnvelope { id: EventId::new(), name, occurred_at: Utc::now(), payload, traceparent: None };
    listener.handle(&event).await.unwrap();
    let parts = accounts.exported.lock().unwrap();
    let told: Vec<_> = parts.iter().map(|part| (part.module.as_str(), part.number, part.is_last)).collect();
    assert_eq!(told, [("cart", 0, false), ("cart", 1, false), ("cart", 2, true)]);
    assert!(parts.iter().all(|part| part.export_id == request.export_id));
    let carts: Vec<&Value> = parts.iter().flat_map(|part| part.document["carts"].as_array().unwrap()).collect();
    assert_eq!(carts.len(), 21);
    let open = carts.iter().find(|cart| cart["status"] == "open").unwrap();
    assert_eq!((&open["id"], &open["items"][0]["quantity"]), (&json!(ours.cart), &json!(3)));
    assert!(!parts.iter().any(|part| part.document.to_string().contains("token_hash")));
}

#[tokio::test]
async fn verify_finds_what_is_wrong() {
    let shop = Shop::open().await;
    shop.guest().await;
    shop.guest().await;
    let report = shop.carts.verify().await.unwrap();
    assert_eq!(report.findings, []);
    assert!(report.checked.len() > 3);
    shop.plant(
        "UPDATE carts SET status = 'ordered', closed_at = now(), order_id = '00000000-0000-7000-8000-000000000000'; \
         INSERT INTO carts (id, currency, token_hash, expires_at) \
            VALUES ('00000000-0000-7000-8000-000000000001', 'USD', sha256('a'), now() - interval '2 days'); \
         INSERT INTO carts (id, currency, token_hash, expires_at, status, closed_at, merged_into) \
            VALUES (gen_random_uuid(), 'USD', sha256('b'), now(), 'abandoned', now(), '00000000-0000-7000-8000-000000000001');",
    )
    .await;
    let mut checks: Vec<_> = shop.carts.verify().await.unwrap().findings.iter().map(|finding| finding.check).collect();
    checks.sort_unstable();
    assert_eq!(checks, ["cart_expired", "cart_merged_into_customers", "cart_one_per_order"]);
}
