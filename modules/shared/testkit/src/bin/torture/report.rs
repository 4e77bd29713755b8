//! What a run comes to, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::faults::Done;
use crate::logs::Logs;
use crate::tally::Tally;

/// The outcome.
pub struct Report<'a> {
    pub seed: u64,
    pub minutes: f64,
    pub faults: &'a [Done],
    pub tally: &'a Tally,
    pub orders: &'a BTreeMap<String, i64>,
    pub settled: Option<Duration>,
    pub verify: &'a str,
    pub logs: &'a Logs,
}

impl Report<'_> {
    /// The line that says it all.
    pub fn verdict(&self) -> String {
        match self.tally.violations().1 {
            0 if self.tally.requests() == 0 => "torture: nothing was asked".to_owned(),
            0 => "torture: clean".to_owned(),
            1 => "torture: 1 violation".to_owned(),
            many => format!("torture: {many} violations"),
        }
    }

    pub fn json(&self) -> Value {
        let fault = |done: &Done| {
            json!({"kind": done.fault.kind(), "fault": done.fault.to_string().trim(),
                   "from_s": tenths(done.from), "until_s": tenths(done.until)})
        };
        json!({
            "seed": self.seed,
            "minutes": self.minutes,
            "clean": self.tally.is_clean(),
            "faults": self.faults.iter().map(fault).collect::<Vec<_>>(),
            "clients": self.tally.json(),
            "orders": self.orders,
            "settled_s": self.settled.map(tenths),
            "verify": self.verify.lines().collect::<Vec<_>>(),
            "errors_said": self.logs.errors(),
            "violations": self.tally.violations().0,
            "violations_found": self.tally.violations().1,
        })
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\nWhat was done in {} minutes with seed {}:", self.minutes, self.seed)?;
        for done in self.faults {
            writeln!(out, "  {}, well at {:.1} s", done.fault, done.until.as_secs_f64())?;
        }
        for (kind, times) in self.kinds() {
            writeln!(out, "  {times:>6} {kind}")?;
        }
        self.write_clients(out)?;
        match self.settled {
            Some(took) => writeln!(out, "\nSettled {:.1} s after the last request.", took.as_secs_f64())?,
            None => writeln!(out, "\nIt never settled.")?,
        }
        writeln!(out, "\nWhat eshopz verify says:")?;
        self.verify.lines().try_for_each(|line| writeln!(out, "  {line}"))?;
        let errors = self.logs.errors();
        if !errors.is_empty() {
            writeln!(out, "\nWhat the processes said as an error:")?;
            errors.iter().try_for_each(|(said, times)| writeln!(out, "  {times:>6} {said}"))?;
        }
        let (violations, _) = self.tally.violations();
        if !violations.is_empty() {
            writeln!(out, "\nViolations:")?;
        }
        for violation in violations {
            writeln!(out, "  {violation}")?;
            self.logs.about(violation).iter().try_for_each(|line| writeln!(out, "      {line}"))?;
        }
        write!(out, "\n{}", self.verdict())
    }

    fn write_clients(&self, out: &mut String) -> std::fmt::Result {
        let clients = self.tally.json();
        writeln!(out, "\nWhat the clients saw:")?;
        for (operation, statuses) in clients["by_status"].as_object().into_iter().flatten() {
            let statuses = statuses.as_object().into_iter().flatten();
            let statuses: Vec<String> = statuses.map(|(status, count)| format!("{status}: {count}")).collect();
            writeln!(out, "  {operation:<42} {}", statuses.join("  "))?;
        }
        for name in ["requests", "retries", "unanswered", "hang_ups", "longest_without_success_s"] {
            writeln!(out, "  {:<42} {}", name.replace('_', " "), clients[name])?;
        }
        for (name, what) in [("calm", "while all was well"), ("foul", "during faults")] {
            let figures = &clients[name];
            let (p50, p99) = (&figures["p50_ms"], &figures["p99_ms"]);
            writeln!(out, "  {what:<42} {} requests, p50 {p50} ms, p99 {p99} ms", figures["requests"])?;
        }
        for (what, count) in clients["counts"].as_object().into_iter().flatten() {
            writeln!(out, "  {what:<42} {count}")?;
        }
        self.orders.iter().try_for_each(|(status, count)| writeln!(out, "  {:<42} {count}", format!("orders {status}")))
    }

    fn kinds(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        self.faults.iter().for_each(|done| *kinds.entry(done.fault.kind()).or_default() += 1);
        kinds
    }
}

fn tenths(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}
