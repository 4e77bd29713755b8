//! One row, and the end of its statement.

use diesel::result::{Error, QueryResult};
use diesel_async::methods::LoadQuery;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// For every query of diesel.
pub trait Single {
    /// Runs the statement to its end and gives its first row.
    ///
    /// `RunQueryDsl::get_result` returns as soon as the row is there. A statement that is a transaction of its
    /// own is committed after that, and whether it was is said last: what such a write returns would be taken
    /// for kept although PostgreSQL has just said that it is not.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no row; everything else that the statement, or its commit, ran into.
    fn single<'query, U>(self, conn: &mut AsyncPgConnection) -> impl Future<Output = QueryResult<U>> + Send
    where
        Self: LoadQuery<'query, AsyncPgConnection, U> + 'query,
        U: Send;
}

impl<Q: RunQueryDsl<AsyncPgConnection>> Single for Q {
    fn single<'query, U>(self, conn: &mut AsyncPgConnection) -> impl Future<Output = QueryResult<U>> + Send
    where
        Self: LoadQuery<'query, AsyncPgConnection, U> + 'query,
        U: Send,
    {
        let rows = self.load(conn);
        async move { rows.await?.into_iter().next().ok_or(Error::NotFound) }
    }
}
