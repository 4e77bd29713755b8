//! The catalogue's vocabulary, filled by triggers on the products.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::prepared::prepared;

/// A word of the catalogue that looks like one that was typed.
#[derive(Clone, Debug, QueryableByName)]
pub struct Near {
    #[diesel(sql_type = Text)]
    pub typed_word: String,
    #[diesel(sql_type = Text)]
    pub word: String,
}

/// Words of the catalogue that look like those typed; a word that is in it is among its own.
pub async fn near(conn: &mut AsyncPgConnection, typed: &[String]) -> QueryResult<Vec<Near>> {
    prepared(sql_query("SELECT typed_word, word FROM near_words($1)").bind::<Array<Text>, _>(typed)).load(conn).await
}
