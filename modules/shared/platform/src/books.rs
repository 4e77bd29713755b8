//! What `eshopz verify` looks for: places where the books of a module do not balance.

use std::future::Future;

use diesel::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use serde::Serialize;

use crate::db::Single as _;

/// So many findings of one rule are told at once; a shop that is all wrong does not fit into memory.
const MOST_FINDINGS: usize = 10_000;

type Watcher = Box<dyn Fn() + Send + Sync>;

tokio::task_local! {
    static WATCHER: Watcher;
}

/// Calls `watcher` before each rule that is checked within `work`, for those who show how far it is.
pub async fn watched<F: Future>(watcher: impl Fn() + Send + Sync + 'static, work: F) -> F::Output {
    WATCHER.scope(Box::new(watcher), work).await
}

/// The first findings of a rule's query. It is planned as if all were wanted: a plan that begins quickly, for the
/// sake of the limit, takes long where there is nothing to find.
#[must_use]
pub fn some_of(broken: &str) -> String {
    format!("WITH broken AS MATERIALIZED ({broken}) SELECT * FROM broken LIMIT {MOST_FINDINGS}")
}

/// Tells that a rule is about to be checked.
pub fn about_to_check() {
    // Nobody need be watching.
    let _ = WATCHER.try_with(|watcher| watcher());
}

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
    /// How many findings of a rule there are, of which no more than the first ten thousand are looked for.
    #[must_use]
    pub fn wrong(&self, module: &str, check: &str) -> usize {
        self.findings.iter().filter(|finding| finding.module == module && finding.check == check).count()
    }

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
        about_to_check();
        let count: Count = sql_query(format!("SELECT count(*) AS rows FROM {table}")).single(conn).await?;
        let some = some_of(broken);
        let broken: Vec<Broken> = sql_query(some).load(conn).await?;
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
