//! Money as integers of minor units with an ISO 4217 currency. There is no float anywhere near it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A three-letter ISO 4217 code, in capitals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

/// The text is no ISO 4217 code.
#[derive(Debug, thiserror::Error)]
#[error("a currency is three capital letters of ISO 4217, such as USD")]
pub struct NotACurrency;

impl Currency {
    pub const USD: Self = Self(*b"USD");

    /// The code, such as `USD`.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// How many decimals a price in this currency is written with (ISO 4217, exponent).
    #[must_use]
    pub fn decimals(&self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF" | b"UGX"
            | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; 3] = text.as_bytes().try_into().map_err(|_| NotACurrency)?;
        if bytes.iter().all(u8::is_ascii_uppercase) { Ok(Self(bytes)) } else { Err(NotACurrency) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Currency {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("ISO 4217 code"))
            .pattern(Some("^[A-Z]{3}$"))
            .examples(["USD"])
            .into()
    }
}

impl ToSchema for Currency {
    fn name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("Currency")
    }
}

/// An amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"amount": 1999, "currency": "USD"})))]
pub struct Money {
    /// Minor units: cents for USD.
    pub amount: i64,
    pub currency: Currency,
}

impl Money {
    #[must_use]
    pub const fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { amount: 0, currency }
    }
}

/// A decimal price could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    #[error("is not a number such as 19.99")]
    NotANumber,
    #[error("has more decimals than the currency")]
    TooPrecise,
    #[error("is too large")]
    TooLarge,
    #[error("is negative")]
    Negative,
}

impl Currency {
    /// Reads a decimal price such as `19.99` into minor units, exactly. Blanks around it, also those of Unicode that
    /// spreadsheets write, are passed over.
    ///
    /// # Errors
    /// [`PriceError`] when it is no plain non-negative decimal number, or has digits below the
    /// currency's minor unit (trailing zeros are let through).
    pub fn parse_price(&self, text: &str) -> Result<i64, PriceError> {
        let text = text.trim();
        if text.starts_with('-') && text.len() > 1 {
            return Err(PriceError::Negative);
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(PriceError::NotANumber);
        }
        if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(PriceError::NotANumber);
        }
        let decimals = usize::try_from(self.decimals()).unwrap_or(2);
        let kept = fraction.trim_end_matches('0');
        if kept.len() > decimals {
            return Err(PriceError::TooPrecise);
        }
        let digits = format!("{whole}{kept:0<decimals$}");
        digits
            .trim_start_matches('0')
            .parse::<i64>()
            .or_else(|_| if digits.bytes().all(|b| b == b'0') { Ok(0) } else { Err(PriceError::TooLarge) })
    }

    /// Writes minor units as a decimal price, `1999` as `19.99`.
    #[must_use]
    pub fn format_price(&self, amount: i64) -> String {
        let decimals = usize::try_from(self.decimals()).unwrap_or(2);
        let digits = format!("{:0>width$}", amount.unsigned_abs(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let sign = if amount < 0 { "-" } else { "" };
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_exactly() {
        let usd = Currency::USD;
        assert_eq!(usd.parse_price("19.99"), Ok(1999));
        assert_eq!(usd.parse_price("50"), Ok(5000));
        assert_eq!(usd.parse_price(" 0.5 "), Ok(50));
        assert_eq!(usd.parse_price(".5"), Ok(50));
        assert_eq!(usd.parse_price("0"), Ok(0));
        assert_eq!(usd.parse_price("1.2300"), Ok(123));
        assert_eq!(usd.parse_price("1.234"), Err(PriceError::TooPrecise));
        assert_eq!(usd.parse_price("-1"), Err(PriceError::Negative));
        for bad in ["", ".", "1e3", "1,5", "$5", "١", "--1", "NaN", "-"] {
            assert!(usd.parse_price(bad).is_err(), "{bad}");
        }
        assert_eq!(usd.parse_price("99999999999999999999"), Err(PriceError::TooLarge));
        let jpy: Currency = "JPY".parse().unwrap();
        assert_eq!(jpy.parse_price("500"), Ok(500));
        assert_eq!(jpy.parse_price("5.5"), Err(PriceError::TooPrecise));
    }

    #[test]
    fn prices_are_written_as_they_are_read() {
        for text in ["0.00", "0.05", "19.99", "100.00"] {
            assert_eq!(Currency::USD.format_price(Currency::USD.parse_price(text).unwrap()), text);
        }
    }
}
