//! A product's options ("Size": S, M, L) and what its variants say to each of them; its images.

use std::collections::BTreeMap;

use diesel::deserialize::{FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{Output, ToSql};
use diesel::sql_types::Jsonb;
use serde::{Deserialize, Serialize};

use crate::error::ProductError;

/// What a variant without options is called.
pub const DEFAULT_TITLE: &str = "Default Title";

/// The values that a variant has, by the option's name.
pub type OptionValues = BTreeMap<String, String>;

/// One option with the values that it can have, in the order in which they are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductOption {
    pub name: String,
    #[serde(default)]
    pub values: Vec<String>,
}

/// The options of a product, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = Jsonb)]
#[serde(transparent)]
pub struct Options(pub Vec<ProductOption>);

/// A picture of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pub url: String,
    #[serde(default)]
    pub alt: String,
}

/// The pictures of a product, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = Jsonb)]
#[serde(transparent)]
pub struct Images(pub Vec<Image>);

macro_rules! json_column {
    ($($name:ident),+) => {$(
        impl FromSql<Jsonb, Pg> for $name {
            fn from_sql(value: PgValue<'_>) -> diesel::deserialize::Result<Self> {
                let json = <serde_json::Value as FromSql<Jsonb, Pg>>::from_sql(value)?;
                Ok(serde_json::from_value(json)?)
            }
        }

        impl ToSql<Jsonb, Pg> for $name {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
                let json = serde_json::to_value(self)?;
                <serde_json::Value as ToSql<Jsonb, Pg>>::to_sql(&json, &mut out.reborrow())
            }
        }
    )+};
}

json_column!(Options, Images);

impl Options {
    /// Those given, or, if none are, those that the first variant has values for.
    pub fn for_new(given: Option<Vec<ProductOption>>, first: Option<&OptionValues>) -> Self {
        let named = |name: &String| ProductOption { name: name.clone(), values: Vec::new() };
        Self(given.unwrap_or_else(|| first.into_iter().flat_map(OptionValues::keys).map(named).collect()))
    }

    /// A variant's values in the order of the options. Values that are new become part of the options.
    ///
    /// # Errors
    /// When there is not exactly one value for each option; `field` is where they were given.
    pub fn take_in(&mut self, values: &OptionValues, field: &str) -> Result<Vec<String>, ProductError> {
        let found: Option<Vec<String>> = self.0.iter().map(|option| values.get(&option.name).cloned()).collect();
        let Some(found) = found.filter(|found| found.len() == values.len()) else {
            return Err(ProductError::field(field, "options", self.expectation()));
        };
        for (option, value) in self.0.iter_mut().zip(&found) {
            if !option.values.contains(value) {
                option.values.push(value.clone());
            }
        }
        Ok(found)
    }

    fn expectation(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|option| option.name.as_str()).collect();
        match names.as_slice() {
            [] => "must be left out: the product has no options".to_owned(),
            names => format!("must have one value for each of the options: {}", names.join(", ")),
        }
    }

    /// A variant's values by name, as they are shown.
    #[must_use]
    pub fn name_values(&self, values: &[String]) -> OptionValues {
        self.0.iter().map(|option| option.name.clone()).zip(values.iter().cloned()).collect()
    }
}

/// What a variant is called that was given no title.
#[must_use]
pub fn title_of(values: &[String]) -> String {
    if values.is_empty() { DEFAULT_TITLE.to_owned() } else { values.join(" / ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> OptionValues {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn options(pairs: &[(&str, &[&str])]) -> Options {
        let option = |(name, values): &(&str, &[&str])| ProductOption {
            name: (*name).to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        Options(pairs.iter().map(option).collect())
    }

    #[test]
    fn values_follow_the_order_of_the_options() {
        let mut options = options(&[("Size", &["S"]), ("Color", &[])]);
        let found = options.take_in(&values(&[("Color", "Red"), ("Size", "M")]), "/x").unwrap();
        assert_eq!(found, ["M", "Red"]);
        assert_eq!(options.0[0].values, ["S", "M"]);
        assert_eq!(options.name_values(&found), values(&[("Color", "Red"), ("Size", "M")]));
        assert_eq!(title_of(&found), "M / Red");
    }

    #[test]
    fn each_option_wants_one_value() {
        let mut two = options(&[("Size", &[]), ("Color", &[])]);
        assert!(two.take_in(&values(&[("Size", "M")]), "/x").is_err());
        assert!(two.take_in(&values(&[("Size", "M"), ("Colour", "Red")]), "/x").is_err());
        assert!(two.take_in(&values(&[("Size", "M"), ("Color", "Red"), ("Fit", "x")]), "/x").is_err());
        assert!(options(&[]).take_in(&values(&[("Size", "M")]), "/x").is_err());
        assert_eq!(options(&[]).take_in(&values(&[]), "/x").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn options_that_are_not_given_come_from_the_variants() {
        let first = values(&[("Size", "M"), ("Color", "Red")]);
        assert_eq!(Options::for_new(None, Some(&first)), options(&[("Color", &[]), ("Size", &[])]));
        assert_eq!(Options::for_new(None, None), Options::default());
        assert_eq!(title_of(&[]), "Default Title");
    }
}
