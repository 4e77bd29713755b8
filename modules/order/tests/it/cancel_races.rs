//! Lines, the whole order and its shipment race: whoever is first, stock and money agree.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::cancel_lines::{cancel, items, paid, ship};
use crate::shop::{Shop, path, text};

/// The lines of an order, and what of the payment is back, agree whoever was first.
async fn assert_settled(shop: &Shop, order: &Value, price: i64) -> Value {
    shop.deliver_own_events().await;
    let read = shop.get(&path(order, ""), &vec![("x-order-token", text(order, "token"))]).await.json();
    let gone: i64 = read["items"][0]["cancelled_quantity"].as_i64().unwrap() * price
        + read["items"][1]["cancelled_quantity"].as_i64().unwrap() * 3_333;
    assert_eq!(read["payment"]["refunded_amount"]["amount"], gone, "{read}");
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_cancel_the_same_line_never_cancel_more_than_there_is() {
    let shop = Shop::open().await;
    for _ in 0..12 {
        let (order, mug, _) = paid(&shop).await;
        let answers = join_all((0..4).map(|_| cancel(&shop, &order, &[], items(&[(mug, 2)])))).await;
        let won = answers.iter().filter(|answer| answer.status == 200).count();
        let lost = answers.iter().filter(|answer| answer.code() == "exceeds_ordered").count();
        assert_eq!((won, lost), (1, 3), "{:?}", answers.iter().map(|answer| &answer.text).collect::<Vec<_>>());
        assert_settled(&shop, &order, 1_000).await;
        assert_eq!(shop.near.available(mug), 9);
    }
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_races_with_shipping() {
    let shop = Shop::open().await;
    for round in 0..16 {
        let (order, mug, pot) = paid(&shop).await;
        let body = if round % 2 == 0 { items(&[(mug, 1)]) } else { json!({}) };
        let (cancelled, shipped) = futures::join!(cancel(&shop, &order, &[], body), ship(&shop, &order));
        let read = assert_settled(&shop, &order, 1_000).await;
        match (round % 2, cancelled.status, shipped.status) {
            // Lines may be cancelled before it is shipped without them.
            (0, 200, 200) => assert_eq!((text(&read, "status"), shop.near.available(mug)), ("shipped", 8)),
            (1, 200, 409) => assert_eq!((text(&read, "status"), shop.near.available(pot)), ("cancelled", 10)),
            (_, 409, 200) => assert_eq!((text(&read, "status"), shop.near.available(mug)), ("shipped", 7)),
            other => panic!("round {round}: {other:?} {} {}", cancelled.text, shipped.text),
        }
    }
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_race_with_the_whole() {
    let shop = Shop::open().await;
    for _ in 0..12 {
        let (order, mug, pot) = paid(&shop).await;
        let (lines, whole, last) = futures::join!(
            cancel(&shop, &order, &[], items(&[(mug, 2)])),
            cancel(&shop, &order, &[], json!({})),
            cancel(&shop, &order, &[], items(&[(pot, 1)])),
        );
        assert_eq!(whole.status, 200, "{}", whole.text);
        assert!([&lines, &last].iter().all(|answer| answer.status == 200 || answer.code() == "invalid_transition"));
        let read = assert_settled(&shop, &order, 1_000).await;
        assert_eq!(
            (text(&read, "status"), &read["payment"]["refunded_amount"]),
            ("cancelled", &order["totals"]["total"])
        );
        assert_eq!((shop.near.available(mug), shop.near.available(pot)), (10, 10));
        // The whole never takes what the lines were promised: their refunds are made before the rest is undone.
        assert!(read["refunds"].as_array().unwrap().iter().all(|refund| refund["status"] == "succeeded"), "{read}");
    }
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}
