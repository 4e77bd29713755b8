//! A listener whose process is away: its events wait, count no attempts, and go on soon after it is back.

use std::net::{SocketAddr, TcpListener};

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use eshopz_platform::wire::{Gate, Methods, Neighbour, NeighbourConfig, ServiceKeys, Tuning, guard};
use tokio::io::AsyncReadExt as _;

use super::*;

const LISTENER: &str = "test.take";

fn keys() -> ServiceKeys {
    ServiceKeys::new(vec!["a secret of these tests".to_owned()]).unwrap()
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The way to a listener in another process.
struct Wire {
    neighbour: Neighbour,
    tries: AtomicUsize,
}

impl Wire {
    fn to(address: SocketAddr) -> Arc<Self> {
        let (url, tuning) = (format!("http://{address}"), Tuning::default());
        let config = NeighbourConfig { module: "test", caller: "relay".to_owned(), url, keys: keys(), tuning };
        Arc::new(Self { neighbour: Neighbour::new(config).unwrap(), tries: AtomicUsize::default() })
    }

    fn tries(&self) -> usize {
        self.tries.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Transport for Wire {
    async fn deliver(&self, listener: &str, event: &EventEnvelope) -> Result<(), Fault> {
        self.tries.fetch_add(1, Ordering::SeqCst);
        self.neighbour.read_within(&format!("events/{listener}"), event, Duration::from_secs(5)).await
    }
}

/// The process of the listener.
fn listen(address: SocketAddr, taker: Taker) -> ServerHandle {
    let (taker, gate) = (Arc::new(taker), web::Data::new(Gate::new(keys())));
    let server = HttpServer::new(move || {
        let take = |taker: Arc<Taker>, event: EventEnvelope| async move { taker.handle(&event).await };
        let methods = Methods::of("test").method(&format!("events/{LISTENER}"), &taker, take);
        App::new().wrap(from_fn(guard)).app_data(gate.clone()).service(methods.into_scope())
    });
    let server = server.workers(1).disable_signals().bind_auto_h2c(address).unwrap().run();
    let handle = server.handle();
    tokio::spawn(server);
    handle
}

fn relay(widgets: &Widgets, wire: &Arc<Wire>, max_attempts: i32) -> Running {
    let subscriptions = Subscriptions::default().with(LISTENER, &[WidgetMade::NAME]);
    widgets.relay_by(wire.clone(), subscriptions, RelayConfig { max_attempts, ..quick() })
}

#[tokio::test]
async fn events_of_an_absent_listener_do_not_age() {
    let widgets = Widgets::new().await;
    let address = free_address();
    let wire = Wire::to(address);
    let relay = relay(&widgets, &wire, 3);
    widgets.publish(1).await;
    until("it has been tried often", async || wire.tries() > 20).await;
    assert_eq!(widgets.lag().await.dead, 0);
    assert_eq!(widgets.count("outbox_deliveries WHERE attempts <= 1 AND last_error LIKE '%unavailable%'").await, 1);

    // It is back, and fails by itself at first: that counts, from the beginning.
    let taker = widgets.taker(LISTENER);
    taker.fails.store(true, Ordering::SeqCst);
    let process = listen(address, taker.clone());
    until("it is a dead letter", async || widgets.lag().await.dead == 1).await;
    assert_eq!(taker.calls.load(Ordering::SeqCst), 3);
    taker.fails.store(false, Ordering::SeqCst);
    widgets.publish(2).await;
    until("the next arrives", async || widgets.published().await == 1).await;
    relay.stop().await;
    process.stop(false).await;
}

#[tokio::test]
async fn an_old_event_waits_as_briefly_as_a_new_one() {
    let widgets = Widgets::new().await;
    let (wire, subscriptions) =
        (Wire::to(free_address()), Subscriptions::default().with(LISTENER, &[WidgetMade::NAME]));
    widgets.publish(1).await;
    widgets.execute("UPDATE outbox SET occurred_at = now() - interval '10 minutes'").await;
    let relay = widgets.relay_by(wire.clone(), subscriptions, RelayConfig::default());
    until("it has failed", async || widgets.count("outbox_deliveries WHERE last_error IS NOT NULL").await == 1).await;
    let soon = "outbox_deliveries WHERE attempts = 0 AND available_at BETWEEN now() AND now() + interval '15 seconds'";
    assert_eq!(widgets.count(soon).await, 1);
    relay.stop().await;
}

#[tokio::test]
async fn what_is_away_for_days_is_told_of() {
    let widgets = Widgets::new().await;
    let wire = Wire::to(free_address());
    widgets.publish(1).await;
    widgets.execute("UPDATE outbox SET occurred_at = now() - interval '25 hours'").await;
    let relay = relay(&widgets, &wire, 3);
    until("it is a dead letter", async || widgets.lag().await.dead == 1).await;
    assert_eq!(wire.tries(), 3);
    relay.stop().await;
}

#[tokio::test]
async fn an_event_that_ends_the_listeners_process_comes_to_an_end() {
    let widgets = Widgets::new().await;
    let rude = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wire = Wire::to(rude.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = rude.accept().await {
            let _ = socket.read(&mut [0; 1_024]).await;
        }
    });
    let relay = relay(&widgets, &wire, 3);
    widgets.publish(1).await;
    until("it is a dead letter", async || widgets.lag().await.dead == 1).await;
    relay.stop().await;
}
