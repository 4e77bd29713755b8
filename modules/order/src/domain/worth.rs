//! What part of an order's total a part of its lines is. Discount and tax are shared out among the lines by
//! the largest remainder, and a line's share among its units by how many went before, so that all parts of
//! an order sum up to exactly what was paid for the goods, in whatever parts and order they come back.
//! Shipping is nobody's share: it goes back with the whole order only.

use std::collections::BTreeMap;

use eshopz_kernel::VariantId;
use serde::Serialize;

/// So many of each variant.
pub type Quantities = BTreeMap<VariantId, i64>;

/// A line of an order as far as its parts need it.
#[derive(Clone, Copy, Debug)]
pub struct BoughtLine {
    pub variant: VariantId,
    pub quantity: i64,
    /// Minor units.
    pub line_total: i64,
    pub taxable: bool,
    /// Units cancelled, and units that came back.
    pub taken_back: i64,
    /// Units in returns that nobody has decided yet.
    pub asked: i64,
}

impl BoughtLine {
    const fn left(&self) -> i64 {
        self.quantity - self.taken_back - self.asked
    }
}

/// More of a variant than is left of it; one of `lines` of the problem `exceeds_ordered`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Excess {
    pub variant_id: VariantId,
    pub requested: i64,
    pub left: i64,
}

/// What of the wanted is more than is left.
#[must_use]
pub fn excesses(lines: &[BoughtLine], wanted: &Quantities) -> Vec<Excess> {
    let left: Quantities = lines.iter().map(|line| (line.variant, line.left())).collect();
    let excess = |(variant, requested): (&VariantId, &i64)| Excess {
        variant_id: *variant,
        requested: *requested,
        left: left.get(variant).copied().unwrap_or(0),
    };
    wanted.iter().map(excess).filter(|excess| excess.requested > excess.left).collect()
}

/// Whether nothing would be left of the order without these.
#[must_use]
pub fn takes_all(lines: &[BoughtLine], wanted: &Quantities) -> bool {
    lines.iter().all(|line| wanted.get(&line.variant).copied().unwrap_or(0) == line.left())
}

/// What was paid for the wanted, in minor units: their prices less discount with tax.
#[must_use]
pub fn worth(lines: &[BoughtLine], discount: i64, tax: i64, wanted: &Quantities) -> i64 {
    let shares = line_worths(lines, discount, tax);
    lines.iter().zip(shares).fold(0, |sum, (line, share)| {
        let units = wanted.get(&line.variant).copied().unwrap_or(0);
        let before = portion(share, line.taken_back, line.quantity);
        sum + portion(share, line.taken_back + units, line.quantity) - before
    })
}

/// What each line was paid for; they sum up to the total without shipping.
fn line_worths(lines: &[BoughtLine], discount: i64, tax: i64) -> Vec<i64> {
    let totals: Vec<i64> = lines.iter().map(|line| line.line_total).collect();
    let taxed: Vec<i64> = lines.iter().map(|line| if line.taxable { line.line_total } else { 0 }).collect();
    let (discounts, taxes) = (share_out(discount, &totals), share_out(tax, &taxed));
    totals.iter().zip(discounts).zip(taxes).map(|((total, discount), tax)| total - discount + tax).collect()
}

/// Shares an amount out by weights. What rounding down leaves goes, one minor unit each, to those who lost most
/// by it, the first ones first. Without any weight all count the same.
fn share_out(amount: i64, weights: &[i64]) -> Vec<i64> {
    let whole: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let weigh = |weight: &i64| if whole == 0 { 1 } else { i128::from(*weight) };
    let whole = weights.iter().map(weigh).sum::<i128>().max(1);
    let exact = weights.iter().map(|weight| i128::from(amount) * weigh(weight));
    let (mut shares, remainders): (Vec<i64>, Vec<i128>) =
        exact.map(|exact| (to_minor(exact / whole), exact % whole)).unzip();
    let left = amount - shares.iter().sum::<i64>();
    let mut by_remainder: Vec<(i128, usize)> = remainders.into_iter().zip(0..).collect();
    by_remainder.sort_by_key(|(remainder, position)| (-remainder, *position));
    for (_, position) in by_remainder.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        if let Some(share) = shares.get_mut(position) {
            *share += 1;
        }
    }
    shares
}

