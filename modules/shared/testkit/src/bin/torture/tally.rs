//! What the clients saw: each answer by kind and status, how long it took, and when nothing went well.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use eshopz_testkit::load::figures::percentile;
use serde_json::{Value, json};

/// Violations that are kept in words; the others are counted.
const KEPT: usize = 40;

/// The figures of a run.
#[derive(Debug)]
pub struct Tally {
    /// Requests by operation and status.
    by_status: BTreeMap<&'static str, BTreeMap<u16, u64>>,
    /// Requests without an answer, or with half of one.
    pub unanswered: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Answers that the client did not wait for.
    pub hang_ups: u64,
    calm: Vec<u64>,
    foul: Vec<u64>,
    /// None when it does not matter any more.
    last_success: Option<Instant>,
    drought: Duration,
    violations: Vec<String>,
    found: u64,
    /// What happened how often, for the report.
    counts: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub fn new(began: Instant) -> Self {
        Self {
            by_status: BTreeMap::new(),
            unanswered: 0,
            retries: 0,
            hang_ups: 0,
            calm: Vec::new(),
            foul: Vec::new(),
            last_success: Some(began),
            drought: Duration::ZERO,
            violations: Vec::new(),
            found: 0,
            counts: BTreeMap::new(),
        }
    }

    /// An answer, and whether something was broken while it was awaited.
    pub fn answered(&mut self, operation: &'static str, status: u16, took: Duration, foul: bool) {
        *self.by_status.entry(operation).or_default().entry(status).or_default() += 1;
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if foul {
            self.foul.push(micros)
        } else {
            self.calm.push(micros)
        }
        if let (true, Some(last)) = (status < 500, &mut self.last_success) {
            self.drought = self.drought.max(last.elapsed());
            *last = Instant::now();
        }
    }

    /// The load is over: from here on nobody asks all the time.
    pub fn end_of_load(&mut self) {
        self.last_success = None;
    }

    /// Something that must not be.
    pub fn violation(&mut self, what: String) {
        self.found += 1;
        if self.violations.len() < KEPT {
            self.violations.push(what);
        }
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub fn requests(&self) -> u64 {
        self.by_status.values().flat_map(BTreeMap::values).sum()
    }

    pub fn is_clean(&self) -> bool {
        self.found == 0 && self.requests() > 0
    }

    /// The violations in words, and how many there are.
    pub fn violations(&self) -> (&[String], u64) {
        (&self.violations, self.found)
    }

    pub fn json(&self) -> Value {
        json!({
            "requests": self.requests(),
            "unanswered": self.unanswered,
            "retries": self.retries,
            "hang_ups": self.hang_ups,
            "longest_without_success_s": (self.drought.as_secs_f64() * 10.0).round() / 10.0,
            "calm": latencies(&self.calm),
            "foul": latencies(&self.foul),
            "by_status": self.by_status,
            "counts": self.counts,
        })
    }
}

fn latencies(micros: &[u64]) -> Value {
    let mut sorted = micros.to_vec();
    sorted.sort_unstable();
    json!({"requests": sorted.len(), "p50_ms": percentile(&sorted, 50), "p99_ms": percentile(&sorted, 99)})
}
