//! Which passwords are taken: long enough, and not among the first that anybody would try.

/// What people choose most, of those that are long enough; one a line, in small letters.
const COMMONEST: &str = include_str!("commonest_passwords.txt");

/// The longest pattern whose repetition counts as no password: `abcabcabcabc`.
const LONGEST_PATTERN: usize = 4;

/// Whether a password is among those that are tried first, whatever its case.
#[must_use]
pub fn is_too_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    COMMONEST.lines().any(|common| common == lower) || is_pattern(&lower) || is_run(&lower)
}

/// A few characters again and again.
fn is_pattern(password: &str) -> bool {
    let characters: Vec<char> = password.chars().collect();
    (1..=LONGEST_PATTERN).any(|length| {
        characters.len() > length && characters.iter().zip(characters.iter().skip(length)).all(|(a, b)| a == b)
    })
}

/// Neighbours in the alphabet or among the digits, up or down: `abcdefghij`, `9876543210`.
fn is_run(password: &str) -> bool {
    let codes: Vec<i64> = password.chars().map(|character| i64::from(u32::from(character))).collect();
    let steps = || codes.iter().zip(codes.iter().skip(1)).map(|(a, b)| b - a);
    codes.len() > 1 && (steps().all(|step| step == 1) || steps().all(|step| step == -1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_guesses_are_refused() {
        for common in [
            "password123",
            "Password123",
            "1234567890",
            "qwertyuiop",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "9876543210",
            "abcdefghijkl",
            "1q2w3e4r5t6y",
            "ILOVEYOU123",
            "12121212121",
        ] {
            assert!(is_too_common(common), "{common}");
        }
        for good in ["correct horse battery", "tr0ub4dor&3 or so", "ünïcödé-passwort", "abcabcabcabd"] {
            assert!(!is_too_common(good), "{good}");
        }
    }

    #[test]
    fn the_list_has_only_what_could_be_chosen() {
        let entries: Vec<&str> = COMMONEST.lines().collect();
        assert!(entries.len() >= 200, "{}", entries.len());
        for entry in entries {
            assert!(entry.chars().count() >= 10 && entry == entry.to_lowercase(), "{entry}");
        }
    }
}
