//! Rules for fields that several requests have.

use std::borrow::Cow;
use std::collections::BTreeMap;

use eshopz_kernel::text::{breaks_a_line, is_blank, is_invisible};
use eshopz_kernel::{Currency, Money};
use serde::{Deserialize, Deserializer};
use validator::ValidationError;

use crate::domain::{handle, web_address};
use crate::error::ProductError;

/// The highest price, in minor units: a full cart of it can still be counted.
pub const MAX_PRICE: i64 = 10_000_000_000;
/// The longest line of text, in characters.
pub const MAX_LINE: usize = 255;
/// The longest address of a picture, in characters.
const MAX_URL: usize = 2_048;
/// Of a product.
pub const MAX_OPTIONS: usize = 3;

fn refused(code: &'static str, message: impl Into<Cow<'static, str>>) -> ValidationError {
    ValidationError::new(code).with_message(message.into())
}

/// Text of several lines: PostgreSQL takes no NUL.
pub fn text(text: &str) -> Result<(), ValidationError> {
    if text.contains('\0') { Err(refused("text", "must not have a NUL character in it")) } else { Ok(()) }
}

/// Text of one line, which may be empty.
pub fn line(line: &str) -> Result<(), ValidationError> {
    if line.chars().any(breaks_a_line) {
        return Err(refused("text", "must be one line, without controls or characters that turn its direction"));
    }
    if line.chars().count() > MAX_LINE {
        return Err(refused("length", format!("must have at most {MAX_LINE} characters")));
    }
    Ok(())
}

/// Text of one line with something in it.
pub fn name(name: &str) -> Result<(), ValidationError> {
    if is_blank(name) {
        return Err(refused("length", "must not be empty"));
    }
    line(name)
}

/// A code such as a SKU, which may be empty. Two that look the same are the same.
pub fn code(code: &str) -> Result<(), ValidationError> {
    if code.chars().any(is_invisible) {
        return Err(refused("text", "must not have characters in it that are not seen, such as U+200B"));
    }
    line(code)
}

/// Several names.
pub fn names(names: &[String]) -> Result<(), ValidationError> {
    names.iter().try_for_each(|each| name(each))
}

/// Values of a variant by the name of the option.
pub fn option_values(values: &BTreeMap<String, String>) -> Result<(), ValidationError> {
    if values.len() > MAX_OPTIONS {
        return Err(refused("length", "must be of at most three options"));
    }
    values.iter().try_for_each(|(option, value)| name(option).and_then(|()| name(value)))
}

/// A handle or slug.
pub fn slug(slug: &str) -> Result<(), ValidationError> {
    if handle::is_valid(slug) {
        return Ok(());
    }
    Err(refused("slug", "must be small letters, digits, `-` and `_`, at most 255, and not `import`, `export` or an id"))
}

/// The address of a picture.
pub fn url(url: &str) -> Result<(), ValidationError> {
    if url.chars().count() <= MAX_URL && web_address::is_of_the_web(url) {
        return Ok(());
    }
    let told = "must be an http or https URL of at most 2,048 characters, without a user name, spaces, quotes or `<`";
    Err(refused("url", told))
}

/// A price.
pub fn price(price: &Money) -> Result<(), ValidationError> {
    if (0..=MAX_PRICE).contains(&price.amount) {
        return Ok(());
    }
    Err(refused("range", format!("must have an amount from 0 to {MAX_PRICE}")))
}

/// The minor units of a price in the shop's currency.
pub fn minor(price: Money, shop: Currency, field: &str) -> Result<i64, ProductError> {
    if price.currency == shop {
        return Ok(price.amount);
    }
    Err(ProductError::OtherCurrency { field: format!("{field}/currency"), shop })
}

/// Of a change: a field that is there. `null` is refused by the type.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Of a change: a field that is there, `null` to clear it.
pub fn clearable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Without space around it, and nothing rather than an empty text.
pub fn some_text(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Tags without space around them, each once, in the order given.
pub fn tags(given: Vec<String>) -> Vec<String> {
    given.into_iter().fold(Vec::new(), |mut tags, tag| {
        let tag = tag.trim().to_owned();
        if !tags.contains(&tag) {
            tags.push(tag);
        }
        tags
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_the_database_takes() {
        assert!(text("two\nlines").is_ok() && text("a\0b").is_err());
        assert!(line("").is_ok() && line("a\nb").is_err() && line(&"é".repeat(256)).is_err());
        assert!(name(" x ").is_ok() && name("  ").is_err() && name("\u{200b}").is_err());
        assert!(line("\u{202e}gpj.exe").is_err() && line("محمد\u{200f}").is_ok());
        assert!(code("AB-1 Ä").is_ok() && code("AB\u{200b}-1").is_err() && code("AB\u{ad}").is_err());
        assert!(url("https://example.com/a.jpg").is_ok());
        assert!(url("javascript:alert(1)").is_err() && url("https://a b").is_err());
        assert!(url(&format!("https://x/{}", "é".repeat(2_038))).is_ok());
        assert!(url(&format!("https://x/{}", "é".repeat(2_039))).is_err());
    }

    #[test]
    fn tags_come_once() {
        let given = [" a", "b", "a"].map(str::to_owned).to_vec();
        assert_eq!(tags(given), ["a", "b"]);
        assert_eq!(some_text(Some("  ".to_owned())), None);
    }

    #[test]
    fn prices_are_in_the_shops_currency() {
        let euros = Money::new(5, "EUR".parse().unwrap());
        assert!(minor(euros, Currency::USD, "/price").is_err());
        assert_eq!(minor(Money::new(5, Currency::USD), Currency::USD, "/price").unwrap(), 5);
        assert!(price(&Money::new(-1, Currency::USD)).is_err());
    }
}
