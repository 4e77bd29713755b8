//! What a module cannot take in ends beside its queue, can be looked at, and can come back.

use eshopz_aws::events::dead::{DeadMessage, Filter, Redriven, list, redrive};
use eshopz_kernel::{Event as _, EventId};

use super::shop::{Mood, Shop, WidgetMade, until};

async fn dead(shop: &Shop) -> Vec<DeadMessage> {
    list(&shop.sdk, &shop.topology.names, &["store"], 100).await.unwrap()
}

async fn back(shop: &Shop, filter: &Filter) -> Redriven {
    redrive(&shop.sdk, &shop.topology.names, &["store"], filter, &mut |_| {}).await.unwrap()
}

#[tokio::test]
async fn what_never_succeeds_is_a_dead_letter_until_it_is_redriven() {
    let shop = Shop::with_topics(&["store.count"], 2).await;
    let taker = shop.taker("store.count");
    taker.feel(Mood::Failing);
    let (first, second) = (shop.publish(1).await, shop.publish(2).await);
    let running = [shop.relay(), shop.consume("store", std::slice::from_ref(&taker))];
    until("two are dead", async || dead(&shop).await.len() == 2).await;
    assert_eq!(taker.calls(), 4);

    // Looking takes nothing away.
    let letters = dead(&shop).await;
    assert!(letters.iter().all(|letter| letter.module == "store" && letter.body.contains("widget.made.v1")));
    let mut ids: Vec<EventId> = letters.iter().map(|letter| letter.event.as_ref().unwrap().id).collect();
    ids.sort();
    assert_eq!(ids, [first, second]);
    assert_eq!(list(&shop.sdk, &shop.topology.names, &["store"], 1).await.unwrap().len(), 1);

    taker.feel(Mood::Well);
    let other = Filter { event: Some("widget.painted.v1".to_owned()), ..Filter::default() };
    assert_eq!(back(&shop, &other).await, Redriven { moved: 0, kept: 2, more: false });
    let one = Filter { event_id: Some(second), event: Some(WidgetMade::NAME.to_owned()) };
    assert_eq!(back(&shop, &one).await, Redriven { moved: 1, kept: 1, more: false });
    until("the second is in", async || shop.count("effects WHERE number = 2").await == 1).await;
    assert_eq!(back(&shop, &Filter::default()).await, Redriven { moved: 1, kept: 0, more: false });
    until("the first is in", async || shop.count("effects WHERE number = 1").await == 1).await;
    assert!(dead(&shop).await.is_empty());
    for one in running {
        one.stop().await;
    }
}

#[tokio::test]
async fn a_panic_is_a_failure_like_any_other() {
    let shop = Shop::with_topics(&["store.count"], 2).await;
    let taker = shop.taker("store.count");
    taker.feel(Mood::Panicking);
    shop.publish(1).await;
    let running = [shop.relay(), shop.consume("store", std::slice::from_ref(&taker))];
    until("it is dead", async || dead(&shop).await.len() == 1).await;
    taker.feel(Mood::Well);
    // The consumer has outlived it.
    shop.publish(2).await;
    until("the next is in", async || shop.count("effects WHERE number = 2").await == 1).await;
    for one in running {
        one.stop().await;
    }
}

#[tokio::test]
async fn what_is_no_event_goes_to_the_dead_letters() {
    let shop = Shop::with_topics(&["store.count"], 2).await;
    let sqs = aws_sdk_sqs::Client::new(&shop.sdk);
    let queue = shop.topology.names.queue("store");
    let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    let other = serde_json::to_string(&super::shop::event("widget.bent.v1", serde_json::json!({}))).unwrap();
    for body in ["not ours", other.as_str()] {
        sqs.send_message().queue_url(&url).message_body(body).send().await.unwrap();
    }
    let taker = shop.taker("store.count");
    let consumer = shop.consume("store", std::slice::from_ref(&taker));
    until("both are dead", async || dead(&shop).await.len() == 2).await;
    consumer.stop().await;
    assert_eq!(taker.calls(), 0);
    let letters = dead(&shop).await;
    assert!(letters.iter().any(|letter| letter.event.is_none() && letter.body == "not ours"));
}
