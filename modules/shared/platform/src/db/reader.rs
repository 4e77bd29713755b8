//! A replica for reads, and the gate before it: a reader that cannot be had is left alone for a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::Config;

use super::pool::{Conn, Lane};
use super::session::Role;

/// How long a read waits for the reader before it goes to the writer.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long a reader that could not be had is not tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The way to the reader, if there is one. Clones share it.
#[derive(Clone)]
pub(super) struct Reader {
    lane: Lane,
    gate: Arc<Gate>,
}

impl Reader {
    pub(super) fn new(module: &'static str, config: Option<Config>, max_connections: usize) -> Self {
        let lane = Lane::new(module, config, Role::Reader, max_connections, PATIENCE);
        Self { lane, gate: Arc::default() }
    }

    /// A connection, unless there is no reader or it cannot be had quickly.
    pub(super) async fn conn(&self, module: &'static str) -> Option<Conn> {
        if !self.lane.address().is_known() || !self.gate.lets_through(Instant::now()) {
            return None;
        }
        let outcome = match tokio::time::timeout(PATIENCE, self.lane.conn()).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("none was free or opened within {} ms", PATIENCE.as_millis())),
        };
        match outcome {
            Ok(conn) => {
                if self.gate.open() {
                    tracing::info!(module, "the reader is back");
                }
                Some(conn)
            }
            Err(error) => {
                if self.gate.close(Instant::now()) {
                    tracing::warn!(module, error, "the reader cannot be had; the writer answers for it");
                }
                None
            }
        }
    }

    /// Sets the gauges of its pool, if there is one.
    pub(super) fn observe(&self) {
        if self.lane.address().is_known() {
            self.lane.observe();
        }
    }

    pub(super) fn lead_to(&self, config: Option<Config>) {
        if self.lane.lead_to(config) {
            self.gate.open();
        }
    }
}

/// Open, or closed with the time of the next try.
#[derive(Debug, Default)]
struct Gate(Mutex<Option<Instant>>);

impl Gate {
    /// Whether to try. While it is closed, one caller per [`PAUSE`] does.
    fn lets_through(&self, now: Instant) -> bool {
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *closed {
            None => true,
            Some(next) if now < next => false,
            Some(_) => {
                *closed = Some(now + PAUSE);
                true
            }
        }
    }

    /// True when it was closed.
    fn open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    /// True when it was open.
    fn close(&self, now: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(now + PAUSE).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_tries_a_closed_gate() {
        let (gate, now) = (Gate::default(), Instant::now());
        assert!(gate.lets_through(now) && gate.lets_through(now));
        assert!(gate.close(now));
        assert!(!gate.close(now), "told once");
        assert!(!gate.lets_through(now));
        assert!(gate.lets_through(now + PAUSE));
        assert!(!gate.lets_through(now + PAUSE), "another one is trying");
        assert!(gate.open());
        assert!(!gate.open(), "told once");
        assert!(gate.lets_through(now + PAUSE));
    }
}
