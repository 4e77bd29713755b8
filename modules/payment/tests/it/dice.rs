//! Chance that can be repeated: `ESHOPZ_TEST_SEED` repeats a run, `ESHOPZ_TEST_CASES` makes it longer.

/// A small generator of its own (xorshift), so that a failure can be repeated.
pub struct Dice(u64);

impl Dice {
    pub fn of_case(seed: u64, case: u64) -> Self {
        let mut dice = Self(seed.wrapping_add(case.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1);
        dice.below(2);
        dice
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub fn up_to(&mut self, most: i64) -> i64 {
        1 + i64::try_from(self.below(u64::try_from(most).unwrap())).unwrap()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(u64::try_from(last + 1).unwrap())).unwrap();
            items.swap(last, other);
        }
    }
}

/// A number that whoever runs the tests may set.
pub fn variable(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(or)
}

/// What the cases of this run begin with.
pub fn seed() -> u64 {
    variable("ESHOPZ_TEST_SEED", u64::try_from(chrono::Utc::now().timestamp_micros()).unwrap())
}
