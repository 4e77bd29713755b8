//! Where a module keeps what tells of a person, and what becomes of it when the account is deleted. Each module declares
//! every column of its tables that can hold text, once (`personal.rs`); a test compares that with the database, so that
//! a column that nobody has thought about fails it. And what is handed out of that to the person.

use diesel::prelude::QueryableByName;
use diesel::sql_types::{Jsonb, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

/// An entry of what a module holds on a person, as it is handed out.
#[derive(Clone, Debug, QueryableByName)]
pub struct Exported {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Jsonb)]
    pub document: Value,
}

/// What becomes of a column when an account is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It tells of no person.
    Impersonal,
    /// It is emptied or replaced, by the listener of `user.deleted.v1` or with the account.
    Erased,
    /// Its row goes.
    Removed,
    /// It stays, for this reason.
    Kept(&'static str),
}

/// A column that can hold text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub table: &'static str,
    pub column: &'static str,
    pub fate: Fate,
}

/// Some columns of a table with the same fate.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    pub table: &'static str,
    pub columns: &'static [&'static str],
    pub fate: Fate,
}

impl Columns {
    #[must_use]
    pub const fn new(table: &'static str, fate: Fate, columns: &'static [&'static str]) -> Self {
        Self { table, columns, fate }
    }

    /// One by one.
    pub fn each(&self) -> impl Iterator<Item = Column> + use<> {
        let Self { table, columns, fate } = *self;
        columns.iter().map(move |column| Column { table, column, fate })
    }
}

/// Those of the tables that every module has.
pub const SHARED: &[Columns] = &[
    // Events name accounts by their id.
    Columns::new("outbox", Fate::Impersonal, &["name", "payload", "traceparent"]),
    Columns::new("outbox_deliveries", Fate::Impersonal, &["listener", "last_error"]),
    Columns::new("inbox", Fate::Impersonal, &["listener"]),
    Columns::new("leases", Fate::Impersonal, &["name"]),
    Columns::new(
        "idempotency_keys",
        Fate::Removed,
        &["caller", "key", "operation", "request_hash", "body", "location"],
    ),
    Columns::new(
        "audit_log",
        Fate::Kept("who did what must stand until the log is pruned; it has ids and addresses, and no names"),
        &["actor", "actor_role", "action", "subject_type", "subject_id", "request_id", "address", "details"],
    ),
];
