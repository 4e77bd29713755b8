//! The cells of one row read as what they mean.

use eshopz_kernel::Currency;
use eshopz_kernel::money::PriceError;

use super::cell;
use super::columns::{Column, Columns};
use super::line::{
    ADDRESS, ALT, ImageCells, LARGEST_PRICE, LARGEST_QUANTITY, LARGEST_WEIGHT, Line, LineContent, PATH, Parsed,
    ProductCells, SHORT, TAGS, TAGS_BYTES, VariantCells, Visibility,
};
use super::refusal::{Reason, shortened};
use crate::domain::{handle, html, web_address};

/// Reads a row.
#[must_use]
pub fn parse(columns: &Columns, record: &csv::ByteRecord, row: u64, currency: Currency) -> Parsed {
    if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
        return Parsed::Blank;
    }
    let cells = Cells { columns, record };
    let given = cells.text(Column::Handle).unwrap_or_default();
    if given.is_empty() {
        return Parsed::Refused { handle: given, reason: Reason::NoHandle };
    }
    let Some(handle) = normal_handle(&given) else {
        return Parsed::Refused { handle: given, reason: Reason::BadHandle };
    };
    let sku = cells.code(Column::Sku);
    if record.as_slice().contains(&0) {
        let reason = Reason::NulCharacter;
        return line(row, handle, sku, Err(reason.clone()), Err(reason));
    }
    let (product, content) = (cells.product(), cells.content(currency));
    line(row, handle, sku, product, content)
}

fn line(
    row: u64,
    handle: String,
    sku: Option<String>,
    product: Result<ProductCells, Reason>,
    content: Result<LineContent, Reason>,
) -> Parsed {
    Parsed::Line(Box::new(Line { row, handle, sku, product, content }))
}

/// A handle as the shop keeps it, if it can be made one. What cannot stand in an address becomes a hyphen.
fn normal_handle(given: &str) -> Option<String> {
    let lower = given.to_lowercase();
    if handle::is_valid(&lower) {
        return Some(lower);
    }
    let parts = lower.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let handle = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    // One that is an id or a path of its own is refused; it is not put right by leaving something out.
    handle::is_valid(&handle).then_some(handle)
}

struct Cells<'a> {
    columns: &'a Columns,
    record: &'a csv::ByteRecord,
}

