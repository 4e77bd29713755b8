//! Cursors, prices and sums against what nobody has thought of. `PROPTEST_CASES` makes it more.

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use crate::totals::PricedLine;
use crate::{Currency, Cursor, Money, Pricing};

fn currency() -> impl Strategy<Value = Currency> {
    prop_oneof![Just("USD"), Just("JPY"), Just("KWD")].prop_map(|code| code.parse().unwrap())
}

/// What looks like a price, and what does not.
fn price_text() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9]{0,25}(\\.[0-9]{0,6})?", "[-+ .,eE0-9x$\u{661}]{0,12}", any::<String>()]
}

proptest! {
    #[test]
    fn a_cursor_comes_back_as_it_went(seconds in -62_135_596_800_i64..253_402_300_800, id: u128, text: String, rank: i64) {
        let at = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap();
        let place = (at, Uuid::from_u128(id), text, rank);
        let cursor = Cursor::encode(&place);
        prop_assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        prop_assert_eq!(Cursor::decode::<(DateTime<Utc>, Uuid, String, i64)>(&cursor).unwrap(), place);
    }

    #[test]
    fn any_text_is_a_cursor_or_refused(text in prop_oneof![any::<String>(), "[A-Za-z0-9_-]{0,80}", "[ -~]{0,60}"]) {
        // As what it is in the lists, and as what its content says.
        let inside = Cursor::encode(&text);
        for cursor in [text.as_str(), inside.as_str()] {
            if let Ok(at) = Cursor::decode::<DateTime<Utc>>(cursor) {
                prop_assert!(Cursor::time(at).is_err() || Cursor::decode::<DateTime<Utc>>(&Cursor::encode(&at)).is_ok());
            }
            if let Ok(place) = Cursor::decode::<(i64, String)>(cursor) {
                prop_assert_eq!(Cursor::decode::<(i64, String)>(&Cursor::encode(&place)).unwrap(), place);
            }
        }
        prop_assert_eq!(Cursor::decode::<String>(&inside).unwrap(), text);
    }

    #[test]
    fn a_price_is_read_as_it_is_written(amount in 0..=i64::MAX, currency in currency()) {
        prop_assert_eq!(currency.parse_price(&currency.format_price(amount)), Ok(amount));
        prop_assert!(currency.format_price(-amount).len() <= currency.format_price(amount).len() + 1);
    }

    #[test]
    fn any_text_is_a_price_or_refused(text in price_text(), currency in currency()) {
        if let Ok(amount) = currency.parse_price(&text) {
            prop_assert!(amount >= 0);
            prop_assert_eq!(currency.parse_price(&currency.format_price(amount)), Ok(amount));
            prop_assert!(text.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
        }
    }

    #[test]
    fn any_text_is_a_currency_or_refused(text in prop_oneof![any::<String>(), "[A-Za-z]{2,4}"]) {
        if let Ok(currency) = text.parse::<Currency>() {
            prop_assert_eq!(currency.code(), text.as_str());
            let money = Money::new(1, currency);
            let written = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&written).unwrap(), money);
        }
    }

    #[test]
    fn sums_do_not_turn_over(
        lines in prop::collection::vec((prop_oneof![0_i64..1_000_000, Just(i64::MAX), 0..=i64::MAX], any::<bool>(), any::<bool>()), 0..20),
        shipping in prop_oneof![0_i64..10_000, Just(i64::MAX)],
        free_from in prop::option::of(any::<i64>()),
        rate in 0_u32..=10_000,
    ) {
        let pricing = Pricing {
            shipping_flat: shipping,
            shipping_free_from: free_from,
            tax_rates: [("DE".to_owned(), rate)].into(),
            ..Pricing::default()
        };
        let lines: Vec<PricedLine> = lines
            .into_iter()
            .map(|(line_total, requires_shipping, taxable)| PricedLine { line_total, requires_shipping, taxable })
            .collect();
        let totals = pricing.totals(&lines, Some("DE"));
        for part in [totals.subtotal, totals.discount, totals.shipping, totals.tax] {
            prop_assert!((0..=totals.total.amount).contains(&part.amount));
        }
    }
}
