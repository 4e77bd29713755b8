//! Which products are meant: filters and a search, as SQL with its binds.
//!
//! The text is put together from constants; what comes from outside is bound. Mostly it is not kept as a
//! prepared statement: PostgreSQL plans it for the values at hand, which differ widely in how many
//! products they leave. Where one plan is the best for all values, it is: see [`Selection::has_one_plan`].

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Float, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::domain::Status;

/// Which products; what is `None` or empty leaves them all.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub status: Option<Status>,
    pub search: Option<Search>,
    /// One of these categories.
    pub categories: Option<Vec<Uuid>>,
    pub vendor: Option<String>,
    pub product_type: Option<String>,
    /// All of these tags.
    pub tags: Vec<String>,
    /// The lowest price of the product is from this on.
    pub min_price: Option<i64>,
    /// The lowest price of the product is up to this.
    pub max_price: Option<i64>,
    /// A variant is available, or may be sold beyond the stock.
    pub in_stock: Option<bool>,
}

/// What is searched for. Words are letters and digits only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// All words, the last of which may not be finished.
    Typed {
        before: Vec<String>,
        last: String,
        /// One of them is none of the catalogue's, as far as is known: likely no product has it.
        unknown: bool,
    },
    /// For each word one of several.
    AnyOf(Vec<Vec<String>>),
}

/// A value that is bound.
#[derive(Clone, Debug)]
pub enum Bind {
    Text(String),
    Texts(Vec<String>),
    Uuid(Uuid),
    Uuids(Vec<Uuid>),
    Number(i64),
    Rank(f32),
    Time(DateTime<Utc>),
}

/// The values of a statement that is being written.
#[derive(Clone, Debug, Default)]
pub struct Binds(Vec<Bind>);

impl Binds {
    /// Takes a value in and returns its placeholder.
    pub fn add(&mut self, bind: Bind) -> String {
        self.0.push(bind);
        format!("${}", self.0.len())
    }

    /// The statement with its values.
    pub fn apply(self, statement: String) -> BoxedSqlQuery<'static, Pg, SqlQuery> {
        self.0.into_iter().fold(sql_query(statement).into_boxed::<Pg>(), |query, bind| match bind {
            Bind::Text(value) => query.bind::<Text, _>(value),
            Bind::Texts(value) => query.bind::<Array<Text>, _>(value),
            Bind::Uuid(value) => query.bind::<SqlUuid, _>(value),
            Bind::Uuids(value) => query.bind::<Array<SqlUuid>, _>(value),
            Bind::Number(value) => query.bind::<BigInt, _>(value),
            Bind::Rank(value) => query.bind::<Float, _>(value),
            Bind::Time(value) => query.bind::<Timestamptz, _>(value),
        })
    }
}

impl Search {
    /// The `tsquery`. Stemmed words find their other forms; a word that is still being typed finds
    /// those that begin with it. One that the stemmer leaves out, such as "for", is left out.
    pub fn tsquery(&self, binds: &mut Binds) -> String {
        match self {
            Self::Typed { before, last, unknown: _ } => {
                let whole = binds.add(Bind::Text(quoted(last)));
                let begun = binds.add(Bind::Text(format!("{}:*", quoted(last))));
                let (stem, whole, begun) = (stemmed(&whole), plain(&whole), plain(&begun));
                // A word that is its own stem is among those that begin with it. Named twice, the planner
                // would expect twice as many matches.
                let last = format!("CASE WHEN {stem} = {whole} THEN {begun} ELSE {stem} || {begun} END");
                if before.is_empty() {
                    return last;
                }
                let before = binds.add(Bind::Text(all_of(before.iter().map(|word| quoted(word)))));
                let before = stemmed(&before);
                format!(
                    "CASE WHEN numnode({stem}) = 0 AND numnode({before}) > 0 THEN {before} ELSE {before} && {last} END"
                )
            }
            Self::AnyOf(groups) => {
                let any_of = |words: &Vec<String>| {
                    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
                    format!("({})", words.join(" | "))
                };
                let text = binds.add(Bind::Text(all_of(groups.iter().map(any_of))));
                stemmed(&text)
            }
        }
    }
}

fn stemmed(words: &str) -> String {
    format!("to_tsquery('pg_catalog.english', {words})")
}

fn plain(words: &str) -> String {
    format!("to_tsquery('pg_catalog.simple', {words})")
}