impl Cells<'_> {
    /// The cell as it stands; `None` when the file has no such column.
    fn raw(&self, column: Column) -> Option<std::borrow::Cow<'_, str>> {
        let place = self.columns.place(column)?;
        Some(cell::decode(self.record.get(place).unwrap_or_default()))
    }

    /// One line without outer spaces and the guard against formulas.
    fn text(&self, column: Column) -> Option<String> {
        self.raw(column).map(|raw| cell::one_line(cell::unguard(raw.trim_matches(' '))).trim().to_owned())
    }

    /// Short text within the limit.
    fn short(&self, column: Column, name: &'static str) -> Result<Option<String>, Reason> {
        bounded(self.text(column), name, SHORT)
    }

    fn code(&self, column: Column) -> Option<String> {
        self.raw(column).map(|raw| cell::visible(cell::uncode(raw.trim())).trim().to_owned())
    }

    /// The steps of a path from the root down.
    fn path(&self, column: Column, name: &'static str) -> Result<Vec<String>, Reason> {
        let text = bounded(self.text(column), name, PATH)?.unwrap_or_default();
        let steps = text.split('>').map(str::trim).filter(|step| !step.is_empty());
        steps.map(|step| bounded(Some(step.to_owned()), name, SHORT).map(Option::unwrap_or_default)).collect()
    }

    fn boolean(&self, column: Column, name: &'static str) -> Result<Option<bool>, Reason> {
        match self.text(column).as_deref() {
            None | Some("") => Ok(None),
            Some(text) => cell::boolean(text)
                .map(Some)
                .ok_or_else(|| Reason::NotABoolean { column: name, value: shortened(text) }),
        }
    }

    fn product(&self) -> Result<ProductCells, Reason> {
        Ok(ProductCells {
            title: self.short(Column::Title, "Title")?.unwrap_or_default(),
            body: self.body()?,
            vendor: self.short(Column::Vendor, "Vendor")?,
            product_type: self.short(Column::Type, "Type")?,
            tags: self.text(Column::Tags).map(|text| tags(&text)).transpose()?,
            status: self.status()?,
            category: self.path(Column::Category, "Product Category")?,
            category_slugs: self.path(Column::CategorySlugs, "Category Slugs")?,
            option_names: self.three(Column::OptionName, "Option Name")?,
        })
    }

    /// The description, cleaned; what needs no cleaning is kept to the letter.
    fn body(&self) -> Result<Option<String>, Reason> {
        const NAME: &str = "Body (HTML)";
        let body = self.raw(Column::Body).map(|raw| cell::unguard(&raw).to_owned());
        let Some(body) = bounded(body, NAME, html::LONGEST)? else { return Ok(None) };
        match html::clean(&body) {
            Ok(cleaned) => Ok(Some(cleaned.into_owned())),
            Err(html::NotTaken::TooLong) => Err(Reason::TooLong { column: NAME, limit: html::LONGEST }),
            Err(html::NotTaken::Tangled) => Err(Reason::TangledHtml { column: NAME }),
        }
    }

    fn status(&self) -> Result<Option<Visibility>, Reason> {
        match self.text(Column::Status).unwrap_or_default().to_ascii_lowercase().as_str() {
            "" => Ok(self
                .boolean(Column::Published, "Published")?
                .map(|published| if published { Visibility::Published } else { Visibility::Unpublished })),
            "active" => Ok(Some(Visibility::Active)),
            // Unlisted products are reached by their address only, which this shop does not have.
            "draft" | "unlisted" => Ok(Some(Visibility::Draft)),
            "archived" => Ok(Some(Visibility::Archived)),
            other => Err(Reason::BadStatus { value: shortened(other) }),
        }
    }

    fn content(&self, currency: Currency) -> Result<LineContent, Reason> {
        Ok(LineContent { variant: self.variant(currency)?, image: self.image()? })
    }

    fn three(&self, column: fn(u8) -> Column, name: &'static str) -> Result<[String; 3], Reason> {
        let one = |number| self.short(column(number), name).map(Option::unwrap_or_default);
        Ok([one(0)?, one(1)?, one(2)?])
    }

    /// A variant is a row with an option value, a SKU or a price; exports fill the other columns of an
    /// image's row now and then.
    fn variant(&self, currency: Currency) -> Result<Option<VariantCells>, Reason> {
        let option_values = self.three(Column::OptionValue, "Option Value")?;
        let sku = bounded(self.code(Column::Sku), "Variant SKU", SHORT)?;
        let price = self.text(Column::Price);
        let filled = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if option_values.iter().all(String::is_empty) && !filled(&sku) && !filled(&price) {
            return Ok(None);
        }
        let price = match price {
            None => None,
            Some(text) if text.is_empty() => return Err(Reason::PriceMissing),
            Some(text) => Some(amount(&text, "Variant Price", currency)?),
        };
        let backorder = self.policy()?;
        Ok(Some(VariantCells {
            option_values,
            sku,
            price,
            compare_at: self.compare_at(currency)?,
            barcode: bounded(self.code(Column::Barcode), "Variant Barcode", SHORT)?,
            grams: self.grams()?,
            requires_shipping: self.boolean(Column::RequiresShipping, "Variant Requires Shipping")?,
            taxable: self.boolean(Column::Taxable, "Variant Taxable")?,
            backorder,
            quantity: self.quantity(backorder)?,
            image: self.address(Column::VariantImage, "Variant Image")?,
        }))
    }

    fn compare_at(&self, currency: Currency) -> Result<Option<Option<i64>>, Reason> {
        match self.text(Column::CompareAtPrice) {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(Some(None)),
            Some(text) => amount(&text, "Variant Compare At Price", currency).map(|amount| Some(Some(amount))),
        }
    }

    fn grams(&self) -> Result<Option<i64>, Reason> {
        let Some(text) = self.text(Column::Grams).filter(|text| !text.is_empty()) else { return Ok(None) };
        match cell::grams(&text).filter(|grams| *grams <= LARGEST_WEIGHT) {
            Some(grams) => Ok(Some(grams)),
            None => Err(Reason::BadNumber { column: "Variant Grams", value: shortened(&text) }),
        }
    }

    fn policy(&self) -> Result<Option<bool>, Reason> {
        let text = self.text(Column::Policy).unwrap_or_default().to_ascii_lowercase();
        match text.as_str() {
            "" => Ok(None),
            "continue" => Ok(Some(true)),
            "deny" => Ok(Some(false)),
            other => cell::boolean(other).map(Some).ok_or_else(|| Reason::BadPolicy { value: shortened(other) }),
        }
    }

    fn quantity(&self, backorder: Option<bool>) -> Result<Option<i64>, Reason> {
        let Some(text) = self.text(Column::Quantity).filter(|text| !text.is_empty()) else { return Ok(None) };
        match cell::integer(&text).filter(|quantity| (-LARGEST_QUANTITY..=LARGEST_QUANTITY).contains(quantity)) {
            None => Err(Reason::BadNumber { column: "Variant Inventory Qty", value: shortened(&text) }),
            Some(quantity) if quantity < 0 && backorder != Some(true) => Err(Reason::NegativeQuantity),
            Some(quantity) => Ok(Some(quantity)),
        }
    }

    fn image(&self) -> Result<Option<ImageCells>, Reason> {
        let Some(url) = self.address(Column::ImageSrc, "Image Src")? else { return Ok(None) };
        let position = self.text(Column::ImagePosition).and_then(|text| cell::integer(&text));
        Ok(Some(ImageCells {
            url,
            position: position.and_then(|position| i32::try_from(position).ok()).filter(|position| *position > 0),
            alt: bounded(self.text(Column::ImageAlt), "Image Alt Text", ALT)?,
        }))
    }

    fn address(&self, column: Column, name: &'static str) -> Result<Option<String>, Reason> {
        let Some(text) = self.text(column).filter(|text| !text.is_empty()) else { return Ok(None) };
        let url = if text.starts_with("//") { format!("https:{text}") } else { text };
        let url = bounded(Some(url), name, ADDRESS)?;
        if url.as_deref().is_some_and(web_address::is_of_the_web) {
            Ok(url)
        } else {
            Err(Reason::BadImage { column: name })
        }
    }
}

