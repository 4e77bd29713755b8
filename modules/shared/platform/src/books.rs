//! What `eshopz verify` looks for: places where the books of a module do not balance.

use serde::Serialize;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The module whose books they are.
    pub module: &'static str,
    /// The rule that is broken, in snake case, such as `stock_ledger`.
    pub check: &'static str,
    /// The row: an id or a number.
    pub subject: String,
    /// What was expected and what was found.
    pub detail: String,
}

/// The result of a module's checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Each rule that was checked and over how many rows.
    pub checked: Vec<(&'static str, &'static str, i64)>,
    pub findings: Vec<Finding>,
}

impl Report {
    /// Adds another report to this one.
    pub fn merge(&mut self, other: Self) {
        self.checked.extend(other.checked);
        self.findings.extend(other.findings);
    }
}
