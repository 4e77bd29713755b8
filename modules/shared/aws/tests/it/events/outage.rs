//! AWS goes away for a while, under publishers and consumers that stay.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::shop::{Shop, moto, until};

/// A way to the server that can be shut: then it takes nobody in, and those within are cut off.
struct Gate {
    address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Gate {
    async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, is_open) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (server, mut is_open) = (server.clone(), is_open.clone());
                tokio::spawn(async move {
                    if !*is_open.borrow() {
                        return;
                    }
                    let Ok(mut server) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        _ = is_open.wait_for(|open| !open) => {}
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                    }
                });
            }
        });
        Self { address, open }
    }
}

#[tokio::test]
async fn while_aws_is_away_nothing_is_lost() {
    let gate = Gate::before(moto().endpoint().trim_start_matches("http://").to_owned()).await;
    let shop = Shop::at(&format!("http://{}", gate.address), &["store.count"], 12).await;
    shop.setup().await;
    // Both start while it is away: nothing needs it for that.
    gate.open.send(false).unwrap();
    let taker = shop.taker("store.count");
    let running = [shop.relay(), shop.consume("store", std::slice::from_ref(&taker))];
    shop.publish(1).await;
    until("the publisher has tried", async || shop.count("outbox_deliveries WHERE attempts > 1").await == 1).await;
    gate.open.send(true).unwrap();
    until("the first is in", async || shop.count("effects").await == 1).await;

    gate.open.send(false).unwrap();
    for number in 2..30 {
        shop.publish(number).await;
    }
    until("all have been tried", async || shop.count("outbox_deliveries WHERE attempts > 1").await == 28).await;
    assert!(running.iter().all(|one| !one.task.is_finished()));
    gate.open.send(true).unwrap();
    until("all are in", async || shop.count("effects").await == 29).await;
    until("all is published", async || shop.count("outbox_deliveries").await == 0).await;
    let ends = tokio::time::timeout(Duration::from_secs(30), async {
        for one in running {
            one.stop().await;
        }
    });
    ends.await.unwrap();
    assert_eq!(shop.count("(SELECT DISTINCT number FROM effects) AS each").await, 29);
}
