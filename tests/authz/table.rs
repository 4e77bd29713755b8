//! The table as a value: which answer each operation has for each who may ask.

use std::collections::BTreeMap;

const TEXT: &str = include_str!("table.txt");

/// Who asks; a column of the table, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Nobody,
    Other,
    Owner,
    Guest,
    Wrong,
    Disabled,
    Admin,
    Expired,
    Foreign,
    None,
}

impl Column {
    pub const ALL: [Self; 10] = [
        Self::Nobody,
        Self::Other,
        Self::Owner,
        Self::Guest,
        Self::Wrong,
        Self::Disabled,
        Self::Admin,
        Self::Expired,
        Self::Foreign,
        Self::None,
    ];

    /// Whether a bearer token goes along.
    pub const fn has_bearer(self) -> bool {
        !matches!(self, Self::Nobody | Self::Guest | Self::Wrong)
    }
}

/// What is answered: a status, and the problem's code when it is none of the house's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub status: u16,
    code: Option<String>,
}

impl Expected {
    fn read(cell: &str) -> Self {
        let (status, code) = match cell.split_once(':') {
            Some((status, code)) => (status, Some(code.to_owned())),
            None => (cell, None),
        };
        let status = status.parse().unwrap_or_else(|_| panic!("`{cell}` is no status"));
        Self { status, code }
    }

    pub const fn is_success(&self) -> bool {
        self.status < 400
    }

    /// The problem's code, of a refusal.
    pub fn code(&self, column: Column) -> &str {
        match (&self.code, self.status) {
            (Some(code), _) => code,
            (None, 401) if column.has_bearer() => "invalid_token",
            (None, 401) => "unauthenticated",
            (None, 403) => "forbidden",
            (None, 404) => "not_found",
            (None, status) => panic!("{status} needs a code in the table, such as {status}:last_admin"),
        }
    }
}

/// The table: answers in the order of [`Column::ALL`], by method and path.
pub type Table = BTreeMap<String, Vec<Expected>>;

/// Reads the table, and demands that each line is whole and comes once.
pub fn read() -> Table {
    let mut table = Table::new();
    for line in TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words.len(), 2 + Column::ALL.len(), "a line with too many or too few columns: {line}");
        let answers = words[2..].iter().map(|cell| Expected::read(cell)).collect();
        let former = table.insert(format!("{} {}", words[0], words[1]), answers);
        assert!(former.is_none(), "twice in the table: {line}");
    }
    table
}

#[test]
fn a_code_follows_from_status_and_column() {
    assert_eq!(Expected::read("401").code(Column::Wrong), "unauthenticated");
    assert_eq!(Expected::read("401").code(Column::None), "invalid_token");
    assert_eq!(Expected::read("409:last_admin").code(Column::Admin), "last_admin");
    assert!(std::panic::catch_unwind(|| Expected::read("409").code(Column::Admin).to_owned()).is_err());
}
