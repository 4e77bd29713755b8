//! The catalogue's words in memory, and which of them was meant by one with typing errors.

use super::spelling;

/// The words in alphabetical order, each once.
#[derive(Debug, Default)]
pub struct Vocabulary(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    shape: Shape,
    word: Box<str>,
}

/// What tells at once that two words are far from each other.
#[derive(Clone, Copy, Debug)]
struct Shape {
    letters: usize,
    /// A bit for each letter that is in it; some letters share one.
    alphabet: u64,
}

impl Shape {
    fn of(word: &str) -> Self {
        word.chars().fold(Self { letters: 0, alphabet: 0 }, |shape, letter| Self {
            letters: shape.letters + 1,
            alphabet: shape.alphabet | 1 << (u32::from(letter) % u64::BITS),
        })
    }

    /// Whether so few errors could make one of the other: each adds a letter, takes one away, or does both.
    fn may_become(self, other: Self, errors: u8) -> bool {
        self.letters.abs_diff(other.letters) <= usize::from(errors)
            && (self.alphabet ^ other.alphabet).count_ones() <= 2 * u32::from(errors)
    }
}

impl Vocabulary {
    /// Takes words in; those that it has already are passed over.
    pub fn learn(&mut self, words: impl IntoIterator<Item = String>) {
        let new: Vec<Entry> = words
            .into_iter()
            .filter(|word| !self.has(word))
            .map(|word| Entry { shape: Shape::of(&word), word: word.into_boxed_str() })
            .collect();
        if new.is_empty() {
            return;
        }
        self.0.extend(new);
        // Stable, since that is quick where most are in order.
        self.0.sort_by(|a, b| a.word.cmp(&b.word));
        self.0.dedup_by(|a, b| a.word == b.word);
    }

    /// Whether it has this word.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.0.binary_search_by(|entry| (*entry.word).cmp(word)).is_ok()
    }

    /// Whether it has a word that begins like this.
    #[must_use]
    pub fn has_begun(&self, beginning: &str) -> bool {
        let place = self.0.partition_point(|entry| *entry.word < *beginning);
        self.0.get(place).is_some_and(|entry| entry.word.starts_with(beginning))
    }

    /// The words with the fewest errors against what was typed, as [`spelling::nearest`] has it.
    #[must_use]
    pub fn nearest(&self, typed: &str) -> Vec<&str> {
        if self.has(typed) {
            return Vec::new();
        }
        let shape = Shape::of(typed);
        let errors = spelling::allowed_errors(shape.letters);
        let candidates = self.0.iter().filter(|entry| entry.shape.may_become(shape, errors));
        spelling::nearest(typed, candidates.map(|entry| &*entry.word))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vocabulary(words: &[&str]) -> Vocabulary {
        let mut all = Vocabulary::default();
        all.learn(words.iter().map(|word| (*word).to_owned()));
        all
    }

    #[test]
    fn words_are_learnt_once() {
        let mut all = vocabulary(&["shirt", "blue", "shirt"]);
        all.learn(["jacket", "blue", "apron"].map(str::to_owned));
        let words: Vec<&str> = all.0.iter().map(|entry| &*entry.word).collect();
        assert_eq!(words, ["apron", "blue", "jacket", "shirt"]);
        assert!(all.has("apron") && !all.has("apro") && !all.has("zebra"));
        assert!(all.has_begun("apro") && all.has_begun("shirt") && !all.has_begun("shirts") && !all.has_begun("zebra"));
        assert!(!Vocabulary::default().has_begun("a"));
    }

    #[test]
    fn the_nearest_are_found() {
        let all = vocabulary(&["shirt", "shorts", "skirt", "blue", "jacket", "jackets", "café"]);
        assert_eq!(all.nearest("shrit"), ["shirt"]);
        assert_eq!(all.nearest("jaket"), ["jacket"]);
        assert_eq!(all.nearest("cafe"), ["café"]);
        assert_eq!(all.nearest("blue"), Vec::<&str>::new());
        assert_eq!(all.nearest("xyzzyq"), Vec::<&str>::new());
    }

    proptest! {
        /// A word's shape hides none that is near enough.
        #[test]
        fn shapes_hide_nothing(words in prop::collection::vec("[a-eäß0-3]{3,9}", 1..40), typed in "[a-eäß0-3]{1,10}") {
            let mut all = Vocabulary::default();
            all.learn(words.clone());
            let mut each = words;
            each.sort_unstable();
            each.dedup();
            prop_assert_eq!(all.nearest(&typed), spelling::nearest(&typed, each.iter().map(String::as_str)));
        }
    }
}
