//! Events to the listeners of other processes, over the same listener as calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eshopz_kernel::{EventEnvelope, Fault};
use eshopz_platform::events::{Listener, LocalTransport, Transport};
use eshopz_platform::wire::{Methods, Neighbour};

/// How long a listener may take; a delivery's lease ends later.
const PATIENCE: Duration = Duration::from_secs(25);

fn method(listener: &str) -> String {
    format!("events/{listener}")
}

/// The module that a listener belongs to: its name begins with it.
pub(super) fn module_of(listener: &str) -> &str {
    listener.split('.').next().unwrap_or_default()
}

/// Listeners as routes.
pub fn routes(methods: Methods, listeners: &[Arc<dyn Listener>]) -> Methods {
    listeners.iter().fold(methods, |methods, listener| {
        methods.method(&method(listener.name()), listener, |listener, event: EventEnvelope| async move {
            listener.handle(&event).await
        })
    })
}

/// Hands an event to its listener, here or in the process of its module.
#[derive(Clone)]
pub struct WireTransport {
    here: LocalTransport,
    neighbours: BTreeMap<&'static str, Neighbour>,
}

impl std::fmt::Debug for WireTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireTransport").field("neighbours", &self.neighbours).finish_non_exhaustive()
    }
}

impl WireTransport {
    /// To the listeners of this process, and those of modules in others.
    pub fn new(here: LocalTransport, neighbours: impl IntoIterator<Item = Neighbour>) -> Self {
        let neighbours = neighbours.into_iter().map(|neighbour| (neighbour.module(), neighbour)).collect();
        Self { here, neighbours }
    }
}

#[async_trait]
impl Transport for WireTransport {
    async fn deliver(&self, listener: &str, event: &EventEnvelope) -> Result<(), Fault> {
        if self.here.has(listener) {
            return self.here.deliver(listener, event).await;
        }
        match self.neighbours.get(module_of(listener)) {
            // A listener takes an event once, however often it comes: as good as a read.
            Some(neighbour) => neighbour.read_within(&method(listener), event, PATIENCE).await,
            None => Err(Fault::internal(format!("nobody knows where the listener {listener} is"))),
        }
    }
}
