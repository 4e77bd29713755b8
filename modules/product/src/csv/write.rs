//! Products as rows of the CSV.
//!
//! A product takes as many rows as it has variants or images, whichever are more: the first carries
//! the product, each carries the next variant and the next image.

use eshopz_kernel::Currency;

use super::cell::{code, guard, join_tags};

/// The columns, in the order of Shopify's exports. Those that the shop has no use for are left out,
/// except the few that other readers insist on. The last one is the shop's own.
pub const HEADER: [&str; 34] = [
    "Handle",
    "Title",
    "Body (HTML)",
    "Vendor",
    "Product Category",
    "Type",
    "Tags",
    "Published",
    "Option1 Name",
    "Option1 Value",
    "Option2 Name",
    "Option2 Value",
    "Option3 Name",
    "Option3 Value",
    "Variant SKU",
    "Variant Grams",
    "Variant Inventory Tracker",
    "Variant Inventory Qty",
    "Variant Inventory Policy",
    "Variant Fulfillment Service",
    "Variant Price",
    "Variant Compare At Price",
    "Variant Requires Shipping",
    "Variant Taxable",
    "Variant Barcode",
    "Image Src",
    "Image Position",
    "Image Alt Text",
    "Gift Card",
    "Variant Image",
    "Variant Weight Unit",
    "Variant Tax Code",
    "Status",
    "Category Slugs",
];

/// A product to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductSheet {
    pub handle: String,
    pub title: String,
    pub body: String,
    pub vendor: String,
    pub product_type: String,
    pub tags: Vec<String>,
    /// `active`, `draft` or `archived`.
    pub status: String,
    /// Name and slug from the root down.
    pub category: Vec<(String, String)>,
    pub option_names: Vec<String>,
    pub variants: Vec<VariantSheet>,
    /// Address and alternative text, in order.
    pub images: Vec<(String, String)>,
}

/// A variant to be written. Amounts are minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VariantSheet {
    pub option_values: Vec<String>,
    pub sku: Option<String>,
    pub price: i64,
    pub compare_at: Option<i64>,
    pub barcode: Option<String>,
    pub grams: i32,
    pub requires_shipping: bool,
    pub taxable: bool,
    pub backorder: bool,
    pub on_hand: i64,
    pub image_url: Option<String>,
}

/// Writes rows into memory, to be taken out from time to time.
pub struct SheetWriter {
    writer: csv::Writer<Vec<u8>>,
    currency: Currency,
}

impl SheetWriter {
    /// Begins a file: the header is the first row.
    ///
    /// # Errors
    /// None that memory does not give.
    pub fn new(currency: Currency) -> Result<Self, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEADER)?;
        Ok(Self { writer, currency })
    }

    /// Adds a product.
    ///
    /// # Errors
    /// None that memory does not give.
    pub fn add(&mut self, product: &ProductSheet) -> Result<(), csv::Error> {
        for index in 0..product.variants.len().max(product.images.len()).max(1) {
            self.add_row(product, index)?;
        }
        Ok(())
    }

    /// What has been written since the last time.
    ///
    /// # Errors
    /// None that memory does not give.
    pub fn take(&mut self) -> Result<Vec<u8>, csv::Error> {
        let fresh = csv::Writer::from_writer(Vec::new());
        std::mem::replace(&mut self.writer, fresh).into_inner().map_err(|error| error.into_error().into())
    }

    fn add_row(&mut self, product: &ProductSheet, index: usize) -> Result<(), csv::Error> {
        let writer = &mut self.writer;
        writer.write_field(&*guard(&product.handle))?;
        write_product(writer, (index == 0).then_some(product))?;
        write_options(writer, product, index)?;
        write_variant(writer, product.variants.get(index), self.currency)?;
        write_image(writer, product, index)?;
        write_tail(writer, product, index)?;
        writer.write_record(None::<&[u8]>)
    }
}

type Writer = csv::Writer<Vec<u8>>;

/// `Title` to `Published`.
fn write_product(writer: &mut Writer, product: Option<&ProductSheet>) -> Result<(), csv::Error> {
    let Some(product) = product else { return blanks(writer, 7) };
    let names: Vec<String> = product.category.iter().map(|(name, _)| name.replace('>', "›")).collect();
    writer.write_field(&*guard(&product.title))?;
    writer.write_field(&*guard(&product.body))?;
    writer.write_field(&*guard(&product.vendor))?;
    writer.write_field(&*guard(&names.join(" > ")))?;
    writer.write_field(&*guard(&product.product_type))?;
    writer.write_field(&*guard(&join_tags(&product.tags)))?;
    writer.write_field(truth(product.status == "active"))
}

/// `Option1 Name` to `Option3 Value`. A product without options has one called `Title` in this format.
fn write_options(writer: &mut Writer, product: &ProductSheet, index: usize) -> Result<(), csv::Error> {
    let variant = product.variants.get(index);
    for number in 0..3 {
        let (name, value) = match (product.option_names.get(number), variant) {
            (Some(name), Some(variant)) => {
                (name.as_str(), variant.option_values.get(number).map_or("", String::as_str))
            }
            (None, Some(_)) if number == 0 => ("Title", "Default Title"),
            _ => ("", ""),
        };
        writer.write_field(&*guard(if index == 0 { name } else { "" }))?;
        writer.write_field(&*guard(value))?;
    }
    Ok(())
}

/// `Variant SKU` to `Variant Barcode`.
fn write_variant(writer: &mut Writer, variant: Option<&VariantSheet>, currency: Currency) -> Result<(), csv::Error> {
    let Some(variant) = variant else { return blanks(writer, 11) };
    writer.write_field(&*code(variant.sku.as_deref().unwrap_or_default()))?;
    writer.write_field(variant.grams.to_string())?;
    writer.write_field("shopify")?;
    writer.write_field(variant.on_hand.to_string())?;
    writer.write_field(if variant.backorder { "continue" } else { "deny" })?;
    writer.write_field("manual")?;
    writer.write_field(currency.format_price(variant.price))?;
    writer.write_field(variant.compare_at.map(|amount| currency.format_price(amount)).unwrap_or_default())?;
    writer.write_field(truth(variant.requires_shipping))?;
    writer.write_field(truth(variant.taxable))?;
    writer.write_field(&*code(variant.barcode.as_deref().unwrap_or_default()))
}

/// `Image Src` to `Image Alt Text`.
fn write_image(writer: &mut Writer, product: &ProductSheet, index: usize) -> Result<(), csv::Error> {
    let Some((url, alt)) = product.images.get(index) else { return blanks(writer, 3) };
    writer.write_field(&*guard(url))?;
    writer.write_field((index + 1).to_string())?;
    writer.write_field(&*guard(alt))
}

/// `Gift Card` to the end.
fn write_tail(writer: &mut Writer, product: &ProductSheet, index: usize) -> Result<(), csv::Error> {
    let variant = product.variants.get(index);
    let first = index == 0;
    let slugs: Vec<&str> = product.category.iter().map(|(_, slug)| slug.as_str()).collect();
    writer.write_field(if first { "false" } else { "" })?;
    writer.write_field(&*guard(variant.and_then(|variant| variant.image_url.as_deref()).unwrap_or_default()))?;
    writer.write_field(if variant.is_some() { "kg" } else { "" })?;
    writer.write_field("")?;
    writer.write_field(if first { product.status.as_str() } else { "" })?;
    writer.write_field(&*guard(&if first { slugs.join(" > ") } else { String::new() }))
}

fn blanks(writer: &mut Writer, count: usize) -> Result<(), csv::Error> {
    (0..count).try_for_each(|_| writer.write_field(""))
}

const fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}
