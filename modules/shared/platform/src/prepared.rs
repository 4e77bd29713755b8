//! SQL written by hand that keeps its prepared statement.
//!
//! Diesel prepares an `sql_query` anew each time, because it cannot know whether its text is built
//! from values; that is a second round trip per statement. A text that is a constant of the code can
//! be kept, and is here.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::Untyped;

/// An `sql_query` whose prepared statement stays with the connection. See [`prepared`].
#[derive(Clone, Copy, Debug)]
pub struct Prepared<Q>(Q);

/// Keeps the prepared statement of `query`, a `diesel::sql_query` with its binds. Only for a text that
/// does not vary with its values: each text is kept for as long as the connection lives.
pub const fn prepared<Q>(query: Q) -> Prepared<Q> {
    Prepared(query)
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Prepared<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _backend: &Pg) -> QueryResult<bool> {
        Ok(true)
    }
}

// Without a static id the text itself is the key of the statement.
impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Prepared<Q> {
    type SqlType = Untyped;
}
