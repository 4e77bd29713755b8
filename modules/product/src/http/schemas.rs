//! What the documents say of fields whose types allow more than `fields` lets through.

use std::borrow::Cow;

use utoipa::openapi::schema::{AdditionalProperties, KnownFormat, Schema, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::fields::{MAX_LINE, MAX_OPTIONS, MAX_PRICE};

/// One line with something in it: a tag, the name of an option, one of its values.
#[derive(Debug)]
pub struct Name;

fn name() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(MAX_LINE))
        .pattern(Some("<words>"))
}

impl PartialSchema for Name {
    fn schema() -> RefOr<Schema> {
        name().into()
    }
}

impl ToSchema for Name {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Name")
    }
}

/// One value for each of a few options.
#[derive(Debug)]
pub struct OptionValues;

impl PartialSchema for OptionValues {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property_names(Some(name().build()))
            .additional_properties(Some(AdditionalProperties::RefOr(name().into())))
            .max_properties(Some(MAX_OPTIONS))
            .into()
    }
}

impl ToSchema for OptionValues {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("OptionValues")
    }
}

/// Money that something may cost.
#[derive(Debug)]
pub struct Price;

impl PartialSchema for Price {
    fn schema() -> RefOr<Schema> {
        let amount = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .description(Some("Minor units: cents for USD."))
            .minimum(Some(0))
            .maximum(Some(MAX_PRICE));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("amount", amount)
            .property("currency", Ref::from_schema_name("Currency"))
            .required("amount")
            .required("currency")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .description(Some("A price, in the shop's currency."))
            .into()
    }
}

impl ToSchema for Price {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Price")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push(("Currency".to_owned(), eshopz_kernel::Currency::schema()));
    }
}
