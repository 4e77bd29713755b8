//! Who sees which payments, and how they are listed.

use eshopz_kernel::UserId;
use eshopz_testkit::db::TestDb;
use serde_json::Value;

use crate::shop::{ORDER_TOKEN, Shop};

#[tokio::test]
async fn a_payment_is_shown_to_its_payer_and_admins() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    let guests = shop.guest_intent(100).await;
    let stranger = shop.app.identity.customer(UserId::new());
    let read = async |path: String, headers: &[(&str, &str)]| {
        shop.app.send("GET", &format!("/api/v1/payments/{path}"), headers, None).await.unwrap().status
    };
    for part in ["", "/refunds", "/transactions"] {
        let (own, guest) = (format!("{}{part}", intent.id), format!("{guests}{part}"));
        assert_eq!(read(own.clone(), &[("authorization", &intent.bearer)]).await, 200);
        assert_eq!(read(own.clone(), &[("authorization", &shop.admin)]).await, 200);
        assert_eq!(read(guest.clone(), &[("x-order-token", ORDER_TOKEN)]).await, 200);
        assert_eq!(read(guest.clone(), &[("authorization", &stranger), ("x-order-token", ORDER_TOKEN)]).await, 200);
        assert_eq!(read(guest.clone(), &[("authorization", &stranger)]).await, 404);
        assert_eq!(read(guest, &[("x-order-token", "guess")]).await, 404);
        assert_eq!(read(own.clone(), &[("authorization", &stranger)]).await, 404);
        assert_eq!(read(own.clone(), &[("x-order-token", ORDER_TOKEN)]).await, 404);
        assert_eq!(read(own.clone(), &[]).await, 404);
        assert_eq!(read(own, &[("authorization", "Bearer nonsense")]).await, 401);
    }
    assert_eq!(read("not-a-uuid".to_owned(), &[("authorization", &shop.admin)]).await, 400);
    assert_eq!(read(UserId::new().to_string(), &[("authorization", &shop.admin)]).await, 404);
}

#[tokio::test]
async fn a_payment_that_has_not_changed_is_not_sent_again() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    let path = format!("/api/v1/payments/{}", intent.id);
    let tag = shop.get(&format!("/{}", intent.id)).await.header("etag");
    let known = [("authorization", shop.admin.as_str()), ("if-none-match", tag.as_str())];
    assert_eq!(shop.app.send("GET", &path, &known, None).await.unwrap().status, 304);
    shop.confirm(&intent, "k", "pm_card_visa").await;
    let changed = shop.app.send("GET", &path, &known, None).await.unwrap();
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), tag);
}

#[tokio::test]
async fn lists_are_pages_of_ones_own() {
    let shop = Shop::open().await;
    let mine = shop.intent(100).await;
    for _ in 0..6 {
        shop.intent(100).await;
    }
    let paid = shop.paid(100).await;
    let list = async |query: &str, bearer: &str| {
        let answer = shop
            .app
            .send("GET", &format!("/api/v1/payments{query}"), &[("authorization", bearer)], None)
            .await
            .unwrap();
        (answer.status, answer.json())
    };
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let (_, own) = list("", &mine.bearer).await;
    assert_eq!(ids(&own), [mine.id.to_string()]);
    let (_, all) = list("?limit=100", &shop.admin).await;
    assert_eq!(ids(&all).len(), 8);
    for sort in ["created_at", "-created_at"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let (status, page) = list(&format!("?limit=3&sort={sort}{cursor}"), &shop.admin).await;
            assert_eq!(status, 200, "{page}");
            seen.extend(ids(&page));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let mut expected = ids(&all);
        if sort == "created_at" {
            expected.reverse();
        }
        assert_eq!(seen, expected, "{sort}");
        let other = if sort == "created_at" { "-created_at" } else { "created_at" };
        let (status, refused) = list(&format!("?sort={other}{cursor}"), &shop.admin).await;
        assert_eq!((status, refused["errors"][0]["code"].as_str()), (422, Some("invalid_cursor")));
    }
    let (_, succeeded) = list("?status=succeeded", &shop.admin).await;
    assert_eq!(ids(&succeeded), [paid.id.to_string()]);
    let (_, of_order) = list(&format!("?order_id={}", mine.order), &shop.admin).await;
    assert_eq!(ids(&of_order), [mine.id.to_string()]);
    let (_, others) = list(&format!("?order_id={}", paid.order), &mine.bearer).await;
    assert_eq!(ids(&others), Vec::<String>::new());
    let ancient = eshopz_kernel::Cursor::encode(&(true, "-200000-01-01T00:00:00Z", uuid::Uuid::nil()));
    assert_eq!(list(&format!("?cursor={ancient}"), &shop.admin).await.0, 422);
    for bad in ["?status=paid", "?limit=0", "?limit=101", "?cursor=x", "?order_id=x", "?sort=amount", "?foo=1"] {
        assert_eq!(list(bad, &shop.admin).await.0, 422, "{bad}");
    }
    assert_eq!(shop.app.send("GET", "/api/v1/payments", &[], None).await.unwrap().status, 401);
}

#[tokio::test]
async fn a_ledger_is_paged_too() {
    let shop = Shop::open().await;
    let intent = shop.paid(100).await;
    for number in 0..5 {
        shop.refund(&intent, &format!("r{number}"), 10).await;
    }
    let first = shop.get(&format!("/{}/transactions?limit=4", intent.id)).await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = shop.get(&format!("/{}/transactions?limit=4&cursor={cursor}", intent.id)).await.json();
    assert_eq!((first["items"].as_array().unwrap().len(), second["items"].as_array().unwrap().len()), (4, 2));
    assert_eq!(first["items"][0]["kind"], "charge");
    assert!(first["items"][0]["gateway_reference"].as_str().unwrap().starts_with("sbx_ch_"));
    let wrong = shop.get(&format!("/{}/refunds?cursor={cursor}", intent.id)).await;
    assert_eq!(wrong.status, 422);
}

#[tokio::test]
async fn a_reader_may_be_behind_but_no_refund_is_missing() {
    let replica = TestDb::new(&["payment"]).await;
    let shop = Shop::open_with_reader(&replica).await;
    let tables = ["payments.payments", "payments.transactions"];
    let intent = shop.paid(100).await;
    let rows = async |path: String| shop.get(&path).await.json()["items"].as_array().unwrap().len();
    let refunds = async || rows(format!("/{}/refunds", intent.id)).await;

    assert_eq!(rows(String::new()).await, 0, "the list is the reader's");
    shop.refund(&intent, "a", 10).await;
    assert_eq!((refunds().await, shop.ledger(&intent).await.len()), (1, 2));
    replica.catch_up_with(&shop.db, &tables).await;
    assert_eq!(rows(String::new()).await, 1);
    shop.refund(&intent, "b", 10).await;
    assert_eq!((refunds().await, shop.ledger(&intent).await.len()), (2, 3));

    replica.catch_up_with(&shop.db, &tables).await;
    // Only the reader has these now.
    shop.plant("DELETE FROM payments.transactions").await;
    assert_eq!((refunds().await, shop.ledger(&intent).await.len()), (2, 3));
}
