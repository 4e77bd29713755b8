//! Which column is which, by the names in the header.

use super::cell;

/// A column that means something to the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Handle,
    Title,
    Body,
    Vendor,
    Category,
    /// The shop's own: the slugs of the path in [`Column::Category`].
    CategorySlugs,
    Type,
    Tags,
    Published,
    Status,
    OptionName(u8),
    OptionValue(u8),
    Sku,
    Grams,
    Quantity,
    Policy,
    Price,
    CompareAtPrice,
    RequiresShipping,
    Taxable,
    Barcode,
    ImageSrc,
    ImagePosition,
    ImageAlt,
    VariantImage,
}

/// Every column with its names in lower case, the one that counts most first.
const NAMES: &[(Column, &[&str])] = &[
    (Column::Handle, &["handle", "url handle"]),
    (Column::Title, &["title"]),
    (Column::Body, &["body (html)", "body html", "body", "description"]),
    (Column::Vendor, &["vendor"]),
    (Column::Category, &["product category"]),
    (Column::CategorySlugs, &["category slugs"]),
    (Column::Type, &["type", "product type", "custom product type"]),
    (Column::Tags, &["tags"]),
    (Column::Published, &["published", "published on online store"]),
    (Column::Status, &["status"]),
    (Column::OptionName(0), &["option1 name"]),
    (Column::OptionValue(0), &["option1 value"]),
    (Column::OptionName(1), &["option2 name"]),
    (Column::OptionValue(1), &["option2 value"]),
    (Column::OptionName(2), &["option3 name"]),
    (Column::OptionValue(2), &["option3 value"]),
    (Column::Sku, &["variant sku", "sku"]),
    (Column::Grams, &["variant grams", "weight value (grams)"]),
    (Column::Quantity, &["variant inventory qty", "inventory quantity"]),
    (Column::Policy, &["variant inventory policy", "continue selling when out of stock"]),
    (Column::Price, &["variant price", "price"]),
    (Column::CompareAtPrice, &["variant compare at price", "compare-at price", "compare at price"]),
    (Column::RequiresShipping, &["variant requires shipping", "requires shipping"]),
    (Column::Taxable, &["variant taxable", "charge tax"]),
    (Column::Barcode, &["variant barcode", "barcode"]),
    (Column::ImageSrc, &["image src", "product image url"]),
    (Column::ImagePosition, &["image position"]),
    (Column::ImageAlt, &["image alt text"]),
    (Column::VariantImage, &["variant image", "variant image url"]),
];

/// Where the known columns are in a file.
#[derive(Clone, Debug)]
pub struct Columns {
    places: Vec<(Column, usize)>,
}

impl Columns {
    /// Finds the columns of a header. Nothing is required here.
    #[must_use]
    pub fn of(header: &csv::ByteRecord) -> Self {
        let names: Vec<String> = header.iter().map(normal_name).collect();
        let place = |column: &Column, aliases: &[&str]| {
            let index = aliases.iter().find_map(|alias| names.iter().position(|name| name == alias))?;
            Some((*column, index))
        };
        Self { places: NAMES.iter().filter_map(|(column, aliases)| place(column, aliases)).collect() }
    }

    /// Whether the file has the column at all.
    #[must_use]
    pub fn has(&self, column: Column) -> bool {
        self.place(column).is_some()
    }

    /// The position of a column, from 0.
    #[must_use]
    pub fn place(&self, column: Column) -> Option<usize> {
        self.places.iter().find(|(known, _)| *known == column).map(|(_, index)| *index)
    }
}

/// A header's name without a byte order mark, outer and double spaces, in lower case.
fn normal_name(bytes: &[u8]) -> String {
    let text = cell::decode(bytes);
    let words: Vec<&str> = text.trim_start_matches('\u{feff}').split_whitespace().collect();
    words.join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Columns {
        Columns::of(&csv::ByteRecord::from(names.to_vec()))
    }

    #[test]
    fn names_count_and_order_does_not() {
        let found = columns(&["\u{feff} Variant  PRICE ", "Metafield: x", "HANDLE", "Price / International", "Price"]);
        assert_eq!(found.place(Column::Price), Some(0));
        assert_eq!(found.place(Column::Handle), Some(2));
        assert!(!found.has(Column::Title));
    }

    #[test]
    fn the_newer_template_is_known_too() {
        let found = columns(&["Title", "URL handle", "Price", "Inventory quantity", "Weight value (grams)"]);
        assert_eq!(found.place(Column::Handle), Some(1));
        assert_eq!(found.place(Column::Price), Some(2));
        assert_eq!(found.place(Column::Quantity), Some(3));
        assert_eq!(found.place(Column::Grams), Some(4));
    }
}
