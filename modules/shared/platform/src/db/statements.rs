//! How many statements a module sends to the database, and how often it has something kept there: in all, and for each
//! request.

use std::fmt::{self, Write as _};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use metrics::Counter;

use crate::context;

/// Counts what a connection sends, `BEGIN` and `COMMIT` included, and the commits that PostgreSQL has to write down.
pub(super) struct Statements {
    sent: Counter,
    commits: Counter,
    /// Whether the open transaction has written anything; `None` where each statement is one by itself.
    written: Option<bool>,
}

impl Statements {
    pub(super) fn of(schema: &'static str) -> Self {
        Self {
            sent: metrics::counter!("eshopz_db_statements_total", "module" => schema),
            commits: metrics::counter!("eshopz_db_commits_total", "module" => schema),
            written: None,
        }
    }

    /// A statement has come to its end; whether that was a commit.
    fn ended(&mut self, kind: Kind, failed: bool) -> bool {
        match (kind, self.written) {
            (Kind::Begin, _) if !failed => self.written = Some(false),
            (Kind::Commit, Some(written)) => {
                self.written = None;
                return written && !failed;
            }
            (Kind::Rollback, _) => self.written = None,
            (Kind::Write, Some(_)) if !failed => self.written = Some(true),
            (Kind::Write, None) => return !failed,
            _ => {}
        }
        false
    }
}

impl Instrumentation for Statements {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } => {
                self.sent.increment(1);
                context::count_statement();
            }
            InstrumentationEvent::FinishQuery { query, error, .. } => {
                let mut reader = Reader(None);
                // It refuses nothing. Before a statement its text would be made for this; after it, it is there.
                let _ = write!(reader, "{query}");
                if self.ended(reader.0.unwrap_or(Kind::Read), error.is_some()) {
                    self.commits.increment(1);
                    context::count_commit();
                }
            }
            _ => {}
        }
    }
}

/// Reads a text where it is, which is written to it in one piece.
struct Reader(Option<Kind>);

impl fmt::Write for Reader {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.get_or_insert_with(|| Kind::of(text));
        Ok(())
    }
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Begin,
    Commit,
    Rollback,
    /// Something that PostgreSQL keeps, locks of rows included. Whether there was a row to write to is not known here.
    Write,
    Read,
}

impl Kind {
    /// By the words that begin a statement, which are written in capitals everywhere. Only one that begins with `WITH` is
    /// read whole.
    fn of(text: &str) -> Self {
        let begins = |word: &str| text.starts_with(word);
        if begins("SELECT") {
            return if locks_rows(text) { Self::Write } else { Self::Read };
        }
        if begins("INSERT") || begins("UPDATE") || begins("DELETE") {
            return Self::Write;
        }
        if begins("WITH") {
            let has = |word: &str| text.contains(word);
            return if has("INSERT INTO ") || has("UPDATE ") || has("DELETE FROM ") { Self::Write } else { Self::Read };
        }
        match text {
            "COMMIT" => Self::Commit,
            "ROLLBACK" => Self::Rollback,
            _ if begins("BEGIN") => Self::Begin,
            _ => Self::Read,
        }
    }
}

/// Whether it ends with `FOR UPDATE` or the like.
fn locks_rows(text: &str) -> bool {
    /// `FOR NO KEY UPDATE OF` a few tables, `SKIP LOCKED`.
    const LONGEST: usize = 48;
    let bytes = text.as_bytes();
    let end = bytes.get(bytes.len().saturating_sub(LONGEST)..).unwrap_or_default();
    [&b" FOR UPDATE"[..], b" FOR NO KEY", b" FOR SHARE", b" FOR KEY SH"]
        .iter()
        .any(|lock| end.windows(lock.len()).any(|part| part == *lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_known_by_its_words() {
        let writes = [
            "INSERT INTO carts (id) VALUES ($1)",
            "UPDATE leases SET until = now()",
            "DELETE FROM inbox",
            "SELECT * FROM orders WHERE id = $1 FOR UPDATE",
            "SELECT * FROM orders WHERE id = $1 FOR NO KEY UPDATE OF o SKIP LOCKED",
            "WITH made AS (INSERT INTO carts (id) VALUES ($1) RETURNING *) SELECT * FROM made",
            "WITH due AS (SELECT id FROM outbox FOR UPDATE SKIP LOCKED) SELECT id FROM due",
        ];
        for text in writes {
            assert_eq!(Kind::of(text), Kind::Write, "{text}");
        }
        let reads = ["SELECT 1", "SELECT updated_at FROM orders", "WITH tree AS (SELECT 1) SELECT * FROM tree", ""];
        for text in reads {
            assert_eq!(Kind::of(text), Kind::Read, "{text}");
        }
        assert_eq!(Kind::of("BEGIN READ ONLY"), Kind::Begin);
        assert_eq!(Kind::of("ROLLBACK TO SAVEPOINT diesel_savepoint_1"), Kind::Read);
    }

    #[test]
    fn what_is_kept_is_a_commit() {
        let mut statements = Statements::of("orders");
        let mut commits = |texts: &[&str]| texts.iter().filter(|text| statements.ended(Kind::of(text), false)).count();
        assert_eq!(commits(&["SELECT 1", "INSERT INTO a", "UPDATE a SET b"]), 2);
        assert_eq!(commits(&["BEGIN", "INSERT INTO a", "UPDATE a SET b", "COMMIT"]), 1);
        assert_eq!(commits(&["BEGIN", "SELECT 1", "COMMIT", "BEGIN", "DELETE FROM a", "ROLLBACK"]), 0);
        assert!(!statements.ended(Kind::Write, true), "a statement that fails is none");
    }
}
