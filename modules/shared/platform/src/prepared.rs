//! Statements that keep what was prepared for them.
//!
//! Diesel prepares an `sql_query` anew each time, and so an `UPDATE` and an `INSERT` of a struct, because it cannot
//! know whether the text is built from values; that is a second round trip per statement, and PostgreSQL has to read
//! and plan it again. A text of which there are but a few forms can be kept, and is here.

use diesel::dsl::{AsExprOf, sql};
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{Array, Bool, Uuid as SqlUuid};
use uuid::Uuid;

/// A statement whose prepared form stays with the connection. See [`prepared`].
#[derive(Clone, Copy, Debug)]
pub struct Prepared<Q>(Q);

/// Keeps the prepared form of `query`. Only for a text that does not vary with its values, but for which columns of a
/// row have one: each text is kept for as long as the connection lives.
pub const fn prepared<Q>(query: Q) -> Prepared<Q> {
    Prepared(query)
}

/// A column is one of some ids, as `eq_any` has it, in a form of which PostgreSQL keeps the plan: the array is behind a
/// `SELECT`, so that the planner expects as much of it with its values as without. Of a bare one it takes the plan for
/// the few values at hand for the cheaper, and makes it anew each time, which takes longer than to follow it. `column`
/// is a constant of the code, as in `order_lines.order_id`; to be used in a [`prepared`] statement.
pub fn is_one_of(column: &'static str, ids: &[Uuid]) -> IsOneOf {
    sql::<Bool>(&format!("{column} = ANY((SELECT ")).bind::<Array<SqlUuid>, _>(ids.to_vec()).sql(")::uuid[])")
}

/// See [`is_one_of`].
pub type IsOneOf = SqlLiteral<Bool, UncheckedBind<SqlLiteral<Bool>, AsExprOf<Vec<Uuid>, Array<SqlUuid>>>>;

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

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}
