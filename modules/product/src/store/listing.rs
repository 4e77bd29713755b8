//! A page of products in one statement: its ids are found first, in narrow rows, then the products.
//!
//! By relevance the newest matches are judged first, [`WINDOW`] of them, and when a reader is through
//! with those, the next newest. A word that a large part of the catalogue has says little about any of
//! them, and finding and judging all at once would cost more the less it tells.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Float, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rows::{WithVariants, columns_with_variants};
use super::selection::{Bind, Binds, Search, Selection};

/// How many matches of a search are judged together, at least. In a small shop and with a filter it is a thousand.
const WINDOW: i64 = 60;

/// A page of the usual length, and one more. The number is a part of the statement's text, since it decides on the
/// plan; statements are kept for this one only.
const USUAL: usize = 21;

/// The order of a list, each ended by the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The best first. Only with a search.
    Relevance,
    Newest,
    Cheapest,
    Dearest,
    Title,
}

/// Where a page begins: after the product with this key and id.
#[derive(Clone, Debug)]
pub struct After {
    pub key: Key,
    pub id: Uuid,
}

/// What a list is ordered by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Key {
    /// How well it fits, among the matches below a place in the order in which products came.
    Rank(f32, Option<i64>),
    CreatedAt(DateTime<Utc>),
    Price(i64),
    /// In small letters.
    Title(String),
}

/// A product and its place in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    pub whole: WithVariants,
    pub key: Key,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(embed)]
    whole: WithVariants,
    #[diesel(sql_type = Float)]
    rank: f32,
    /// How many were judged.
    #[diesel(sql_type = BigInt)]
    judged: i64,
    #[diesel(sql_type = Text)]
    title_key: String,
}

impl Row {
    fn listed(self, order: Order, edge: Option<i64>) -> Listed {
        let key = match order {
            Order::Relevance => Key::Rank(self.rank, edge),
            Order::Newest => Key::CreatedAt(self.whole.product.created_at),
            Order::Cheapest | Order::Dearest => Key::Price(self.whole.product.price_min_minor),
            Order::Title => Key::Title(self.title_key),
        };
        Listed { whole: self.whole, key }
    }
}

/// At most so many of the selected products, in this order, after a place in it.
pub async fn page(
    conn: &mut AsyncPgConnection,
    selection: &Selection,
    order: Order,
    after: Option<&After>,
    limit: usize,
) -> QueryResult<Vec<Listed>> {
    if let (Some(search), Order::Relevance) = (&selection.search, order) {
        return by_relevance(conn, selection, search, after, limit).await;
    }
    let mut binds = Binds::default();
    let source = selection.source(&mut binds);
    let statement = statement(&source, order, after, limit, binds);
    let rows: Vec<Row> = if order == Order::Newest && limit == USUAL && selection.has_one_plan() {
        prepared(statement).load(conn).await?
    } else {
        statement.load(conn).await?
    };
    Ok(rows.into_iter().map(|row| row.listed(order, None)).collect())
}

/// Goes on to the next window when one is used up before the page is full.
async fn by_relevance(
    conn: &mut AsyncPgConnection,
    selection: &Selection,
    search: &Search,
    mut after: Option<&After>,
    limit: usize,
) -> QueryResult<Vec<Listed>> {
    let mut edge = match after {
        Some(After { key: Key::Rank(_, edge), .. }) => *edge,
        _ => None,
    };
    let mut found: Vec<Listed> = Vec::new();
    loop {
        let mut binds = Binds::default();
        let source = judged(selection, search, edge, &mut binds);
        let left = limit.saturating_sub(found.len());
        let statement = statement(&source, Order::Relevance, after, left, binds);
        let rows: Vec<Row> = if left == USUAL && selection.is_the_shop() {
            prepared(statement).load(conn).await?
        } else {
            statement.load(conn).await?
        };
        // What was judged is unknown when all of it lies before the place.
        let full = rows.as_slice().first().map_or(after.is_some(), |row| row.judged >= WINDOW);
        found.extend(rows.into_iter().map(|row| row.listed(Order::Relevance, edge)));
        if found.len() >= limit || !full {
            return Ok(found);
        }
        let Some(next) = oldest_judged(conn, selection, search, edge).await? else { return Ok(found) };
        (edge, after) = (Some(next), None);
    }
}

