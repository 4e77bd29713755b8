//! A process that does nothing but relay the events of `widgets` to listeners of its own, one for all of them and
//! one for those that are sold, for a test to kill: `widget-relay <database url> [hang]`. With `hang` its
//! listeners never come back. It ends when its standard input does, so that none outlives its test.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eshopz_kernel::{Event as _, EventEnvelope, Fault};
use eshopz_platform::db::{Db, DbConfig};
use eshopz_platform::events::{Listener, LocalTransport, Relay, RelayConfig, Subscriptions};
use eshopz_testkit::widgets::{self, WidgetMade, WidgetSold};
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;

struct Taker {
    name: &'static str,
    events: &'static [&'static str],
    db: Db,
    hangs: bool,
}

#[async_trait]
impl Listener for Taker {
    fn name(&self) -> &'static str {
        self.name
    }

    fn events(&self) -> &'static [&'static str] {
        self.events
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        widgets::take(&self.db, self.name, event).await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("widget-relay <database url> [hang]")?;
    let hangs = arguments.next().is_some_and(|argument| argument == "hang");
    let config = DbConfig { url, reader_url: None, max_connections: 10, acquire_timeout: Duration::from_secs(30) };
    let db = Db::new(widgets::SCHEMA, &config)?;
    let taker = |name, events| -> Arc<dyn Listener> { Arc::new(Taker { name, events, db: db.clone(), hangs }) };
    let listeners = [taker("test.all", &[WidgetMade::NAME, WidgetSold::NAME]), taker("test.sold", &[WidgetSold::NAME])];
    let subscriptions = Subscriptions::of(&listeners);
    let transport = Arc::new(LocalTransport::new(listeners));
    let (stop, shutdown) = watch::channel(false);
    let relay = tokio::spawn(Relay::new(db, transport, subscriptions, RelayConfig::default()).run(shutdown));
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    stop.send_replace(true);
    Ok(relay.await?)
}