fn bounded(text: Option<String>, column: &'static str, limit: usize) -> Result<Option<String>, Reason> {
    // Characters are only counted where the bytes alone do not settle it.
    match text {
        Some(text) if text.len() > limit && text.chars().count() > limit => Err(Reason::TooLong { column, limit }),
        other => Ok(other),
    }
}

fn amount(text: &str, column: &'static str, currency: Currency) -> Result<i64, Reason> {
    let refused = |why| Reason::BadPrice { column, value: shortened(text), why };
    match currency.parse_price(text) {
        Ok(amount) if amount > LARGEST_PRICE => Err(refused(PriceError::TooLarge)),
        Ok(amount) => Ok(amount),
        Err(why) => Err(refused(why)),
    }
}

/// Tags between commas, each once.
fn tags(text: &str) -> Result<Vec<String>, Reason> {
    // Nothing that could be taken is as long, and to compare all with all would take hours.
    if text.len() > TAGS_BYTES {
        return Err(Reason::TooManyTags { limit: TAGS });
    }
    let mut tags: Vec<String> = Vec::new();
    for tag in cell::split_tags(text) {
        if tag.len() > SHORT && tag.chars().count() > SHORT {
            return Err(Reason::TooLong { column: "Tags", limit: SHORT });
        }
        if !tags.contains(&tag) {
            if tags.len() == TAGS {
                return Err(Reason::TooManyTags { limit: TAGS });
            }
            tags.push(tag);
        }
    }
    Ok(tags)
}
