//! Products as they are asked for, and what the service makes of them.

use std::borrow::Cow;
use std::collections::HashSet;

use eshopz_kernel::Currency;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::fields;
use super::schemas::Name;
use super::variant_requests::CreateVariant;
use crate::domain::{Image, Images, ProductOption, Status, html};
use crate::error::ProductError;
use crate::service::{ProductDraft, ProductPatch};

/// A picture.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageInput {
    #[validate(custom(function = fields::url))]
    #[schema(pattern = "<url>", max_length = 2048, example = "https://example.com/blue-shirt.jpg")]
    pub url: String,
    /// What is to be seen, for who cannot see it.
    #[serde(default)]
    #[validate(length(max = 1000), custom(function = fields::text))]
    #[schema(pattern = "<text>", max_length = 1000, example = "A blue shirt on a hanger")]
    pub alt: String,
    /// Pictures are shown by position, those without one as they come.
    #[serde(default)]
    #[validate(range(min = 1, max = 250))]
    #[schema(minimum = 1, maximum = 250, example = 1)]
    pub position: Option<u16>,
}

/// An option with its values, in the order in which they are to be shown.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptionInput {
    #[validate(custom(function = fields::name))]
    #[schema(pattern = "<words>", min_length = 1, max_length = 255, example = "Size")]
    pub name: String,
    /// Those that variants have are added.
    #[serde(default)]
    #[validate(length(max = 2000), custom(function = fields::names))]
    #[schema(value_type = Vec<Name>, max_items = 2000, example = json!(["S", "M", "L"]))]
    pub values: Vec<String>,
}

/// A product to be made, with its variants.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "title": "Blue Shirt", "description": "<p>Soft cotton, long sleeves.</p>", "vendor": "Northwind",
    "product_type": "Shirts", "tags": ["cotton", "blue"],
    "options": [{"name": "Size", "values": ["S", "M"]}],
    "variants": [
        {"option_values": {"Size": "S"}, "price": {"amount": 2499, "currency": "USD"}, "on_hand": 20},
        {"option_values": {"Size": "M"}, "price": {"amount": 2499, "currency": "USD"}, "on_hand": 20}
    ],
    "images": [{"url": "https://example.com/blue-shirt.jpg", "alt": "A blue shirt on a hanger"}]
}))]
pub struct CreateProduct {
    #[validate(custom(function = fields::name))]
    #[schema(pattern = "<words>", min_length = 1, max_length = 255)]
    pub title: String,
    /// Made of the title if it is left out.
    #[validate(custom(function = fields::slug))]
    #[schema(pattern = "<slug>", min_length = 1, max_length = 255)]
    pub handle: Option<String>,
    /// HTML. It is kept without what could act in a page: scripts, styles, frames, forms, handlers, and addresses
    /// other than of the web; pictures come by HTTPS.
    #[serde(default)]
    #[validate(length(max = 100_000), custom(function = fields::text))]
    #[schema(pattern = "<text>", max_length = 100_000)]
    pub description: String,
    #[serde(default)]
    #[validate(custom(function = fields::line))]
    #[schema(pattern = "<line>", max_length = 255)]
    pub vendor: String,
    #[serde(default)]
    #[validate(custom(function = fields::line))]
    #[schema(pattern = "<line>", max_length = 255)]
    pub product_type: String,
    #[serde(default)]
    #[validate(length(max = 250), custom(function = fields::names))]
    #[schema(value_type = Vec<Name>, max_items = 250)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub status: Status,
    /// A slug.
    #[validate(custom(function = fields::line))]
    #[schema(pattern = "<line>", max_length = 255)]
    pub category: Option<String>,
    /// Taken from the variants if they are left out.
    #[validate(nested, length(max = 3), custom(function = unlike_names))]
    #[schema(max_items = 3)]
    pub options: Option<Vec<OptionInput>>,
    /// More can be added later; without any the product cannot be bought.
    #[serde(default)]
    #[validate(nested, length(max = 2000))]
    #[schema(max_items = 2000)]
    pub variants: Vec<CreateVariant>,
    #[serde(default)]
    #[validate(nested, length(max = 250))]
    #[schema(max_items = 250)]
    pub images: Vec<ImageInput>,
}

