//! The setting against what nobody has thought of. `PROPTEST_CASES` makes it more.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn rates_are_read_as_they_are_written(rates in prop::collection::btree_map("[A-Z]{2}", 0_u32..=10_000, 0..8)) {
        let text: Vec<String> =
            rates.iter().map(|(country, points)| format!("{country}={}", Currency::USD.format_price(i64::from(*points)))).collect();
        prop_assert_eq!(parse_tax_rates(&text.join(", ")).unwrap().0, rates);
    }

    #[test]
    fn any_text_is_rates_or_refused(text in prop_oneof![any::<String>(), "([A-Z]{1,3}=-?[0-9]{0,22}(\\.[0-9]{0,4})?,? ?){0,5}"]) {
        match parse_tax_rates(&text) {
            Ok(TaxRates(rates)) => {
                for (country, points) in rates {
                    prop_assert!(country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()));
                    prop_assert!(points <= 10_000);
                }
            }
            Err(told) => prop_assert!(!told.is_empty()),
        }
    }
}