/// How SQL writes an order: the key's expression on `p`, and the direction of key and id.
const fn in_sql(order: Order) -> (&'static str, &'static str) {
    match order {
        Order::Relevance => ("p.rank", "DESC"),
        Order::Newest => ("p.created_at", "DESC"),
        Order::Cheapest => ("p.price_min_minor", "ASC"),
        Order::Dearest => ("p.price_min_minor", "DESC"),
        Order::Title => ("lower(p.title) COLLATE \"C\"", "ASC"),
    }
}

/// The page of what `source` gives as `p`.
fn statement(
    source: &str,
    order: Order,
    after: Option<&After>,
    limit: usize,
    mut binds: Binds,
) -> diesel::query_builder::BoxedSqlQuery<'static, diesel::pg::Pg, diesel::query_builder::SqlQuery> {
    let (key, direction) = in_sql(order);
    let place = after.map(|after| place(after, key, direction, &mut binds)).unwrap_or_default();
    // Outside, the rank is the page's; the other keys are the product's.
    let (columns, key_outside) = match order {
        Order::Relevance => ("p.rank, p.judged", "page.rank"),
        _ => ("0::float4 AS rank, 0::bigint AS judged", key),
    };
    let with_variants = columns_with_variants();
    binds.apply(format!(
        "SELECT {with_variants}, page.rank, page.judged, lower(p.title) AS title_key \
         FROM (SELECT p.id, {columns} FROM {source}{place} \
               ORDER BY {key} {direction}, p.id {direction} LIMIT {limit}) page \
         JOIN products p ON p.id = page.id LEFT JOIN categories c ON c.id = p.category_id \
         ORDER BY {key_outside} {direction}, p.id {direction}"
    ))
}

/// The newest matches below the edge with their place and rank, as many as are judged together.
fn window(selection: &Selection, search: &Search, edge: Option<i64>, binds: &mut Binds) -> String {
    let tsquery = search.tsquery(binds);
    let edge = edge.map(|edge| binds.add(Bind::Number(edge)));
    if selection.is_the_shop() {
        let unknown = matches!(search, Search::Typed { unknown: true, .. });
        return format!("newest_matches({tsquery}, {}, {WINDOW}, {unknown})", edge.as_deref().unwrap_or("NULL"));
    }
    let condition = selection.condition(binds);
    let older = edge.map(|edge| format!(" AND w.place < {edge}")).unwrap_or_default();
    // More than without a filter: for a few the planner would go through all products in their order, also when hardly
    // any has the words.
    format!(
        "(SELECT m.product_id, m.place, ts_rank(m.search, {tsquery}) AS rank \
          FROM (SELECT w.product_id, w.place, w.search \
                FROM product_words w JOIN products p ON p.id = w.product_id \
                WHERE w.search @@ ({tsquery}) AND {condition}{older} ORDER BY w.place DESC LIMIT 1000) m)"
    )
}

/// The same as what a page is taken from.
fn judged(selection: &Selection, search: &Search, edge: Option<i64>, binds: &mut Binds) -> String {
    let window = window(selection, search, edge, binds);
    format!("(SELECT m.product_id AS id, m.rank, count(*) OVER () AS judged FROM {window} m) p WHERE true")
}

/// The place of the oldest in a window; `None` when there are fewer matches than it could hold.
async fn oldest_judged(
    conn: &mut AsyncPgConnection,
    selection: &Selection,
    search: &Search,
    edge: Option<i64>,
) -> QueryResult<Option<i64>> {
    #[derive(QueryableByName)]
    struct Oldest {
        #[diesel(sql_type = BigInt)]
        place: i64,
    }
    let mut binds = Binds::default();
    let window = window(selection, search, edge, &mut binds);
    let statement = format!("SELECT min(m.place) AS place FROM {window} m HAVING count(*) >= {WINDOW}");
    let oldest: Option<Oldest> = binds.apply(statement).single(conn).await.optional()?;
    Ok(oldest.map(|oldest| oldest.place))
}

/// The condition of being after a place.
fn place(after: &After, key: &str, direction: &str, binds: &mut Binds) -> String {
    let value = binds.add(match &after.key {
        Key::Rank(rank, _) => Bind::Rank(*rank),
        Key::CreatedAt(at) => Bind::Time(*at),
        Key::Price(price) => Bind::Number(*price),
        Key::Title(title) => Bind::Text(title.clone()),
    });
    let id = binds.add(Bind::Uuid(after.id));
    let beyond = if direction == "DESC" { "<" } else { ">" };
    format!(" AND ({key}, p.id) {beyond} ({value}, {id})")
}
