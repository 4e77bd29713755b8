//! Tax rates by country, as they are written in a setting.

use std::collections::BTreeMap;

use eshopz_kernel::Currency;

/// Basis points by country.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaxRates(pub BTreeMap<String, u32>);

/// Reads `DE=19,CH=8.1`.
///
/// # Errors
/// In words for the operator.
pub fn parse_tax_rates(text: &str) -> Result<TaxRates, String> {
    let mut rates = BTreeMap::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (country, percent) =
            entry.split_once('=').ok_or_else(|| format!("`{entry}` is not COUNTRY=PERCENT, such as DE=19"))?;
        if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(format!("`{country}` is not an ISO 3166 alpha-2 country such as DE"));
        }
        // A percentage with two decimals is a price of a currency with two: exact, without floats.
        let points = Currency::USD.parse_price(percent).map_err(|error| format!("`{percent}` {error}"))?;
        let points = u32::try_from(points).ok().filter(|points| *points <= 10_000);
        rates.insert(country.to_owned(), points.ok_or_else(|| format!("`{percent}` is over 100 percent"))?);
    }
    Ok(TaxRates(rates))
}

#[cfg(test)]
#[path = "tax_properties.rs"]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tax_rates_are_exact() {
        let rates = parse_tax_rates("DE=19, CH=8.1,US=0").unwrap().0;
        assert_eq!(rates.get("DE"), Some(&1_900));
        assert_eq!(rates.get("CH"), Some(&810));
        for bad in ["DE", "de=19", "DE=x", "DE=101", "DEU=1"] {
            assert!(parse_tax_rates(bad).is_err(), "{bad}");
        }
    }
}
