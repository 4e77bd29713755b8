//! Where an order goes, and how to follow it there.

use diesel::deserialize::FromSqlRow;
use eshopz_kernel::country;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationError, ValidationErrors};

use super::text::{refusal, visible_words};

/// A postal address, as in an account's address book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema, FromSqlRow)]
#[serde(deny_unknown_fields)]
pub struct PostalAddress {
    #[validate(length(max = 200), custom(function = visible_words))]
    #[schema(pattern = "<words>", max_length = 200, examples("Ada Lovelace"))]
    pub name: String,
    #[validate(length(max = 200), custom(function = visible_words))]
    #[schema(pattern = "<words>", max_length = 200, examples("12 St James's Square"))]
    pub line1: String,
    #[serde(default)]
    #[validate(length(max = 200), custom(function = visible_words))]
    #[schema(pattern = "<words>", max_length = 200, examples(json!(null)))]
    pub line2: Option<String>,
    #[validate(length(max = 100), custom(function = visible_words))]
    #[schema(pattern = "<words>", max_length = 100, examples("London"))]
    pub city: String,
    #[serde(default)]
    #[validate(length(max = 100), custom(function = visible_words))]
    #[schema(pattern = "<words>", max_length = 100, examples(json!(null)))]
    pub region: Option<String>,
    #[validate(length(max = 20), custom(function = visible_words))]
    #[schema(pattern = "<words>", max_length = 20, examples("SW1Y 4JH"))]
    pub postal_code: String,
    /// ISO 3166 alpha-2, in capitals.
    #[validate(custom(function = known_country))]
    #[schema(pattern = "<country>", examples("GB"))]
    pub country: String,
    #[serde(default)]
    #[validate(length(max = 40), custom(function = visible_words))]
    #[schema(pattern = "<words>", max_length = 40, examples("+44 20 7946 0018"))]
    pub phone: Option<String>,
}

fn known_country(text: &str) -> Result<(), ValidationError> {
    if country::is_country(text) {
        Ok(())
    } else {
        Err(refusal("country", "must be an ISO 3166 alpha-2 country in capitals, such as DE"))
    }
}

impl TryFrom<serde_json::Value> for PostalAddress {
    type Error = serde_json::Error;

    fn try_from(stored: serde_json::Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(stored)
    }
}

/// How to follow a parcel: its number alone, or with more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Tracking {
    Number(String),
    Parcel(Parcel),
}

/// By hand, for a variant takes no pattern.
impl PartialSchema for Tracking {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::String).max_length(Some(100)).pattern(Some("<words>"));
        OneOfBuilder::new()
            .description(Some("How to follow a parcel: its number alone, or with more."))
            .item(number)
            .item(Ref::from_schema_name("Parcel"))
            .into()
    }
}

impl ToSchema for Tracking {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Parcel::name().into_owned(), Parcel::schema()));
    }
}

/// A parcel on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Parcel {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 100), custom(function = visible_words))]
    #[schema(pattern = "<words>", max_length = 100, examples("DHL"))]
    pub carrier: Option<String>,
    #[validate(length(max = 100), custom(function = visible_words))]
    #[schema(pattern = "<words>", max_length = 100, examples("JD014600003888"))]
    pub number: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(url, length(max = 2000), custom(function = web_address))]
    #[schema(
        pattern = "<url>",
        max_length = 2000,
        format = "uri",
        examples("https://www.dhl.com/track?id=JD014600003888")
    )]
    pub url: Option<String>,
}

/// By hand, so that a mistake within the object is told with its place.
impl<'de> Deserialize<'de> for Tracking {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Given;

        impl<'de> Visitor<'de> for Given {
            type Value = Tracking;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a tracking number, or an object with `number`")
            }

            fn visit_str<E: serde::de::Error>(self, number: &str) -> Result<Tracking, E> {
                Ok(Tracking::Number(number.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Tracking, A::Error> {
                Parcel::deserialize(MapAccessDeserializer::new(map)).map(Tracking::Parcel)
            }
        }

        deserializer.deserialize_any(Given)
    }
}

impl Validate for Tracking {
    fn validate(&self) -> Result<(), ValidationErrors> {
        match self {
            Self::Number(number) => Parcel { carrier: None, number: number.clone(), url: None }.validate(),
            Self::Parcel(parcel) => parcel.validate(),
        }
    }
}

/// It ends up as a link on a customer's page: no `javascript:` there.
fn web_address(text: &str) -> Result<(), ValidationError> {
    visible_words(text)?;
    let web = text.starts_with("https://") || text.starts_with("http://");
    if web && !text.contains(char::is_whitespace) {
        Ok(())
    } else {
        Err(refusal("url", "must begin with https:// or http:// and have no space in it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> PostalAddress {
        PostalAddress {
            name: "Ada".into(),
            line1: "1 Street".into(),
            line2: None,
            city: "London".into(),
            region: None,
            postal_code: "SW1".into(),
            country: "GB".into(),
            phone: None,
        }
    }

    #[test]
    fn an_address_is_checked_field_by_field() {
        assert!(address().validate().is_ok());
        for country in ["gb", "GBR", "", "G1", "ÄÖ", "XX"] {
            assert!(PostalAddress { country: country.into(), ..address() }.validate().is_err(), "{country}");
        }
        assert!(PostalAddress { line2: Some("a\0".into()), ..address() }.validate().is_err());
        assert!(PostalAddress { name: " ".into(), ..address() }.validate().is_err());
        assert!(PostalAddress { city: "x".repeat(101), ..address() }.validate().is_err());
    }

    #[test]
    fn a_link_leads_to_the_web() {
        let tracking = |url: &str| {
            Tracking::Parcel(Parcel { carrier: Some("DHL".into()), number: "1".into(), url: Some(url.into()) })
        };
        let number: Tracking = serde_json::from_str("\"JD0146\"").unwrap();
        assert!(number.validate().is_ok());
        assert!(Tracking::Number("\u{0}".into()).validate().is_err());
        assert!(serde_json::from_str::<Tracking>("{\"number\": \"1\", \"colour\": \"red\"}").is_err());
        assert!(tracking("https://dhl.com/1").validate().is_ok());
        assert!(tracking("javascript:alert(1)").validate().is_err());
        assert!(tracking("dhl").validate().is_err());
    }
}
