//! One lane per listener, so that a slow listener fills its own lane and no other's.

use std::collections::{BTreeMap, VecDeque};

use super::rows::Claim;

/// What has been claimed and waits for its turn, by listener.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: BTreeMap<String, Lane>,
    /// Deliveries that may run at once in one lane.
    width: usize,
    /// A lane in which so many wait takes no more.
    room: usize,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Claim>,
    running: Vec<Claim>,
    /// It was full, so that something may have been left unclaimed on its account.
    was_full: bool,
}

impl Lanes {
    pub(super) fn new<'a>(listeners: impl Iterator<Item = &'a str>, width: usize, room: usize) -> Self {
        let lanes = listeners.map(|listener| (listener.to_owned(), Lane::default())).collect();
        Self { lanes, width: width.max(1), room: room.max(1) }
    }

    pub(super) fn push(&mut self, claim: Claim) {
        self.lanes.entry(claim.listener.clone()).or_default().waiting.push_back(claim);
    }

    /// Takes what may start now, and says whether a lane that was full is open again.
    pub(super) fn take_startable(&mut self) -> (Vec<Claim>, bool) {
        let (mut startable, mut reopened) = (Vec::new(), false);
        for lane in self.lanes.values_mut() {
            let free = self.width.saturating_sub(lane.running.len()).min(lane.waiting.len());
            let begun = startable.len();
            startable.extend(lane.waiting.drain(..free));
            lane.running.extend(startable.iter().skip(begun).cloned());
            let full = lane.waiting.len() >= self.room;
            reopened |= lane.was_full && !full;
            lane.was_full = full;
        }
        (startable, reopened)
    }

    pub(super) fn ended(&mut self, claim: &Claim) {
        if let Some(lane) = self.lanes.get_mut(&claim.listener) {
            lane.running.retain(|running| !running.is(claim));
        }
    }

    /// What runs.
    pub(super) fn running(&self) -> impl Iterator<Item = &Claim> {
        self.lanes.values().flat_map(|lane| &lane.running)
    }

    /// Whether the lane takes more.
    pub(super) fn is_open(&self, listener: &str) -> bool {
        self.lanes.get(listener).is_none_or(|lane| lane.waiting.len() < self.room)
    }

    /// The listeners whose lane takes more.
    pub(super) fn open(&self) -> Vec<&str> {
        self.lanes.iter().filter(|(_, lane)| lane.waiting.len() < self.room).map(|(name, _)| name.as_str()).collect()
    }

    /// Every lane has its queue: to claim more would only let leases run.
    pub(super) fn all_full(&self) -> bool {
        !self.lanes.is_empty() && self.lanes.values().all(|lane| lane.waiting.len() >= self.room)
    }

    /// Empties the queues; what runs goes on.
    pub(super) fn clear_waiting(&mut self) -> Vec<Claim> {
        self.lanes.values_mut().flat_map(|lane| lane.waiting.drain(..)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eshopz_kernel::{EventEnvelope, EventId};

    use super::super::lease::Lease;
    use super::*;

    fn claim(listener: &str) -> Claim {
        let event = EventEnvelope {
            id: EventId::new(),
            name: "x.v1".to_owned(),
            occurred_at: chrono::Utc::now(),
            payload: serde_json::Value::Null,
            traceparent: None,
        };
        Claim {
            event: Arc::new(event),
            listener: listener.to_owned(),
            attempts: 1,
            lease: Lease::new(tokio::time::Instant::now(), std::time::Duration::from_secs(1)),
        }
    }

    #[test]
    fn a_full_lane_leaves_the_others_open() {
        let mut lanes = Lanes::new(["slow", "quick"].into_iter(), 2, 2);
        for _ in 0..5 {
            lanes.push(claim("slow"));
        }
        lanes.push(claim("quick"));
        let (started, reopened) = lanes.take_startable();
        assert_eq!((started.len(), reopened), (3, false));
        assert_eq!(lanes.running().count(), 3);
        let slow: Vec<_> = started.iter().filter(|claim| claim.listener == "slow").collect();
        assert_eq!(lanes.open(), ["quick"]);
        assert!(!lanes.is_open("slow") && !lanes.all_full());
        lanes.ended(slow[0]);
        assert!(!lanes.take_startable().1);
        lanes.ended(slow[1]);
        let (started, reopened) = lanes.take_startable();
        assert_eq!((started.len(), reopened), (1, true));
        assert_eq!(lanes.open().len(), 2);
        assert_eq!(lanes.clear_waiting().len(), 1);
    }

    #[test]
    fn without_a_listener_nothing_is_full() {
        assert!(!Lanes::new(std::iter::empty(), 8, 64).all_full());
    }
}
