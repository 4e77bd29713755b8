//! Prices are taken afresh at each read: lines, the catalogue's word on their variants, and the sum.

use std::collections::{HashMap, HashSet};

use eshopz_kernel::totals::PricedLine;
use eshopz_kernel::{Pricing, Totals, VariantId};
use eshopz_product_api::{Shortage, VariantSnapshot};

use crate::domain::{Cart, CartItem, FilledCart};
use crate::error::CartError;

/// What the catalogue said about some variants a moment ago. One that was asked for and not found
/// does not exist any more.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    asked: HashSet<VariantId>,
    found: HashMap<VariantId, VariantSnapshot>,
}

impl Snapshots {
    pub fn add(&mut self, asked: &[VariantId], found: Vec<VariantSnapshot>) {
        self.asked.extend(asked);
        self.found.extend(found.into_iter().map(|variant| (variant.id, variant)));
    }

    /// Those among the variants that were not asked for yet, each once.
    pub fn missing(&self, variants: impl Iterator<Item = VariantId>) -> Vec<VariantId> {
        let mut seen = HashSet::new();
        variants.filter(|id| !self.asked.contains(id) && seen.insert(*id)).collect()
    }

    /// A variant that can be sold at all.
    #[must_use]
    pub fn sellable(&self, variant: VariantId) -> Option<&VariantSnapshot> {
        self.found.get(&variant).filter(|variant| variant.sellable)
    }

    /// # Errors
    /// [`CartError::InsufficientStock`] when so many of the variant cannot be sold now.
    pub fn must_supply(&self, variant: VariantId, quantity: i64) -> Result<(), CartError> {
        let snapshot = self.sellable(variant);
        if snapshot.is_some_and(|snapshot| snapshot.can_supply(quantity)) {
            return Ok(());
        }
        let available = snapshot.map_or(0, |snapshot| snapshot.available.max(0));
        Err(CartError::InsufficientStock(Shortage { variant_id: variant, requested: quantity, available }))
    }
}

/// A line at today's price.
#[derive(Clone, Debug)]
pub struct Line {
    /// With the title, image and so on of today; the copy of the row where the variant is not on sale.
    pub item: CartItem,
    pub line_total: i64,
    pub available: i64,
    /// The price is another than when the line was last changed.
    pub price_changed: bool,
}

impl Line {
    fn of(today: Option<&VariantSnapshot>, item: CartItem) -> Self {
        let line = match today {
            Some(today) => Self {
                price_changed: item.unit_price_minor != today.price.amount,
                item: CartItem { id: item.id, ..CartItem::of(item.cart_id, today, item.quantity) },
                line_total: 0,
                available: today.available.max(0),
            },
            None => Self { item, line_total: 0, available: 0, price_changed: false },
        };
        // Limits on quantities and prices keep real sums far below the saturation.
        Self { line_total: line.item.unit_price_minor.saturating_mul(line.item.quantity), ..line }
    }
}

/// A cart as it is shown.
#[derive(Clone, Debug)]
pub struct PricedCart {
    pub cart: Cart,
    pub lines: Vec<Line>,
    pub totals: Totals,
}

impl PricedCart {
    /// Prices the lines as the catalogue has them now. Tax is only known with a country.
    #[must_use]
    pub fn of(filled: FilledCart, today: &Snapshots, pricing: &Pricing, country: Option<&str>) -> Self {
        let FilledCart { cart, items } = filled;
        let lines: Vec<Line> =
            items.into_iter().map(|item| Line::of(today.sellable(item.variant_id.into()), item)).collect();
        let priced: Vec<PricedLine> = lines
            .iter()
            .map(|line| PricedLine {
                line_total: line.line_total,
                requires_shipping: line.item.requires_shipping,
                taxable: line.item.taxable,
            })
            .collect();
        Self { cart, lines, totals: pricing.totals(&priced, country) }
    }
}

#[cfg(test)]
mod tests {
    use eshopz_kernel::{Currency, Money, ProductId};
    use uuid::Uuid;

    use super::*;
    use crate::domain::tests::cart;

    fn snapshot(price: i64, available: i64) -> VariantSnapshot {
        VariantSnapshot {
            id: VariantId::new(),
            product_id: ProductId::new(),
            sku: None,
            title: "Mug".to_owned(),
            variant_title: "Blue".to_owned(),
            image_url: None,
            price: Money::new(price, Currency::USD),
            available,
            backorder: false,
            requires_shipping: true,
            taxable: true,
            sellable: true,
        }
    }

    fn known(variants: &[VariantSnapshot]) -> Snapshots {
        let mut known = Snapshots::default();
        let ids: Vec<VariantId> = variants.iter().map(|variant| variant.id).collect();
        known.add(&ids, variants.to_vec());
        known
    }

    #[test]
    fn lines_cost_what_the_catalogue_says_now() {
        let then = snapshot(1_000, 5);
        let now = VariantSnapshot { price: Money::new(1_200, Currency::USD), title: "Cup".to_owned(), ..then.clone() };
        let line = Line::of(Some(&now), CartItem::of(Uuid::now_v7(), &then, 3));
        assert_eq!((line.item.unit_price_minor, line.line_total, line.price_changed), (1_200, 3_600, true));
        assert_eq!((line.item.title.as_str(), line.available), ("Cup", 5));
    }

    #[test]
    fn a_variant_that_is_gone_keeps_its_copy() {
        let gone = snapshot(1_000, 5);
        let hidden = VariantSnapshot { sellable: false, ..snapshot(500, 9) };
        let id = Uuid::now_v7();
        let items = vec![CartItem::of(id, &gone, 2), CartItem::of(id, &hidden, 1)];
        let filled = FilledCart { cart: cart(), items };
        let priced = PricedCart::of(filled, &known(&[hidden]), &Pricing::default(), None);
        let shown: Vec<(i64, i64, bool)> =
            priced.lines.iter().map(|line| (line.available, line.line_total, line.price_changed)).collect();
        assert_eq!(shown, [(0, 2_000, false), (0, 500, false)]);
        assert_eq!(priced.totals.total.amount, 2_500);
    }

    #[test]
    fn stock_limits_a_line_unless_it_is_sold_beyond() {
        let plain = snapshot(100, 3);
        let beyond = VariantSnapshot { backorder: true, available: -2, ..snapshot(100, 0) };
        let hidden = VariantSnapshot { sellable: false, ..snapshot(100, 9) };
        let known = known(&[plain.clone(), beyond.clone(), hidden.clone()]);
        assert!(known.must_supply(plain.id, 3).is_ok());
        assert!(known.must_supply(beyond.id, 1_000).is_ok());
        let shortage = |id, quantity| match known.must_supply(id, quantity) {
            Err(CartError::InsufficientStock(shortage)) => (shortage.requested, shortage.available),
            other => panic!("{other:?}"),
        };
        assert_eq!(shortage(plain.id, 4), (4, 3));
        assert_eq!(shortage(hidden.id, 1), (1, 0));
        assert_eq!(shortage(VariantId::new(), 1), (1, 0));
    }

    #[test]
    fn only_what_is_not_known_is_asked_for() {
        let (one, two) = (snapshot(1, 1), VariantId::new());
        let known = known(std::slice::from_ref(&one));
        assert_eq!(known.missing([one.id, two, two].into_iter()), [two]);
    }
}
