//! What was asked, how long it took, and what was wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use eshopz_testkit::load::figures::{percentile, round};
use serde_json::{Value, json};

/// Wrong answers that are shown in full.
const EXAMPLES: usize = 5;

/// The requests of one operation.
#[derive(Debug, Default)]
struct Operation {
    micros: Vec<u64>,
    unavailable: u64,
    errors: u64,
}

/// The outcome of a run.
#[derive(Debug, Default)]
pub struct Tally {
    pub seconds: f64,
    pub journeys: u64,
    /// Requests that met a clean 503 and went well when they were repeated.
    pub mended: u64,
    /// Journeys that were given up because somebody else had bought the last one.
    pub sold_out: u64,
    operations: BTreeMap<&'static str, Operation>,
    wrong: u64,
    examples: Vec<String>,
}

impl Tally {
    /// Counts an answer, whatever it says.
    pub fn answered(&mut self, operation: &'static str, status: u16, took: Duration) {
        let entry = self.operations.entry(operation).or_default();
        entry.micros.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        entry.unavailable += u64::from(status == 503);
    }

    /// Counts an answer that is not what it should be.
    pub fn wrong(&mut self, operation: &'static str, why: &str) {
        self.wrong += 1;
        self.operations.entry(operation).or_default().errors += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{operation}: {why}"));
        }
    }

    /// Whether there was something to check, and all of it was as it should be.
    pub fn is_right(&self) -> bool {
        self.wrong == 0 && self.requests() > 0
    }

    fn requests(&self) -> usize {
        self.operations.values().map(|operation| operation.micros.len()).sum()
    }

    fn per_second(&self, count: usize) -> f64 {
        f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / self.seconds.max(0.001)
    }

    /// The latencies of one operation or of all, in order.
    fn sorted(&self, only: Option<&str>) -> Vec<u64> {
        let chosen = self.operations.iter().filter(|(name, _)| only.is_none_or(|only| only == **name));
        let mut micros: Vec<u64> = chosen.flat_map(|(_, operation)| operation.micros.iter().copied()).collect();
        micros.sort_unstable();
        micros
    }

    /// One JSON object on one line. The names outside `operations` are in it once each.
    pub fn json(&self) -> Value {
        let all = self.sorted(None);
        let orders = self.sorted(Some("POST /orders"));
        let operations: BTreeMap<&str, Value> = self
            .operations
            .iter()
            .map(|(name, operation)| {
                let sorted = self.sorted(Some(name));
                let value = json!({
                    "count": sorted.len(), "per_second": round(self.per_second(sorted.len())),
                    "unavailable": operation.unavailable, "errors": operation.errors,
                    "p50_ms": percentile(&sorted, 50), "p99_ms": percentile(&sorted, 99),
                });
                (*name, value)
            })
            .collect();
        json!({
            "seconds": round(self.seconds),
            "journeys": self.journeys,
            "journeys_per_second": round(self.per_second(usize::try_from(self.journeys).unwrap_or(usize::MAX))),
            "requests": all.len(),
            "requests_per_second": round(self.per_second(all.len())),
            "all_p50_ms": percentile(&all, 50),
            "all_p99_ms": percentile(&all, 99),
            "orders_p50_ms": percentile(&orders, 50),
            "orders_p99_ms": percentile(&orders, 99),
            "wrong": self.wrong,
            "mended": self.mended,
            "sold_out": self.sold_out,
            "operations": operations,
            "examples": self.examples,
        })
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, sorted: &[u64], unavailable: u64, errors: u64| {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{name:<26} {:>9} {:>10.1} {unavailable:>6} {errors:>6} {:>9.2} {:>9.2}",
                sorted.len(),
                self.per_second(sorted.len()),
                percentile(sorted, 50),
                percentile(sorted, 99),
            );
        };
        for (name, operation) in &self.operations {
            line(name, &self.sorted(Some(name)), operation.unavailable, operation.errors);
        }
        let unavailable = self.operations.values().map(|operation| operation.unavailable).sum();
        line("all", &self.sorted(None), unavailable, self.wrong);
        let journeys = self.per_second(usize::try_from(self.journeys).unwrap_or(usize::MAX));
        let mut whole = format!(
            "{:<26} {:>9} {:>10} {:>6} {:>6} {:>9} {:>9}\n{text}\n",
            "operation", "requests", "per second", "503", "wrong", "p50 ms", "p99 ms"
        );
        let _ = write!(
            whole,
            "{} journeys in {:.1} s, {journeys:.1} per second; {} mended by a retry, {} sold out, {} wrong",
            self.journeys, self.seconds, self.mended, self.sold_out, self.wrong
        );
        for example in &self.examples {
            let _ = write!(whole, "\nwrong: {example}");
        }
        whole
    }
}
