//! A catalogue that is away: a 503 that the same request mends, and no change that is made twice.

use eshopz_kernel::UserId;
use eshopz_testkit::TestAnswer;
use serde_json::json;

use crate::shop::{Shop, lines, text};

fn assert_to_be_repeated(answer: &TestAnswer) {
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"), "{}", answer.text);
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn while_the_catalogue_is_away_nothing_changes() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    let (mug, jug) = (shop.catalogue.offer(100, 9), shop.catalogue.offer(200, 9));
    guest.add(mug, 2).await;
    let before = guest.read().await;
    let item = text(&before["items"][0], "id");

    shop.catalogue.set_away(true);
    assert_to_be_repeated(&guest.send("GET", "", None).await);
    assert_to_be_repeated(&guest.add(jug, 1).await);
    assert_to_be_repeated(&guest.add(mug, 1).await);
    assert_to_be_repeated(&guest.set(&item, 3).await);
    assert_to_be_repeated(&guest.send("DELETE", &format!("/items/{item}"), None).await);
    shop.catalogue.set_away(false);
    assert_eq!(guest.read().await, before);
    assert_eq!(lines(&guest.add(jug, 1).await.json()), [(2, 100), (1, 200)]);

    // What needs no price goes on.
    shop.catalogue.set_away(true);
    assert_eq!(guest.send("DELETE", "/items", None).await.status, 200);
    assert_eq!(guest.send("DELETE", "", None).await.status, 204);
}

#[tokio::test]
async fn a_merge_without_an_answer_is_repeated() {
    let shop = Shop::open().await;
    let (guest, customer) = (shop.guest().await, shop.customer(UserId::new()).await);
    guest.add(shop.catalogue.offer(100, 9), 2).await;
    let merge = || {
        let body = json!({"cart_id": guest.cart, "token": guest.header.1});
        customer.send("POST", "/merge", Some(body))
    };
    shop.catalogue.set_away(true);
    assert_to_be_repeated(&merge().await);
    shop.catalogue.set_away(false);
    assert_eq!(lines(&merge().await.json()), [(2, 100)]);
}

/// Another line comes in between the look at the catalogue and the change, and its price cannot be asked
/// for any more. The change is done: to call it failed would have the client add it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_done_is_answered() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    let (mug, jug) = (shop.catalogue.offer(100, 9), shop.catalogue.offer(200, 9));
    let (has_come, go) = shop.catalogue.hold();
    let meanwhile = async {
        has_come.await.unwrap();
        assert_eq!(guest.add(jug, 1).await.status, 201);
        shop.catalogue.set_away(true);
        go.send(()).unwrap();
    };
    let (added, ()) = futures::join!(guest.add(mug, 2), meanwhile);
    assert_eq!(added.status, 201, "{}", added.text);
    assert_eq!(lines(&added.json()), [(1, 200), (2, 100)]);
    assert_eq!(added.json()["items"][0]["available"], 0);
    shop.catalogue.set_away(false);
    assert_eq!(guest.read().await["items"][0]["available"], 9);
}