fn all_of(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" & ")
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "''"))
}

impl Selection {
    /// Whether an index has just these products in the order of their age, whatever the values are.
    pub fn has_one_plan(&self) -> bool {
        self.search.is_none() && self.equalities().is_some_and(|equal| equal <= 1)
    }

    /// Whether it is what everybody sees, without a filter. What is searched for does not matter.
    pub fn is_the_shop(&self) -> bool {
        self.equalities() == Some(0)
    }

    /// How many columns of active products must have just one value; `None` if there is any other filter.
    fn equalities(&self) -> Option<usize> {
        let Self { status, search: _, categories, vendor, product_type, tags, min_price, max_price, in_stock } = self;
        let category = categories.as_ref().is_some_and(|ids| ids.len() == 1);
        let others = categories.is_some() && !category
            || !tags.is_empty()
            || min_price.is_some()
            || max_price.is_some()
            || in_stock.is_some();
        let equal = [category, vendor.is_some(), product_type.is_some()].into_iter().filter(|is| *is).count();
        (*status == Some(Status::Active) && !others).then_some(equal)
    }

    /// The products as `p` for a `FROM`, with the condition at its end.
    pub fn source(&self, binds: &mut Binds) -> String {
        let Some(search) = &self.search else { return format!("products p WHERE {}", self.condition(binds)) };
        let tsquery = search.tsquery(binds);
        let condition = self.condition(binds);
        format!("products p JOIN product_words w ON w.product_id = p.id WHERE w.search @@ ({tsquery}) AND {condition}")
    }

    /// The condition on `products p`, without the search.
    pub fn condition(&self, binds: &mut Binds) -> String {
        let mut all: Vec<String> = Vec::new();
        if let Some(status) = self.status {
            // Not bound: the planner knows how many have it.
            all.push(format!("p.status = '{}'", status.as_str()));
        }
        if let Some(ids) = &self.categories {
            all.push(match ids.as_slice() {
                // So that the index gives them in their order.
                [id] => format!("p.category_id = {}", binds.add(Bind::Uuid(*id))),
                ids => format!("p.category_id = ANY({})", binds.add(Bind::Uuids(ids.to_vec()))),
            });
        }
        if let Some(vendor) = &self.vendor {
            all.push(format!("p.vendor = {}", binds.add(Bind::Text(vendor.clone()))));
        }
        if let Some(product_type) = &self.product_type {
            all.push(format!("p.product_type = {}", binds.add(Bind::Text(product_type.clone()))));
        }
        if !self.tags.is_empty() {
            all.push(format!("p.tags @> {}", binds.add(Bind::Texts(self.tags.clone()))));
        }
        if let Some(price) = self.min_price {
            all.push(format!("p.price_min_minor >= {}", binds.add(Bind::Number(price))));
        }
        if let Some(price) = self.max_price {
            all.push(format!("p.price_min_minor <= {}", binds.add(Bind::Number(price))));
        }
        if let Some(in_stock) = self.in_stock {
            let not = if in_stock { "" } else { "NOT " };
            all.push(format!(
                "{not}EXISTS (SELECT FROM variants v JOIN stock_levels s ON s.variant_id = v.id \
                 WHERE v.product_id = p.id AND (s.backorder OR s.on_hand > s.reserved))"
            ));
        }
        if all.is_empty() { "true".to_owned() } else { all.join(" AND ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bound_and_never_part_of_the_text() {
        let selection = Selection {
            vendor: Some("x' OR true --".to_owned()),
            tags: vec!["a".to_owned()],
            min_price: Some(5),
            ..Selection::default()
        };
        let mut binds = Binds::default();
        let text = selection.condition(&mut binds);
        assert_eq!(text, "p.vendor = $1 AND p.tags @> $2 AND p.price_min_minor >= $3");
        assert_eq!(Selection::default().condition(&mut Binds::default()), "true");
    }

    #[test]
    fn words_are_operands_of_a_tsquery() {
        let mut binds = Binds::default();
        Search::AnyOf(vec![vec!["blu".to_owned(), "blue".to_owned()], vec!["shirt".to_owned()]]).tsquery(&mut binds);
        let Some(Bind::Text(text)) = binds.0.first() else { panic!("no bind") };
        assert_eq!(text, "('blu' | 'blue') & ('shirt')");
    }
}
