//! Topics, queues, filters; and that nothing is published into the void.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_sqs::types::QueueAttributeName;
use eshopz_aws::events::setup::{Change, setup};
use eshopz_aws::events::{Names, SnsTransport, Topology};
use eshopz_kernel::{Event as _, Fault};
use eshopz_platform::events::{Subscriptions, Transport as _, topic};
use serde_json::json;

use super::shop::{PUBLISHED, Shop, WidgetMade, WidgetPainted, event, moto, names, sdk};

const GADGET: &str = "gadget.made.v1";

fn topology(names: &Names, listeners: &Subscriptions) -> Arc<Topology> {
    Arc::new(Topology::new(names.clone(), PUBLISHED, listeners).unwrap())
}

/// The events of everything in a queue now; all of it is gone afterwards.
async fn take_all(sqs: &aws_sdk_sqs::Client, queue: &str) -> BTreeSet<String> {
    let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    let mut events = BTreeSet::new();
    loop {
        let call = sqs.receive_message().queue_url(&url).max_number_of_messages(10).wait_time_seconds(0);
        let received = call.message_attribute_names("All").send().await.unwrap();
        if received.messages().is_empty() {
            return events;
        }
        for message in received.messages() {
            let attributes = message.message_attributes().unwrap();
            let event = attributes["event"].string_value().unwrap().to_owned();
            let body: serde_json::Value = serde_json::from_str(message.body().unwrap()).unwrap();
            assert_eq!(body["name"], event);
            assert_eq!(body["id"], attributes["event_id"].string_value().unwrap());
            events.insert(event);
        }
    }
}

