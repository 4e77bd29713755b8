//! What can be promised and taken from the stock.

use std::collections::BTreeMap;

use eshopz_kernel::VariantId;
use eshopz_product_api::{Shortage, StockLine};
use uuid::Uuid;

/// The stock of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub on_hand: i64,
    pub reserved: i64,
    /// May be sold beyond the stock.
    pub backorder: bool,
}

impl Level {
    /// On hand minus reserved. Below 0 when more was sold than there was.
    #[must_use]
    pub const fn available(self) -> i64 {
        self.on_hand.saturating_sub(self.reserved)
    }

    /// Whether `on_hand` may become this, with what is reserved.
    #[must_use]
    pub const fn may_become(self, on_hand: i64) -> bool {
        self.backorder || self.reserved <= on_hand
    }
}

/// Wanted quantities by variant, in the order in which everybody locks: a variant that is named twice
/// is wanted in the sum.
pub fn by_variant(lines: &[StockLine]) -> BTreeMap<Uuid, i64> {
    let mut wanted = BTreeMap::new();
    for line in lines {
        let quantity: &mut i64 = wanted.entry(line.variant_id.uuid()).or_default();
        *quantity = quantity.saturating_add(line.quantity);
    }
    wanted
}

/// What is left of the quantities when these were given back. What nothing is left of is not in it.
pub fn left(mut of: BTreeMap<Uuid, i64>, given_back: &BTreeMap<Uuid, i64>) -> BTreeMap<Uuid, i64> {
    for (variant, back) in given_back {
        if let Some(quantity) = of.get_mut(variant) {
            *quantity = quantity.saturating_sub(*back);
        }
    }
    of.retain(|_, quantity| *quantity > 0);
    of
}

/// The lines that cannot be supplied. A variant that is not there has nothing available.
pub fn shortages(wanted: &BTreeMap<Uuid, i64>, levels: &BTreeMap<Uuid, Level>) -> Vec<Shortage> {
    wanted
        .iter()
        .filter_map(|(variant, &requested)| {
            let level = levels.get(variant);
            let available = level.map_or(0, |level| level.available());
            let supplied = level.is_some_and(|level| level.backorder || requested <= available);
            let shortage = Shortage { variant_id: VariantId::from(*variant), requested, available: available.max(0) };
            (!supplied).then_some(shortage)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn level(on_hand: i64, reserved: i64, backorder: bool) -> Level {
        Level { on_hand, reserved, backorder }
    }

    #[test]
    fn a_variant_named_twice_is_wanted_in_the_sum() {
        let (a, b) = (VariantId::new(), VariantId::new());
        let line = |variant_id, quantity| StockLine { variant_id, quantity };
        let wanted = by_variant(&[line(b, 2), line(a, 1), line(b, 3)]);
        assert_eq!(wanted.into_iter().collect::<Vec<_>>(), [(a.uuid(), 1), (b.uuid(), 5)]);
    }

    #[test]
    fn what_was_given_back_is_not_wanted_again() {
        let [kept, part, gone, other] = std::array::from_fn(|_| Uuid::now_v7());
        let wanted = BTreeMap::from([(kept, 2), (part, 3), (gone, 1)]);
        let back = BTreeMap::from([(part, 1), (gone, 5), (other, 1)]);
        assert_eq!(left(wanted, &back), BTreeMap::from([(kept, 2), (part, 2)]));
    }

    #[test]
    fn shortages_are_those_beyond_what_is_available() {
        let [enough, few, endless, gone] = std::array::from_fn(|_| Uuid::now_v7());
        let wanted = BTreeMap::from([(enough, 3), (few, 3), (endless, 3), (gone, 3)]);
        let levels =
            BTreeMap::from([(enough, level(5, 2, false)), (few, level(5, 3, false)), (endless, level(0, 9, true))]);
        let found: Vec<(Uuid, i64)> =
            shortages(&wanted, &levels).iter().map(|s| (s.variant_id.uuid(), s.available)).collect();
        assert_eq!(found, [(few, 2), (gone, 0)]);
    }

    #[test]
    fn stock_stays_above_what_is_reserved() {
        assert!(level(5, 3, false).may_become(3));
        assert!(!level(5, 3, false).may_become(2));
        assert!(level(5, 3, true).may_become(-2));
    }
}
