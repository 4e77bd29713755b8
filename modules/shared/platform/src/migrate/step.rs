//! One migration on its way in or out. The text that runs and the text that `plan` shows are one.

use tokio_postgres::Client;
use tokio_postgres::error::ErrorPosition;

use super::MigrateError;
use super::error::explain;
use super::set::{Migration, MigrationId};

/// A file that starts with this line runs outside a transaction (`CREATE INDEX CONCURRENTLY`); it
/// may then hold one statement only, for PostgreSQL runs several as one transaction.
const OPT_OUT: &str = "-- no-transaction";

/// The statements of one migration in one direction.
#[derive(Debug)]
pub(super) struct Step {
    pub id: MigrationId,
    file: &'static str,
    sql: String,
    record: String,
}

impl Step {
    pub fn up(module: &str, migration: &Migration) -> Self {
        let record = format!(
            "RESET ROLE;\nINSERT INTO public.eshopz_migrations (module, version, name, checksum)\n\
             VALUES ({}, {}, {}, {});",
            literal(module),
            literal(&migration.version),
            literal(&migration.name),
            literal(&migration.checksum()),
        );
        Self { id: migration.id(module), file: "up.sql", sql: migration.up.clone(), record }
    }

    pub fn down(module: &str, migration: &Migration) -> Self {
        let record = format!(
            "RESET ROLE;\nDELETE FROM public.eshopz_migrations WHERE module = {} AND version = {};",
            literal(module),
            literal(&migration.version),
        );
        Self { id: migration.id(module), file: "down.sql", sql: migration.down.clone(), record }
    }

    /// The step as a script, under a header that names it.
    pub fn script(&self) -> String {
        let mut script = format!("-- {} {}\n", self.id, self.file);
        for statement in self.statements().map(str::trim_end) {
            script.push_str(statement);
            // A last statement without its semicolon would run into the next.
            script.push_str(if statement.ends_with(';') { "\n" } else { "\n;\n" });
        }
        script
    }

    pub async fn run(&self, client: &Client) -> Result<(), MigrateError> {
        for statement in self.statements() {
            if let Err(error) = client.batch_execute(statement).await {
                // The transaction is lost already; without the ROLLBACK the session would be, too.
                let _ = client.batch_execute("ROLLBACK").await;
                return Err(self.failure(statement, &error));
            }
        }
        // What the migration has set for itself must not reach the next one.
        client.batch_execute("RESET ROLE; RESET ALL").await.map_err(MigrateError::database)
    }

    fn statements(&self) -> impl Iterator<Item = &str> {
        let (begin, commit) = if self.transactional() { (Some("BEGIN;"), Some("COMMIT;")) } else { (None, None) };
        begin.into_iter().chain([self.sql.as_str(), self.record.as_str()]).chain(commit)
    }

    fn transactional(&self) -> bool {
        self.sql.lines().next().map(str::trim) != Some(OPT_OUT)
    }

    fn failure(&self, statement: &str, error: &tokio_postgres::Error) -> MigrateError {
        let place = match error.as_db_error().and_then(|told| told.position()) {
            Some(ErrorPosition::Original(position)) if statement == self.sql => {
                format!("line {}: ", line_of(statement, *position))
            }
            _ => String::new(),
        };
        MigrateError::Failed { id: self.id.clone(), file: self.file, detail: format!("{place}{}", explain(error)) }
    }
}

/// The line of a position as PostgreSQL counts it: in characters, from 1.
fn line_of(text: &str, position: u32) -> usize {
    let before = usize::try_from(position).unwrap_or(usize::MAX).saturating_sub(1);
    text.chars().take(before).filter(|&character| character == '\n').count() + 1
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migration(up: &str) -> Migration {
        Migration { version: "20250101000000".into(), name: "it's".into(), up: up.into(), down: "SELECT 2;".into() }
    }

    #[test]
    fn a_script_is_a_transaction_under_a_header() {
        let script = Step::up("user", &migration("SELECT 1;\n")).script();
        assert!(
            script.starts_with("-- user/20250101000000_it's up.sql\nBEGIN;\nSELECT 1;\nRESET ROLE;\nINSERT"),
            "{script}"
        );
        assert!(script.contains("'it''s'"), "{script}");
        assert!(script.ends_with("COMMIT;\n"), "{script}");
    }

    #[test]
    fn a_first_line_opts_out_of_the_transaction() {
        let step = Step::up("user", &migration("-- no-transaction\nCREATE INDEX CONCURRENTLY x ON y (z);"));
        assert!(!step.script().contains("BEGIN;"));
        assert!(Step::down("user", &migration("")).transactional());
    }

    #[test]
    fn positions_become_lines() {
        assert_eq!(line_of("a\nb\nc", 1), 1);
        assert_eq!(line_of("a\nb\nc", 3), 2);
        assert_eq!(line_of("ä\nb", 3), 2);
    }
}
