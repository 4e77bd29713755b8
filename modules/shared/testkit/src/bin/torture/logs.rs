//! What the processes said: the lines of a request, and what none of them should ever say.

use std::collections::BTreeMap;
use std::path::Path;

use crate::schedule::PROCESSES;

/// Lines that are shown of one request.
const LINES: usize = 4;
/// Characters of a line that are shown.
const WIDTH: usize = 400;

/// The logs of all processes.
pub struct Logs {
    lines: Vec<String>,
}

impl Logs {
    /// Reads them.
    pub fn read(folder: &Path) -> Self {
        let mut lines = Vec::new();
        for number in 1..=PROCESSES {
            let text = std::fs::read(folder.join(format!("process-{number}.log"))).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            lines.extend(text.lines().map(|line| format!("process {number}: {}", plain(line))));
        }
        Self { lines }
    }

    /// The lines about the request that a violation names.
    pub fn about(&self, violation: &str) -> Vec<&str> {
        let Some((_, named)) = violation.split_once("request ") else { return Vec::new() };
        let id = named.split([':', ',', ' ']).next().unwrap_or_default();
        let found = self.lines.iter().filter(|line| !id.is_empty() && line.contains(id));
        found.map(String::as_str).take(LINES).collect()
    }

    /// Panics, each of which is a violation.
    pub fn panics(&self) -> Vec<&str> {
        self.lines.iter().filter(|line| line.contains("panicked at")).map(String::as_str).collect()
    }

    /// What was said as an error, by how it begins, and how often.
    pub fn errors(&self) -> BTreeMap<String, usize> {
        let mut errors = BTreeMap::new();
        for line in &self.lines {
            if let Some((_, said)) = line.split_once(" ERROR ") {
                *errors.entry(said.chars().take(100).collect()).or_default() += 1;
            }
        }
        errors
    }
}

/// Without the colours of a terminal, and no longer than can be read.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut parts = line.split('\u{1b}');
    plain.push_str(parts.next().unwrap_or_default());
    parts.for_each(|part| plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest)));
    plain.chars().take(WIDTH).collect()
}
