//! A page of products in one statement.
//!
//! The page's ids are found first, in narrow rows, then the products. Relevance is judged over the
//! newest [`WINDOW`] matches: a word that a large part of the catalogue has says little about any of
//! them, and judging all would cost more the less it tells.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::Float;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::rows::{PRODUCT_COLUMNS, Product};
use super::selection::{Bind, Binds, Search, Selection};

/// How many matches of a search are judged.
const WINDOW: usize = 2_000;

/// The order of a list, each ended by the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The best first; without a search, the newest.
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
#[derive(Clone, Debug)]
pub enum Key {
    Rank(f32),
    CreatedAt(DateTime<Utc>),
    Price(i64),
    /// In small letters.
    Title(String),
}

/// A product in a list.
#[derive(Clone, Debug, QueryableByName)]
pub struct Listed {
    #[diesel(embed)]
    pub product: Product,
    /// How well it fits the search; 0 in other orders.
    #[diesel(sql_type = Float)]
    pub rank: f32,
    /// The title as the order by title sees it.
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub title_key: String,
}

impl Listed {
    /// Its place in a list of this order.
    #[must_use]
    pub fn key(&self, order: Order) -> Key {
        match order {
            Order::Relevance => Key::Rank(self.rank),
            Order::Newest => Key::CreatedAt(self.product.created_at),
            Order::Cheapest | Order::Dearest => Key::Price(self.product.price_min_minor),
            Order::Title => Key::Title(self.title_key.clone()),
        }
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

/// At most so many of the selected products, in this order, after a place in it.
pub async fn page(
    conn: &mut AsyncPgConnection,
    selection: &Selection,
    order: Order,
    after: Option<&After>,
    limit: usize,
) -> QueryResult<Vec<Listed>> {
    let mut binds = Binds::default();
    let statement = statement(selection, order, after, limit, &mut binds);
    binds.apply(statement).load(conn).await
}

fn statement(
    selection: &Selection,
    order: Order,
    after: Option<&After>,
    limit: usize,
    binds: &mut Binds,
) -> String {
    let (key, direction) = in_sql(order);
    let source = match (&selection.search, order) {
        (Some(search), Order::Relevance) => judged(selection, search, binds),
        (search, _) => {
            let found = search.as_ref().map(|search| format!("p.search @@ ({}) AND ", search.tsquery(binds)));
            format!("products p WHERE {}{}", found.unwrap_or_default(), selection.condition(binds))
        }
    };
    let place = after.map(|after| place(after, key, direction, binds)).unwrap_or_default();
    // Outside, the rank is the page's; the other keys are the product's.
    let (rank, key_outside) =
        if order == Order::Relevance { ("p.rank", "page.rank") } else { ("0::float4 AS rank", key) };
    format!(
        "SELECT {PRODUCT_COLUMNS}, page.rank, lower(p.title) AS title_key \
         FROM (SELECT p.id, {rank} FROM {source}{place} ORDER BY {key} {direction}, p.id {direction} LIMIT {limit}) page \
         JOIN products p ON p.id = page.id LEFT JOIN categories c ON c.id = p.category_id \
         ORDER BY {key_outside} {direction}, p.id {direction}"
    )
}

/// The matches within the window, with their rank.
fn judged(selection: &Selection, search: &Search, binds: &mut Binds) -> String {
    let tsquery = search.tsquery(binds);
    let condition = selection.condition(binds);
    format!(
        "(SELECT m.id, ts_rank(m.search, {tsquery}) AS rank \
          FROM (SELECT p.id, p.search FROM products p WHERE p.search @@ ({tsquery}) AND {condition} \
                ORDER BY p.created_at DESC, p.id DESC LIMIT {WINDOW}) m) p WHERE true"
    )
}

/// The condition of being after a place.
fn place(after: &After, key: &str, direction: &str, binds: &mut Binds) -> String {
    let value = binds.add(match &after.key {
        Key::Rank(rank) => Bind::Rank(*rank),
        Key::CreatedAt(at) => Bind::Time(*at),
        Key::Price(price) => Bind::Number(*price),
        Key::Title(title) => Bind::Text(title.clone()),
    });
    let id = binds.add(Bind::Uuid(after.id));
    let beyond = if direction == "DESC" { "<" } else { ">" };
    format!(" AND ({key}, p.id) {beyond} ({value}, {id})")
}