#[tokio::test]
async fn a_second_setup_changes_nothing() {
    let sdk = sdk(moto().endpoint()).await;
    let listeners = Subscriptions::default().with("store.count", &[WidgetMade::NAME, GADGET]);
    let topology = topology(&names(), &listeners);
    let steps = setup(&sdk, &topology).await.unwrap();
    assert!(steps.iter().all(|step| step.change == Change::Created), "{steps:?}");
    // Two topics, a queue with its dead letters, a subscription to each topic.
    assert_eq!(steps.len(), 6);
    let again = setup(&sdk, &topology).await.unwrap();
    assert!(again.iter().all(|step| step.change == Change::Unchanged), "{again:?}");

    let sqs = aws_sdk_sqs::Client::new(&sdk);
    let queue = topology.names.queue("store");
    let url = sqs.get_queue_url().queue_name(&queue).send().await.unwrap().queue_url.unwrap();
    let all = sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All).send().await.unwrap();
    let attributes = all.attributes.unwrap();
    let redrive: serde_json::Value = serde_json::from_str(&attributes[&QueueAttributeName::RedrivePolicy]).unwrap();
    assert_eq!(redrive["maxReceiveCount"], 12);
    assert!(redrive["deadLetterTargetArn"].as_str().unwrap().ends_with(&format!("{queue}-dead")));
    let policy: serde_json::Value = serde_json::from_str(&attributes[&QueueAttributeName::Policy]).unwrap();
    let topics = &policy["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"];
    assert_eq!(topics.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn setup_follows_the_listeners() {
    let sdk = sdk(moto().endpoint()).await;
    let names = names();
    let before = Subscriptions::default().with("store.count", &[WidgetMade::NAME, GADGET]);
    setup(&sdk, &topology(&names, &before)).await.unwrap();
    let after = Subscriptions::default().with("store.count", &[WidgetMade::NAME, WidgetPainted::NAME]);
    let mut changed = topology(&names, &after).as_ref().clone();
    changed.max_receives = 5;
    let steps = setup(&sdk, &changed).await.unwrap();
    let of = |change: Change| steps.iter().filter(|step| step.change == change).map(|step| step.what.clone()).collect();
    let (updated, removed): (Vec<String>, Vec<String>) = (of(Change::Updated), of(Change::Removed));
    let (queue, topic) = (names.queue("store"), |module| names.topic(module));
    assert_eq!(updated, [format!("queue {queue}"), format!("subscription {} -> {queue}", topic("widget"))]);
    assert_eq!(removed, [format!("subscription {} -> {queue}", topic("gadget"))]);
    let again = setup(&sdk, &changed).await.unwrap();
    assert!(again.iter().all(|step| step.change == Change::Unchanged), "{again:?}");
}

#[tokio::test]
async fn a_queue_gets_only_what_its_module_takes() {
    let sdk = sdk(moto().endpoint()).await;
    let listeners = Subscriptions::default()
        .with("store.count", &[WidgetMade::NAME])
        .with("audit.note", &[WidgetMade::NAME, WidgetPainted::NAME])
        .with("audit.also", &[GADGET]);
    let topology = topology(&names(), &listeners);
    setup(&sdk, &topology).await.unwrap();
    let transport = SnsTransport::new(&sdk, topology.clone());
    for name in [WidgetMade::NAME, WidgetPainted::NAME, GADGET] {
        transport.deliver(topic::NAME, &event(name, json!({}))).await.unwrap();
    }
    let sqs = aws_sdk_sqs::Client::new(&sdk);
    let store = take_all(&sqs, &topology.names.queue("store")).await;
    assert_eq!(store.into_iter().collect::<Vec<_>>(), [WidgetMade::NAME]);
    let audit = take_all(&sqs, &topology.names.queue("audit")).await;
    assert_eq!(audit.into_iter().collect::<Vec<_>>(), [GADGET, WidgetMade::NAME, WidgetPainted::NAME]);
}

#[tokio::test]
async fn nothing_is_published_while_a_queue_would_miss_it() {
    let sdk = sdk(moto().endpoint()).await;
    let names = names();
    let few = Subscriptions::default().with("store.count", &[WidgetPainted::NAME]);
    let all = few.clone().with("store.count", &[WidgetMade::NAME]).with("audit.note", &[WidgetMade::NAME]);
    let (few, all) = (topology(&names, &few), topology(&names, &all));
    let transport = SnsTransport::new(&sdk, all.clone());
    let made = event(WidgetMade::NAME, json!({}));
    let refused = async || transport.deliver(topic::NAME, &made).await.unwrap_err().to_string();

    let error = refused().await;
    assert!(error.contains(&names.topic("widget")) && error.contains("eshopz events setup"), "{error}");
    setup(&sdk, &few).await.unwrap();
    let error = refused().await;
    assert!(error.contains("does not get widget.made.v1"), "{error}");
    setup(&sdk, &all).await.unwrap();
    transport.deliver(topic::NAME, &made).await.unwrap();
    let sqs = aws_sdk_sqs::Client::new(&sdk);
    for module in ["store", "audit"] {
        assert_eq!(take_all(&sqs, &names.queue(module)).await.len(), 1);
    }
}

#[tokio::test]
async fn an_event_that_sns_does_not_take_says_why() {
    let shop = Shop::with_topics(&["store.count"], 3).await;
    let transport = SnsTransport::new(&shop.sdk, shop.topology.clone());
    let refused = async |name: &str, payload| -> Fault {
        transport.deliver(topic::NAME, &event(name, payload)).await.unwrap_err()
    };
    let error = refused(WidgetMade::NAME, json!("x".repeat(300_000))).await.to_string();
    assert!(error.contains("SNS takes 262144"), "{error}");
    let error = refused("widget.unheard.v1", json!({})).await.to_string();
    assert!(error.contains("no module publishes `widget.unheard.v1`"), "{error}");
}

#[tokio::test]
async fn topics_can_be_named_instead_of_looked_up() {
    let shop = Shop::with_topics(&["store.count"], 3).await;
    let names =
        Names { topic_arns: Some("arn:aws:sns:eu-central-1:123456789012:".to_owned()), ..shop.topology.names.clone() };
    let transport = SnsTransport::new(&shop.sdk, topology(&names, &shop.listeners));
    transport.deliver(topic::NAME, &event(WidgetMade::NAME, json!({}))).await.unwrap();
}
