//! How many statements a module sends to the database, how long they take, and how often it has something kept there: in
//! all, and for each request.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use diesel::connection::{Instrumentation, InstrumentationEvent};
use metrics::{Counter, Histogram};

use super::summary::summary;
use crate::context;
use crate::trace::{Step, What};

/// How often a connection was lent.
pub(super) type Loans = Arc<AtomicU32>;

/// Counts and times what a connection sends, `BEGIN` and `COMMIT` included, and counts the commits that PostgreSQL has to
/// write down.
pub(super) struct Statements {
    module: &'static str,
    sent: Counter,
    commits: Counter,
    /// Whether the open transaction has written anything; `None` where each statement is one by itself.
    written: Option<bool>,
    /// When those were sent that have no answer yet: PostgreSQL answers in the order in which it is asked.
    begun: VecDeque<Instant>,
    loans: Loans,
    /// The loan in which they were sent: whoever is dropped while he waits takes back what he has borrowed, and the next one
    /// knows nothing of it.
    loan: u32,
}

impl Statements {
    pub(super) fn of(module: &'static str, loans: &Loans) -> Self {
        Self {
            module,
            sent: metrics::counter!("eshopz_db_statements_total", "module" => module),
            commits: metrics::counter!("eshopz_db_commits_total", "module" => module),
            written: None,
            begun: VecDeque::new(),
            loans: Arc::clone(loans),
            loan: 0,
        }
    }

    fn begun(&mut self) {
        let loan = self.loans.load(Ordering::Relaxed);
        if self.loan != loan {
            self.loan = loan;
            self.begun.clear();
        }
        self.begun.push_back(Instant::now());
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
                self.begun();
                context::count_statement();
            }
            InstrumentationEvent::FinishQuery { query, error, .. } => {
                let failed = error.is_some();
                let mut reader = Reader { module: self.module, begun: self.begun.pop_front(), failed, kind: None };
                // It refuses nothing. Before a statement its text would be made for this; after it, it is there.
                let _ = write!(reader, "{query}");
                if self.ended(reader.kind.unwrap_or(Kind::Read), failed) {
                    self.commits.increment(1);
                    context::count_commit();
                }
            }
            _ => {}
        }
    }
}

/// Reads a text where it is, which is written to it in one piece, and measures its statement.
struct Reader {
    module: &'static str,
    begun: Option<Instant>,
    failed: bool,
    kind: Option<Kind>,
}

impl fmt::Write for Reader {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.kind.is_none() {
            self.kind = Some(Known::of(self.module, text, |known| {
                if let Some(begun) = self.begun {
                    known.duration.record(begun.elapsed());
                    let what = || What::Statement { module: self.module, name: Arc::clone(&known.name) };
                    context::note_step(|| Step::since(begun, what(), self.failed));
                }
                known.kind
            }));
        }
        Ok(())
    }
}

/// So many texts are known at most, in each thread: an `INSERT` of many rows has another for each number of them.
const TEXTS: usize = 10_000;

/// What is known of a text.
struct Known {
    kind: Kind,
    name: Arc<str>,
    duration: Histogram,
}

thread_local! {
    /// By module and the hash of a text, which is shorter than most texts.
    static KNOWN: RefCell<HashMap<(&'static str, u64), Known>> = RefCell::default();
}

impl Known {
    fn of<T>(module: &'static str, text: &str, read: impl FnOnce(&Self) -> T) -> T {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        KNOWN.with_borrow_mut(|known| {
            if known.len() >= TEXTS {
                known.clear();
            }
            let known = known.entry((module, hasher.finish())).or_insert_with(|| {
                let name = summary(text);
                let labels = [("module", module.to_owned()), ("statement", name.clone())];
                let duration = metrics::histogram!("eshopz_db_statement_duration_seconds", &labels);
                Self { kind: Kind::of(text), name: name.into(), duration }
            });
            read(known)
        })
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
    fn what_was_sent_for_somebody_before_is_not_measured() {
        let loans = Loans::default();
        let mut statements = Statements::of("order", &loans);
        statements.begun();
        statements.begun();
        assert_eq!(statements.begun.len(), 2, "of one loan, both are answered");
        // Whoever had it is dropped before he has an answer.
        loans.fetch_add(1, Ordering::Relaxed);
        statements.begun();
        assert_eq!(statements.begun.len(), 1);
    }

    #[test]
    fn what_is_kept_is_a_commit() {
        let mut statements = Statements::of("order", &Loans::default());
        let mut commits = |texts: &[&str]| texts.iter().filter(|text| statements.ended(Kind::of(text), false)).count();
        assert_eq!(commits(&["SELECT 1", "INSERT INTO a", "UPDATE a SET b"]), 2);
        assert_eq!(commits(&["BEGIN", "INSERT INTO a", "UPDATE a SET b", "COMMIT"]), 1);
        assert_eq!(commits(&["BEGIN", "SELECT 1", "COMMIT", "BEGIN", "DELETE FROM a", "ROLLBACK"]), 0);
        assert!(!statements.ended(Kind::Write, true), "a statement that fails is none");
    }
}
