//! Chance that repeats itself: SplitMix64 (Steele, Lea, Flood 2014), started anew for each product.

/// A sequence of numbers that looks random.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    /// The sequence of one product.
    #[must_use]
    pub fn new(seed: u64, number: u64) -> Self {
        let mut dice = Self { state: seed.wrapping_mul(GOLDEN) ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93) };
        // Neighbouring numbers begin alike; one turn parts them.
        dice.turn();
        dice
    }

    fn turn(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low).saturating_add(1);
        low.saturating_add(i64::try_from(self.turn() % span).unwrap_or(0))
    }

    /// True so many times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.turn() % 100 < percent
    }

    /// One of a list; the default of its type when it is empty.
    pub fn pick<T: Copy + Default>(&mut self, list: &[T]) -> T {
        let count = u64::try_from(list.len()).unwrap_or(0).max(1);
        list.get(usize::try_from(self.turn() % count).unwrap_or(0)).copied().unwrap_or_default()
    }

    /// So many of a list that stand together, from anywhere in it.
    pub fn run<'l, T>(&mut self, list: &'l [T], count: usize) -> &'l [T] {
        let count = count.min(list.len());
        let last = i64::try_from(list.len() - count).unwrap_or(0);
        let start = usize::try_from(self.between(0, last)).unwrap_or(0);
        list.get(start..start + count).unwrap_or(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_product_has_the_same_luck() {
        let roll = |seed, number| {
            let mut dice = Dice::new(seed, number);
            [dice.between(1, 6), dice.between(1, 6), dice.between(1, 1_000_000)]
        };
        assert_eq!(roll(1, 7), roll(1, 7));
        assert_ne!(roll(1, 7), roll(1, 8));
        assert_ne!(roll(1, 7), roll(2, 7));
        let mut dice = Dice::new(1, 1);
        assert!((0..1000).all(|_| (3..=5).contains(&dice.between(3, 5))));
        assert_eq!(dice.run(&[1, 2, 3], 9), [1, 2, 3]);
        assert_eq!(dice.run(&[1, 2, 3], 2).len(), 2);
    }
}
