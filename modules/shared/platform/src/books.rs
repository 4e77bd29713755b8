//! What `eshopz verify` looks for: places where the books of a module do not balance.

use diesel::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
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
    /// Checks one rule: `table` is what it goes over, and each row of the query `broken`, of a `subject` and
    /// a `detail`, is a finding.
    ///
    /// # Errors
    /// A statement's.
    pub async fn check(
        &mut self,
        conn: &mut AsyncPgConnection,
        module: &'static str,
        check: &'static str,
        (table, broken): (&str, &str),
    ) -> QueryResult<()> {
        let count: Count = sql_query(format!("SELECT count(*) AS rows FROM {table}")).get_result(conn).await?;
        let broken: Vec<Broken> = sql_query(broken).load(conn).await?;
        self.checked.push((module, check, count.rows));
        let finding = |Broken { subject, detail }| Finding { module, check, subject, detail };
        self.findings.extend(broken.into_iter().map(finding));
        Ok(())
    }

    /// Adds another report to this one.
    pub fn merge(&mut self, other: Self) {
        self.checked.extend(other.checked);
        self.findings.extend(other.findings);
    }
}

#[derive(QueryableByName)]
struct Broken {
    #[diesel(sql_type = Text)]
    subject: String,
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}
