//! How a process goes down: everything that it waits for is over by one time, the end of the grace.

use std::time::Duration;

use actix_web::dev::ServerHandle;
use anyhow::anyhow;
use eshopz_platform::home;
use eshopz_platform::tasks::Tasks;
use futures::future::join_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::background::Background;
use crate::server::Readiness;
use crate::wire::InternalListener;

/// A listener's server.
pub(super) type Listening = JoinHandle<std::io::Result<()>>;

/// How long a stop may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For load balancers to notice.
    pub drain: Duration,
    /// For what is under way.
    pub grace: Duration,
}

/// SIGTERM and SIGINT, and when they came.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    told_at: Option<Instant>,
}

/// Everything that is up once a process is ready, the management listener aside: that one tells how it goes down.
pub(super) struct Running {
    pub public: Listening,
    pub public_handle: ServerHandle,
    pub internal: InternalListener,
    /// Work of requests that outlives them.
    pub tasks: Vec<Tasks>,
    pub background: Background,
}

impl StopSignals {
    pub(super) fn new() -> std::io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, told_at: None })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        self.told_at.get_or_insert_with(Instant::now);
    }

    /// When all has to be over, counted from the signal; from now when nobody sent one, and something ended by
    /// itself.
    pub(super) fn until(&mut self, patience: Patience) -> Instant {
        *self.told_at.get_or_insert_with(Instant::now) + patience.drain + patience.grace
    }
}

/// Resolves when a listener has ended by itself, which none should.
pub(super) async fn ended(name: &str, listener: &mut Listening) -> anyhow::Error {
    anyhow!("the {name} listener ended by itself: {:?}", listener.await)
}

impl Running {
    /// Runs until told to stop, or until a part has ended, each of which is essential; then ends the others.
    pub(super) async fn until_told(
        mut self,
        patience: Patience,
        readiness: &Readiness,
        management: &mut Listening,
        signals: &mut StopSignals,
    ) -> anyhow::Result<()> {
        let outcome = tokio::select! {
            () = signals.wait() => Ok(()),
            ended = ended("public", &mut self.public) => Err(ended),
            // Without it nobody sees how the process is.
            ended = ended("management", management) => Err(ended),
            ended = self.internal.ended() => Err(ended),
            ended = self.background.ended() => Err(ended),
        };
        let until = signals.until(patience);
        readiness.set(false);
        self.internal.leave();
        home::leave();
        self.background.wind_down();
        sleep(patience.drain).await;
        self.go_down(until).await;
        outcome
    }

    /// Each part has what those before it have left.
    async fn go_down(self, until: Instant) {
        let left = || until.saturating_duration_since(Instant::now());
        let public = timeout_at(until, self.public_handle.stop(true));
        let (public, ()) = tokio::join!(public, self.internal.stop_within(left()));
        if public.is_err() {
            tracing::warn!("requests were not done in time and are cut");
        }
        let drained = join_all(self.tasks.iter().map(|tasks| tasks.drained(left()))).await;
        let unfinished: usize = drained.into_iter().sum();
        if unfinished > 0 {
            tracing::warn!(unfinished, "work of requests was not done in time; it will be taken up again");
        }
        self.background.stop(until).await;
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{App, HttpServer, web};
    use eshopz_platform::wire::ServiceKeys;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use tokio::task::JoinSet;

    use super::*;
    use crate::wire::{Served, internal_listener};

    const PATIENCE: Patience = Patience { drain: Duration::from_millis(100), grace: Duration::from_secs(2) };

    /// A process in which nothing ends: a request, the work that it left, a job.
    async fn stubborn() -> (Running, TcpStream) {
        let (begun, begins) = oneshot::channel::<()>();
        let begun = web::Data::new(std::sync::Mutex::new(Some(begun)));
        let server = HttpServer::new(move || {
            let hang = |begun: web::Data<std::sync::Mutex<Option<oneshot::Sender<()>>>>| async move {
                drop(begun.lock().unwrap().take());
                std::future::pending::<&str>().await
            };
            App::new().app_data(begun.clone()).route("/", web::get().to(hang))
        });
        let server = server.workers(1).disable_signals().shutdown_timeout(PATIENCE.grace.as_secs());
        let server = server.bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(server.addrs()[0]).await.unwrap();
        let server = server.run();
        let public_handle = server.handle();
        let public = tokio::spawn(server);
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        begins.await.unwrap_err();
        let keys = ServiceKeys::new(vec!["a secret of these tests".to_owned()]).unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let internal = internal_listener(Served::default(), keys, address, 1, PATIENCE.grace).unwrap();
        let tasks = vec![Tasks::new()];
        drop(tasks[0].spawn(std::future::pending::<()>()));
        let mut job = JoinSet::new();
        job.spawn(std::future::pending());
        (Running { public, public_handle, internal, tasks, background: Background::of(job) }, client)
    }

    #[tokio::test]
    async fn a_part_that_ends_stops_the_others_within_the_grace_time() {
        let (running, client) = stubborn().await;
        let (readiness, mut signals) = (Readiness::default(), StopSignals::new().unwrap());
        readiness.set(true);
        let mut management = tokio::spawn(async { Ok(()) });
        let began = Instant::now();
        let outcome = running.until_told(PATIENCE, &readiness, &mut management, &mut signals).await;
        let took = began.elapsed();
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("the management listener ended by itself"), "{error}");
        assert!(!readiness.get());
        // A second is for the notes of the background; the rest is the machine's.
        let whole = PATIENCE.drain + PATIENCE.grace;
        assert!(took >= whole && took < whole + Duration::from_secs(4), "{took:?}");
        drop(client);
    }
}
