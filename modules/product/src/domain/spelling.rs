//! The words of a query, and how far they are from others.

/// More words than this add nothing to a search.
const MAX_WORDS: usize = 10;
/// Longer words are cut: the catalogue has none.
const MAX_LETTERS: usize = 40;
/// Words that are offered for one with errors.
const MAX_NEAREST: usize = 4;

/// The words of a text in small letters: whatever is not a letter or a digit parts them.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().flat_map(char::to_lowercase).take(MAX_LETTERS).collect())
        .take(MAX_WORDS)
        .collect()
}

/// Those candidates that have the fewest errors against what was typed, if that is few enough for its
/// length; none if the word is one of them, for then it is no error.
#[must_use]
pub fn nearest<'a>(typed: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let allowed = usize::from(allowed_errors(typed.chars().count()));
    let mut found: Vec<(usize, &str)> = candidates
        .map(|candidate| (errors(typed, candidate), candidate))
        .filter(|(errors, _)| *errors <= allowed)
        .collect();
    found.sort_unstable();
    let fewest = found.first().map_or(0, |(errors, _)| *errors);
    if fewest == 0 {
        return Vec::new();
    }
    found.into_iter().take_while(|(errors, _)| *errors == fewest).map(|(_, word)| word).take(MAX_NEAREST).collect()
}

/// How many errors a word of so many letters may have.
#[must_use]
pub const fn allowed_errors(letters: usize) -> u8 {
    match letters {
        0..=2 => 0,
        3..=4 => 1,
        5..=8 => 2,
        _ => 3,
    }
}

/// Letters too many, missing, wrong, or swapped with their neighbour (optimal string alignment).
fn errors(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &letter) in a.iter().enumerate() {
        let swapped_from = i.checked_sub(1).and_then(|before| a.get(before)).copied();
        let row = next_row(letter, swapped_from, &b, &last, &before_last);
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

/// The row of the table of distances that one more letter of the first word makes.
fn next_row(letter: char, before: Option<char>, b: &[char], last: &[usize], before_last: &[usize]) -> Vec<usize> {
    let mut row = Vec::with_capacity(last.len());
    row.push(last.first().map_or(0, |first| first + 1));
    let mut previous: Option<char> = None;
    for (j, (&other, pair)) in b.iter().zip(last.windows(2)).enumerate() {
        let &[diagonal, above] = pair else { continue };
        let left = row.last().copied().unwrap_or_default();
        let mut best = (above + 1).min(left + 1).min(diagonal + usize::from(letter != other));
        if before == Some(other) && previous == Some(letter) {
            let corner = j.checked_sub(1).and_then(|corner| before_last.get(corner));
            best = corner.map_or(best, |corner| best.min(corner + 1));
        }
        row.push(best);
        previous = Some(other);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted() {
        for (a, b, count) in [
            ("shirt", "shirt", 0),
            ("shrit", "shirt", 1),
            ("blu", "blue", 1),
            ("jaket", "jacket", 1),
            ("jaket", "jackets", 2),
            ("", "abc", 3),
            ("abc", "", 3),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
            ("café", "cafe", 1),
        ] {
            assert_eq!(errors(a, b), count, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_words_are_found() {
        let catalogue = ["shirt", "shorts", "skirt", "blue", "blues", "jacket", "jackets"];
        let near = |typed| nearest(typed, catalogue.into_iter());
        assert_eq!(near("shrit"), ["shirt"]);
        assert_eq!(near("blu"), ["blue"]);
        assert_eq!(near("jaket"), ["jacket"]);
        assert_eq!(near("shirt"), Vec::<&str>::new());
        assert_eq!(near("xyzzyq"), Vec::<&str>::new());
        assert_eq!(near("bl"), Vec::<&str>::new());
    }

    #[test]
    fn words_are_letters_and_digits() {
        assert_eq!(words("Blu  SHRIT's & (x|y):* '; DROP"), ["blu", "shrit", "s", "x", "y", "drop"]);
        assert_eq!(words("!!! \0 --"), Vec::<String>::new());
        assert_eq!(words("Ärmel-Länge 3XL"), ["ärmel", "länge", "3xl"]);
        assert_eq!(words(&"a ".repeat(50)).len(), MAX_WORDS);
        assert_eq!(words(&"a".repeat(90))[0].len(), MAX_LETTERS);
    }
}
