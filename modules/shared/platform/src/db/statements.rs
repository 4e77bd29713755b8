//! How many statements a module sends to the database, in all and for each request.

use diesel::connection::{Instrumentation, InstrumentationEvent};
use metrics::Counter;

use crate::context;

/// Counts what a connection sends, `BEGIN` and `COMMIT` included.
pub(super) struct Statements(Counter);

impl Statements {
    pub(super) fn of(schema: &'static str) -> Self {
        Self(metrics::counter!("eshopz_db_statements_total", "module" => schema))
    }
}

impl Instrumentation for Statements {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if matches!(event, InstrumentationEvent::StartQuery { .. }) {
            self.0.increment(1);
            context::count_statement();
        }
    }
}
