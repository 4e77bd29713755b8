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

/// The words of this transaction and of those that began after it. Transactions end in another order than they begin,
/// so the next call says again what came of those that began after the oldest one still at work.
pub async fn since(conn: &mut AsyncPgConnection, transaction: i64) -> QueryResult<Learnt> {
    let statement = sql_query(
        "SELECT ARRAY(SELECT DISTINCT word FROM search_words WHERE added >= $1::text::xid8) AS words, \
                pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS all_before",
    );
    prepared(statement.bind::<BigInt, _>(transaction)).single(conn).await
}
