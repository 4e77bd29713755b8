//! Stripe's units. They are ISO's minor units except for a few currencies, where a mistake would charge a
//! hundred times too much or too little.

use eshopz_kernel::Currency;

/// So many times ISO's minor units Stripe counts, or so many of them it counts as one.
enum Ratio {
    Same,
    Finer(i64),
    Coarser(i64),
}

fn ratio(currency: Currency) -> Ratio {
    match currency.code() {
        // Have lost their cents, and Stripe still counts them.
        "ISK" | "UGX" => Ratio::Finer(100),
        // Has fifths, which Stripe does not count.
        "MGA" => Ratio::Coarser(100),
        _ => Ratio::Same,
    }
}

/// Minor units as Stripe counts them; none when it cannot.
pub(super) fn to_stripe(amount: i64, currency: Currency) -> Option<i64> {
    match ratio(currency) {
        Ratio::Same => Some(amount),
        Ratio::Finer(times) => amount.checked_mul(times),
        Ratio::Coarser(times) => exact(amount, times),
    }
}

/// The way back.
pub(super) fn from_stripe(amount: i64, currency: Currency) -> Option<i64> {
    match ratio(currency) {
        Ratio::Same => Some(amount),
        Ratio::Finer(times) => exact(amount, times),
        Ratio::Coarser(times) => amount.checked_mul(times),
    }
}

const fn exact(amount: i64, times: i64) -> Option<i64> {
    if amount % times == 0 { Some(amount / times) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_currencies_are_counted_alike_and_some_are_not() {
        let cases =
            [("USD", 1999, Some(1999)), ("JPY", 500, Some(500)), ("ISK", 5, Some(500)), ("UGX", i64::MAX, None)];
        for (code, minor, stripe) in cases.into_iter().chain([("MGA", 500, Some(5)), ("MGA", 550, None)]) {
            let currency: Currency = code.parse().unwrap();
            assert_eq!(to_stripe(minor, currency), stripe, "{code}");
            assert!(stripe.is_none_or(|stripe| from_stripe(stripe, currency) == Some(minor)), "{code}");
        }
        assert_eq!(from_stripe(550, "ISK".parse().unwrap()), None);
    }
}
