//! A cart at today's prices: the lines that the order will keep, and their sum.

use std::collections::HashMap;

use eshopz_cart_api::CheckoutLine;
use eshopz_kernel::totals::PricedLine;
use eshopz_kernel::{Pricing, Totals, VariantId};
use eshopz_product_api::{Shortage, StockLine, VariantSnapshot};

/// A line of an order before it is one.
#[derive(Clone, Debug)]
pub struct QuotedLine {
    pub variant: VariantSnapshot,
    pub quantity: i64,
    /// Minor units.
    pub line_total: i64,
}

/// What a cart costs, all of it on sale.
#[derive(Clone, Debug)]
pub struct Quote {
    pub lines: Vec<QuotedLine>,
    pub totals: Totals,
}

impl Quote {
    /// The stock that it needs.
    #[must_use]
    pub fn stock(&self) -> Vec<StockLine> {
        self.lines.iter().map(|line| StockLine { variant_id: line.variant.id, quantity: line.quantity }).collect()
    }
}

/// Prices a cart for a destination.
///
/// Whether there is enough of everything is for the reservation to say: an earlier attempt, or a twin, may hold the
/// last ones for this very order.
///
/// # Errors
/// When a line is gone, no longer sold, or sold in another currency: all of these, and those that are short.
pub fn quote(
    lines: &[CheckoutLine],
    variants: Vec<VariantSnapshot>,
    pricing: &Pricing,
    country: &str,
) -> Result<Quote, Vec<Shortage>> {
    let sold: HashMap<VariantId, VariantSnapshot> = variants
        .into_iter()
        .filter(|variant| variant.sellable && variant.price.currency == pricing.currency)
        .map(|variant| (variant.id, variant))
        .collect();
    let (mut short, mut all_on_sale) = (Vec::new(), true);
    let mut quoted = Vec::with_capacity(lines.len());
    for line in lines {
        let found = sold.get(&line.variant_id);
        if !found.is_some_and(|variant| variant.can_supply(line.quantity)) {
            short.push(shortage(line, found));
        }
        match found {
            Some(variant) => {
                let line_total = variant.price.amount.saturating_mul(line.quantity);
                quoted.push(QuotedLine { variant: variant.clone(), quantity: line.quantity, line_total });
            }
            None => all_on_sale = false,
        }
    }
    if !all_on_sale {
        return Err(short);
    }
    let totals = pricing.totals(&quoted.iter().map(priced).collect::<Vec<_>>(), Some(country));
    Ok(Quote { lines: quoted, totals })
}

fn shortage(line: &CheckoutLine, found: Option<&VariantSnapshot>) -> Shortage {
    let available = found.map_or(0, |variant| variant.available.max(0));
    Shortage { variant_id: line.variant_id, requested: line.quantity, available }
}

const fn priced(line: &QuotedLine) -> PricedLine {
    PricedLine {
        line_total: line.line_total,
        requires_shipping: line.variant.requires_shipping,
        taxable: line.variant.taxable,
    }
}

#[cfg(test)]
mod tests {
    use eshopz_kernel::{Currency, Money, ProductId};

    use super::*;

    fn variant(price: i64, available: i64) -> VariantSnapshot {
        VariantSnapshot {
            id: VariantId::new(),
            product_id: ProductId::new(),
            sku: None,
            title: "Mug".into(),
            variant_title: "Blue".into(),
            image_url: None,
            price: Money::new(price, Currency::USD),
            available,
            backorder: false,
            requires_shipping: true,
            taxable: true,
            sellable: true,
        }
    }

    fn line(variant: &VariantSnapshot, quantity: i64) -> CheckoutLine {
        CheckoutLine { variant_id: variant.id, quantity }
    }

    #[test]
    fn lines_keep_their_order_and_sum_up() {
        let (mug, cup) = (variant(1_000, 5), variant(250, 5));
        let lines = [line(&mug, 2), line(&cup, 3)];
        let pricing = Pricing { shipping_flat: 500, ..Pricing::default() };
        let quote = quote(&lines, vec![cup.clone(), mug.clone()], &pricing, "DE").unwrap();
        assert_eq!(quote.lines.iter().map(|line| line.line_total).collect::<Vec<_>>(), [2_000, 750]);
        assert_eq!(quote.totals.total.amount, 3_250);
        assert_eq!(quote.stock()[1], StockLine { variant_id: cup.id, quantity: 3 });
    }

    #[test]
    fn every_line_that_cannot_be_had_is_named() {
        let (few, gone, draft) = (variant(1, 2), variant(1, 9), VariantSnapshot { sellable: false, ..variant(1, 9) });
        let foreign = VariantSnapshot { price: Money::new(1, "EUR".parse().unwrap()), ..variant(1, 9) };
        let lines = [line(&few, 3), line(&gone, 1), line(&draft, 1), line(&foreign, 1), line(&variant(1, 1), 1)];
        let short = quote(&lines, vec![few, draft, foreign], &Pricing::default(), "DE").unwrap_err();
        assert_eq!(short.iter().map(|short| short.available).collect::<Vec<_>>(), [2, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_only_short_may_be_held_for_this_order() {
        let few = variant(1, 2);
        assert!(quote(&[line(&few, 3)], vec![few], &Pricing::default(), "DE").is_ok());
        let sold_ahead = VariantSnapshot { backorder: true, ..variant(1, 0) };
        assert!(quote(&[line(&sold_ahead, 7)], vec![sold_ahead], &Pricing::default(), "DE").is_ok());
    }
}
