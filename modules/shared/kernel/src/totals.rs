//! How the sum of a cart or an order is made, and the settings that it follows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Currency, Money};

/// The sum of a cart or an order: `total = subtotal - discount + shipping + tax`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// The lines, at today's prices.
    pub subtotal: Money,
    /// What is taken off; nothing gives discounts yet.
    pub discount: Money,
    pub shipping: Money,
    pub tax: Money,
    pub total: Money,
}

/// One line as far as the sum needs it.
#[derive(Clone, Copy, Debug)]
pub struct PricedLine {
    /// Minor units for the whole line.
    pub line_total: i64,
    pub requires_shipping: bool,
    pub taxable: bool,
}

/// The shop's settings for prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pricing {
    pub currency: Currency,
    /// Flat shipping rate in minor units, when anything in the cart needs shipping.
    pub shipping_flat: i64,
    /// Subtotal in minor units from which shipping is free.
    pub shipping_free_from: Option<i64>,
    /// Tax rate in basis points (1900 is 19 %) by ISO 3166 alpha-2 country; others pay none.
    pub tax_rates: BTreeMap<String, u32>,
}

impl Default for Pricing {
    fn default() -> Self {
        Self { currency: Currency::USD, shipping_flat: 0, shipping_free_from: None, tax_rates: BTreeMap::new() }
    }
}

impl Pricing {
    /// Sums lines up for a destination; without a country no tax is known yet and none is shown.
    ///
    /// Tax is taken on taxable lines after discount, added to the prices, rounded half up once.
    /// Sums saturate: limits on quantities and prices keep real ones far below that.
    #[must_use]
    pub fn totals(&self, lines: &[PricedLine], country: Option<&str>) -> Totals {
        let subtotal = lines.iter().fold(0_i64, |sum, line| sum.saturating_add(line.line_total));
        let discount = 0_i64;
        let ships = lines.iter().any(|line| line.requires_shipping);
        let free = self.shipping_free_from.is_some_and(|from| subtotal - discount >= from);
        let shipping = if ships && !free { self.shipping_flat } else { 0 };
        let taxable =
            lines.iter().filter(|line| line.taxable).fold(0_i64, |sum, line| sum.saturating_add(line.line_total));
        let rate = country.and_then(|country| self.tax_rates.get(country)).copied().unwrap_or(0);
        let tax = (i128::from(taxable) * i128::from(rate) + 5_000) / 10_000;
        let tax = i64::try_from(tax).unwrap_or(i64::MAX);
        let total = subtotal.saturating_sub(discount).saturating_add(shipping).saturating_add(tax);
        let money = |amount| Money::new(amount, self.currency);
        Totals {
            subtotal: money(subtotal),
            discount: money(discount),
            shipping: money(shipping),
            tax: money(tax),
            total: money(total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line_total: i64) -> PricedLine {
        PricedLine { line_total, requires_shipping: true, taxable: true }
    }

    fn pricing() -> Pricing {
        Pricing {
            shipping_flat: 500,
            shipping_free_from: Some(5_000),
            tax_rates: BTreeMap::from([("DE".to_owned(), 1_900)]),
            ..Pricing::default()
        }
    }

    #[test]
    fn shipping_is_free_from_the_threshold() {
        assert_eq!(pricing().totals(&[line(4_999)], None).shipping.amount, 500);
        assert_eq!(pricing().totals(&[line(5_000)], None).shipping.amount, 0);
        let download = PricedLine { requires_shipping: false, ..line(100) };
        assert_eq!(pricing().totals(&[download], None).shipping.amount, 0);
        assert_eq!(pricing().totals(&[], None).total.amount, 0);
    }

    #[test]
    fn tax_follows_the_country_and_rounds_once() {
        let totals = pricing().totals(&[line(101), line(102)], Some("DE"));
        assert_eq!(totals.tax.amount, 39); // 203 * 0.19 = 38.57
        assert_eq!(totals.total.amount, 203 + 500 + 39);
        assert_eq!(pricing().totals(&[line(101)], Some("US")).tax.amount, 0);
    }
}
