//! What the selected products have in common, counted in one statement.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::selection::{Binds, Selection};

/// Values of a facet that are counted.
const MOST: usize = 50;

/// A value and how many products have it. `matches` counts the products themselves; of `price_min` and
/// `price_max`, `count` is the price.
#[derive(Clone, Debug, QueryableByName)]
pub struct FacetRow {
    #[diesel(sql_type = Text)]
    pub facet: String,
    #[diesel(sql_type = Text)]
    pub value: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub count: Option<i64>,
}

/// Counts categories, vendors, types and tags, the commonest first, and finds the range of prices.
pub async fn count(conn: &mut AsyncPgConnection, selection: &Selection) -> QueryResult<Vec<FacetRow>> {
    let mut binds = Binds::default();
    let source = selection.source(&mut binds);
    let facet = |name: &str, value: &str, from: &str| {
        format!(
            "(SELECT '{name}' AS facet, {value} AS value, count(*) AS count FROM {from} WHERE {value} <> '' \
              GROUP BY {value} ORDER BY count(*) DESC, {value} LIMIT {MOST})"
        )
    };
    let statement = format!(
        "WITH hits AS MATERIALIZED ( \
            SELECT p.category_id, p.vendor, p.product_type, p.tags, p.price_min_minor, p.price_max_minor \
            FROM {source}) \
         {} UNION ALL {} UNION ALL {} UNION ALL {} \
         UNION ALL SELECT 'matches', '', count(*) FROM hits \
         UNION ALL SELECT 'price_min', '', min(price_min_minor) FROM hits \
         UNION ALL SELECT 'price_max', '', max(price_max_minor) FROM hits",
        facet("category", "c.slug", "hits JOIN categories c ON c.id = hits.category_id"),
        facet("vendor", "vendor", "hits"),
        facet("product_type", "product_type", "hits"),
        facet("tag", "tag", "hits CROSS JOIN unnest(tags) AS t (tag)"),
    );
    binds.apply(statement).load(conn).await
}