/// A change of a product: what is left out stays as it is.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"description": "<p>Soft cotton, long sleeves.</p>", "tags": ["cotton", "blue", "sale"]}))]
pub struct UpdateProduct {
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(custom(function = fields::name))]
    #[schema(pattern = "<words>", min_length = 1, max_length = 255, nullable = false)]
    pub title: Option<String>,
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(custom(function = fields::slug))]
    #[schema(pattern = "<slug>", min_length = 1, max_length = 255, nullable = false)]
    pub handle: Option<String>,
    /// HTML, kept as when a product is made.
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(length(max = 100_000), custom(function = fields::text))]
    #[schema(pattern = "<text>", max_length = 100_000, nullable = false)]
    pub description: Option<String>,
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(custom(function = fields::line))]
    #[schema(pattern = "<line>", max_length = 255, nullable = false)]
    pub vendor: Option<String>,
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(custom(function = fields::line))]
    #[schema(pattern = "<line>", max_length = 255, nullable = false)]
    pub product_type: Option<String>,
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(length(max = 250), custom(function = fields::names))]
    #[schema(value_type = Vec<Name>, required = false, max_items = 250)]
    pub tags: Option<Vec<String>>,
    #[serde(default, deserialize_with = "fields::given")]
    #[schema(nullable = false)]
    pub status: Option<Status>,
    /// A slug; `null` takes it out of its category.
    #[serde(default, deserialize_with = "fields::clearable")]
    #[validate(custom(function = fields::line))]
    #[schema(pattern = "<line>", max_length = 255, value_type = Option<String>)]
    pub category: Option<Option<String>>,
    /// New names, or another order of the values. There are as many as before.
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(nested, length(max = 3), custom(function = unlike_names))]
    #[schema(max_items = 3, nullable = false)]
    pub options: Option<Vec<OptionInput>>,
    /// All of them, in order.
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(nested, length(max = 250))]
    #[schema(max_items = 250, nullable = false)]
    pub images: Option<Vec<ImageInput>>,
}

fn unlike_names(options: &[OptionInput]) -> Result<(), ValidationError> {
    let names: HashSet<&str> = options.iter().map(|option| option.name.trim()).collect();
    if names.len() == options.len() {
        return Ok(());
    }
    Err(ValidationError::new("unique").with_message("must have names that differ".into()))
}

fn options(inputs: Vec<OptionInput>) -> Vec<ProductOption> {
    let option =
        |input: OptionInput| ProductOption { name: input.name.trim().to_owned(), values: fields::tags(input.values) };
    inputs.into_iter().map(option).collect()
}

fn description(given: &str) -> Result<String, ProductError> {
    let cleaned = html::clean(given);
    cleaned.map(Cow::into_owned).map_err(|why| ProductError::field("/description", "html", why.to_string()))
}

fn images(mut inputs: Vec<ImageInput>) -> Images {
    inputs.sort_by_key(|input| input.position.unwrap_or(u16::MAX));
    Images(inputs.into_iter().map(|input| Image { url: input.url, alt: input.alt }).collect())
}

impl CreateProduct {
    /// What the service makes.
    pub fn into_draft(self, shop: Currency) -> Result<ProductDraft, ProductError> {
        let variant =
            |(index, variant): (usize, CreateVariant)| variant.into_draft(shop, &format!("/variants/{index}"));
        Ok(ProductDraft {
            handle: self.handle,
            title: self.title.trim().to_owned(),
            description: description(&self.description)?,
            vendor: self.vendor.trim().to_owned(),
            product_type: self.product_type.trim().to_owned(),
            tags: fields::tags(self.tags),
            status: self.status,
            category: self.category,
            options: self.options.map(options),
            variants: self.variants.into_iter().enumerate().map(variant).collect::<Result<_, _>>()?,
            images: images(self.images),
        })
    }
}

impl UpdateProduct {
    /// What the service changes.
    pub fn into_patch(self) -> Result<ProductPatch, ProductError> {
        let trimmed = |text: String| text.trim().to_owned();
        Ok(ProductPatch {
            handle: self.handle,
            title: self.title.map(trimmed),
            description: self.description.as_deref().map(description).transpose()?,
            vendor: self.vendor.map(trimmed),
            product_type: self.product_type.map(trimmed),
            tags: self.tags.map(fields::tags),
            status: self.status,
            category: self.category,
            options: self.options.map(options),
            images: self.images.map(images),
        })
    }
}