/// The worth of the first `units` of a line.
fn portion(worth: i64, units: i64, quantity: i64) -> i64 {
    to_minor(i128::from(worth) * i128::from(units) / i128::from(quantity.max(1)))
}

/// It is a part of an amount that fits.
fn to_minor(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::seq::SliceRandom as _;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    fn line(quantity: i64, price: i64, taxable: bool) -> BoughtLine {
        let variant = VariantId::new();
        BoughtLine { variant, quantity, line_total: quantity * price, taxable, taken_back: 0, asked: 0 }
    }

    #[test]
    fn a_line_has_its_share_of_discount_and_tax() {
        let lines = [line(2, 1_000, true), line(1, 500, false)];
        // 200 off 2500, and 19 % on the taxed 2000.
        assert_eq!(line_worths(&lines, 200, 380), [2_000 - 160 + 380, 500 - 40]);
        let one = Quantities::from([(lines[0].variant, 1)]);
        assert_eq!(worth(&lines, 200, 380, &one), 1_110);
    }

    #[test]
    fn what_rounding_leaves_goes_to_who_lost_most() {
        assert_eq!(share_out(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(share_out(100, &[2, 3, 2]), [29, 43, 28]);
        assert_eq!(share_out(5, &[0, 0]), [3, 2]);
        assert_eq!(share_out(0, &[]), Vec::<i64>::new());
        assert_eq!(share_out(i64::MAX, &[i64::MAX, 1]).iter().sum::<i64>(), i64::MAX);
    }

    #[test]
    fn what_is_left_is_known() {
        let mut lines = [line(3, 10, true), line(2, 10, true)];
        (lines[0].taken_back, lines[1].asked) = (1, 1);
        let [a, b] = [lines[0].variant, lines[1].variant];
        let gone = VariantId::new();
        assert_eq!(excesses(&lines, &Quantities::from([(a, 2), (b, 1)])), []);
        assert!(takes_all(&lines, &Quantities::from([(a, 2), (b, 1)])));
        assert!(!takes_all(&lines, &Quantities::from([(a, 2)])));
        let more = excesses(&lines, &Quantities::from([(a, 3), (b, 2), (gone, 1)]));
        let mut left: Vec<i64> = more.iter().map(|excess| excess.left).collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2]);
    }

    /// Whatever an order is like and in whatever parts it comes back: no part is worth less than nothing, never
    /// more came back than was paid, and all of them are exactly that.
    #[test]
    fn all_parts_are_the_whole() {
        for seed in 0..3_000 {
            let mut dice = StdRng::seed_from_u64(seed);
            let mut lines: Vec<BoughtLine> = (0..dice.random_range(1..8))
                .map(|_| line(dice.random_range(1..9), dice.random_range(0..5_000), dice.random_bool(0.7)))
                .collect();
            let subtotal: i64 = lines.iter().map(|line| line.line_total).sum();
            let (discount, tax) = (dice.random_range(0..=subtotal), dice.random_range(0..=subtotal / 3));
            let paid = subtotal - discount + tax;
            let mut units: Vec<usize> = lines
                .iter()
                .zip(0..)
                .flat_map(|(line, at)| std::iter::repeat_n(at, usize::try_from(line.quantity).unwrap()))
                .collect();
            units.shuffle(&mut dice);
            let mut sum = 0;
            while !units.is_empty() {
                let mut wanted = Quantities::new();
                for at in units.drain(..dice.random_range(1..=units.len())) {
                    *wanted.entry(lines[at].variant).or_default() += 1;
                }
                assert_eq!(excesses(&lines, &wanted), [], "seed {seed}");
                assert_eq!(takes_all(&lines, &wanted), units.is_empty(), "seed {seed}");
                let part = worth(&lines, discount, tax, &wanted);
                assert!(part >= 0, "seed {seed}");
                sum += part;
                assert!(sum <= paid, "seed {seed}");
                for line in &mut lines {
                    line.taken_back += wanted.get(&line.variant).copied().unwrap_or(0);
                }
            }
            assert_eq!(sum, paid, "seed {seed}");
        }
    }
}
