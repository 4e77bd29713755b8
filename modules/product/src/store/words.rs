//! The catalogue's vocabulary, filled by triggers on the products.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::AsyncPgConnection;
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;

/// Words that have come.
#[derive(Debug, QueryableByName)]
pub struct Learnt {
    #[diesel(sql_type = Array<Text>)]
    pub words: Vec<String>,
    /// Nothing will come any more of a transaction before this one: it is over.
    #[diesel(sql_type = BigInt)]
    pub all_before: i64,
}

/// The words of this transaction and of those that began after it; of all, if it is 0. Transactions end in another order than
/// they begin, so the next call says again what came of those that began after the oldest one still at work.
pub async fn since(conn: &mut AsyncPgConnection, transaction: i64) -> QueryResult<Learnt> {
    // A restored table may be of a server that counted further; such words are read once, at the beginning.
    let until = if transaction == 0 { "" } else { "AND added < pg_snapshot_xmax(pg_current_snapshot())" };
    let statement = sql_query(format!(
        "SELECT ARRAY(SELECT DISTINCT word FROM search_words WHERE added >= $1::text::xid8 {until}) AS words, \
                pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS all_before"
    ));
    prepared(statement.bind::<BigInt, _>(transaction)).single(conn).await
}
