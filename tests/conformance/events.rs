//! `Transport`: events to listeners here and away.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use eshopz::wire::Served;
use eshopz::wire::events::WireTransport;
use eshopz_kernel::{EventEnvelope, EventId, Fault};
use eshopz_platform::events::{Listener, LocalTransport, Transport};
use serde_json::json;

use super::Away;

#[derive(Default)]
struct Ear {
    name: &'static str,
    heard: Mutex<Vec<EventEnvelope>>,
}

#[async_trait]
impl Listener for Ear {
    fn name(&self) -> &'static str {
        self.name
    }

    fn events(&self) -> &'static [&'static str] {
        &["user.deleted.v1"]
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        self.heard.lock().unwrap().push(event.clone());
        match event.payload["refuse"].as_bool() {
            Some(true) => Err(Fault::conflict("not_now", "Not now.").with("tries", 3)),
            _ => Ok(()),
        }
    }
}

fn ear(name: &'static str) -> Arc<Ear> {
    Arc::new(Ear { name, ..Ear::default() })
}

fn event(refuse: bool) -> EventEnvelope {
    EventEnvelope {
        id: EventId::new(),
        name: "user.deleted.v1".to_owned(),
        occurred_at: chrono::Utc::now(),
        payload: json!({"refuse": refuse, "note": "ж 🛒", "large": i64::MAX, "none": null}),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_reaches_its_listener_wherever_that_is() {
    let (near, far) = (ear("cart.near"), ear("order.far"));
    let away = Away::new(Served { listeners: vec![far.clone()], ..Served::default() });
    let nearby: Arc<dyn Listener> = near.clone();
    let here = LocalTransport::new([nearby]);
    let transport = WireTransport::new(here, [away.neighbour("order"), away.neighbour("cart")]);
    for ear in [&near, &far] {
        for refuse in [false, true] {
            let event = event(refuse);
            let outcome = transport.deliver(ear.name, &event).await;
            let told = serde_json::to_value(ear.heard.lock().unwrap().last().unwrap()).unwrap();
            assert_eq!(told, serde_json::to_value(&event).unwrap());
            match outcome {
                Ok(()) => assert!(!refuse),
                Err(fault) => assert_eq!((fault.code.as_ref(), fault.details["tries"].as_i64()), ("not_now", Some(3))),
            }
        }
    }
    assert_eq!((near.heard.lock().unwrap().len(), far.heard.lock().unwrap().len()), (2, 2));
    // It comes again later: a relay keeps what was not taken.
    for nowhere in ["order.of_tomorrow", "cart.of_tomorrow", "payment.unknown", ""] {
        assert!(transport.deliver(nowhere, &event(false)).await.is_err(), "{nowhere}");
    }
    away.listener.stop().await;
}
