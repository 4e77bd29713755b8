//! Which passwords are taken: long enough, and not among the first that anybody would try (NIST SP 800-63B, 5.1.1.2).

use std::sync::LazyLock;

/// What people choose most, of those that are long enough; one a line, in small letters, in the order of their bytes.
/// `commonest_passwords.md` beside it says where it is from.
static COMMONEST: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("commonest_passwords.txt").lines().collect());

/// What anybody would try first in this shop, in small letters.
const OF_THE_SHOP: [&str; 2] = ["eshopz", "eshop"];

/// The longest pattern whose repetition counts as no password: `abcabcabcabc`.
const LONGEST_PATTERN: usize = 4;

/// Whether a password is among those that are tried first, whatever its case.
#[must_use]
pub fn is_too_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    COMMONEST.binary_search(&lower.as_str()).is_ok() || is_pattern(&lower) || is_run(&lower)
}

/// Whether a password is the account's email or name, or the shop's, with nothing but digits and signs to it; a few times
/// over as well.
#[must_use]
pub fn is_personal(password: &str, email: &str, full_name: &str) -> bool {
    let letters = letters_of(password);
    let local = email.rsplit_once('@').map_or(email, |(local, _)| local);
    // An address may have a tag that is not part of the name.
    let untagged = local.split('+').next().unwrap_or(local);
    let mut words = vec![letters_of(email), letters_of(local), letters_of(untagged), letters_of(full_name)];
    words.extend(full_name.split_whitespace().map(letters_of));
    words.extend(OF_THE_SHOP.map(str::to_owned));
    words.iter().any(|word| is_repeated(&letters, word))
}

/// The letters of a text in small.
fn letters_of(text: &str) -> String {
    text.chars().filter(|character| character.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

fn is_repeated(text: &str, word: &str) -> bool {
    !word.is_empty() && !text.is_empty() && text.replace(word, "").is_empty()
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
    fn ones_own_email_and_name_are_refused() {
        let personal = |password| is_personal(password, "Ann.Lee+shop@example.com", "Ann Lee");
        for bad in [
            "ann.lee+shop@example.com",
            "ANNLEE1234!",
            "Ann-Lee-2026",
            "annleeannlee",
            "12345ann67890",
            "lee!!!!!!!!!",
            "eshopz-2026",
            "EShopzEShopz",
        ] {
            assert!(personal(bad), "{bad}");
        }
        for good in
            ["correct horse battery", "ann lee likes horses", "1234567890123", "planned leeway", "shopper-one-two"]
        {
            assert!(!personal(good), "{good}");
        }
        assert!(is_personal("Ünsal-Öz-99", "x@example.com", "ünsal öz"));
        assert!(!is_personal("correct horse battery", "", ""));
    }

    #[test]
    fn the_list_has_only_what_could_be_chosen() {
        assert!(COMMONEST.len() >= 1_000, "{}", COMMONEST.len());
        assert!(COMMONEST.is_sorted(), "it is searched by halves");
        for entry in COMMONEST.iter() {
            let long_enough = (10..=128).contains(&entry.chars().count());
            assert!(long_enough && *entry == entry.to_lowercase(), "{entry}");
        }
    }
}
