//! The text of a cell: its encoding, truth values, and the guard against formulas.
//!
//! A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@` or a tab as a formula, so a title that
//! somebody made up could read the merchant's other cells (OWASP CSV Injection; ASVS 1.2.10). On the way out such
//! a cell gets a leading `'`, which a spreadsheet shows as text; on the way in it is taken off again.

use std::borrow::Cow;

use eshopz_kernel::text::{breaks_a_line, is_invisible};

/// Code points of the bytes 0x80 to 0x9f in Windows-1252, which is what "Latin-1" files really are.
const WINDOWS_1252: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";

/// The text of a cell: UTF-8, or else Windows-1252, in which every byte means something.
#[must_use]
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| western(*byte)).collect()),
    }
}

fn western(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252.chars().nth(usize::from(byte - 0x80)).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from(byte),
    }
}

/// Whether a spreadsheet would take the text for a formula. The wide signs are those of East Asian keyboards.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'])
}

/// Text on one line: what ends a line becomes a space, and what turns its direction is left out.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(breaks_a_line) {
        return Cow::Borrowed(text);
    }
    let ends = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    let spaced = text.chars().map(|letter| if ends(letter) { ' ' } else { letter });
    Cow::Owned(spaced.filter(|letter| !breaks_a_line(*letter)).collect())
}

/// A code on one line, without what nobody sees in it: two that look the same are the same.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_invisible) { Cow::Owned(one_line(text).replace(is_invisible, "")) } else { one_line(text) }
}

/// Text as it is written into a file: guarded where a spreadsheet would run it.
#[must_use]
pub fn guard(text: &str) -> Cow<'_, str> {
    if is_formula(text.trim_start_matches('\'')) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// Takes off what [`guard`] put on.
#[must_use]
pub fn unguard(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if is_formula(rest.trim_start_matches('\'')) => rest,
        _ => text,
    }
}

/// A code such as a SKU as it is written. Any leading `'` is doubled, since [`uncode`] takes one off.
#[must_use]
pub fn code(text: &str) -> Cow<'_, str> {
    if text.starts_with('\'') || is_formula(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// A code such as a SKU without the `'` that keeps spreadsheets from dropping its leading zeros.
#[must_use]
pub fn uncode(text: &str) -> &str {
    text.strip_prefix('\'').unwrap_or(text)
}

/// Tags between commas. One with a comma of its own is in quotes, as [`join_tags`] writes it.
#[must_use]
pub fn split_tags(text: &str) -> Vec<String> {
    let (mut tags, mut tag, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                tag.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if tag.trim().is_empty() => quoted = true,
            ',' if !quoted => tags.push(std::mem::take(&mut tag)),
            _ => tag.push(letter),
        }
    }
    tags.push(tag);
    tags.iter().map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
}

/// Tags with commas between.
#[must_use]
pub fn join_tags(tags: &[String]) -> String {
    let written = |tag: &String| match tag.contains(',') || tag.starts_with('"') {
        true => format!("\"{}\"", tag.replace('"', "\"\"")),
        false => tag.clone(),
    };
    tags.iter().map(written).collect::<Vec<_>>().join(", ")
}

/// A truth value in the spellings that spreadsheets make of it.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["true", "yes", "1", "t", "y"]) {
        Some(true)
    } else if is(&["false", "no", "0", "f", "n"]) {
        Some(false)
    } else {
        None
    }
}

/// A whole number; decimals are let through when they are zeros, as in `5.0`.
#[must_use]
pub fn integer(text: &str) -> Option<i64> {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    whole.parse().ok()
}

/// A weight in grams, rounded to whole ones: exports carry `226.796185` for half a pound.
#[must_use]
pub fn grams(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if text == "." || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some(whole.saturating_add(i64::from(fraction.as_bytes().first().is_some_and(|tenth| *tenth >= b'5'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_gives_text() {
        assert_eq!(decode("Größe".as_bytes()), "Größe");
        assert_eq!(decode(b"Gr\xf6\xdfe \x80 5 \x93x\x94"), "Größe € 5 “x”");
        assert_eq!(WINDOWS_1252.chars().count(), 32);
    }

    #[test]
    fn a_guard_comes_off_as_it_went_on() {
        for text in ["=1+1", "+1", "-x", "@a", "\tx", "\rx", "＝1", "'＠", "'=1", "''-", "'plain", "it's", "", "'"] {
            assert_eq!(unguard(&guard(text)), text, "{text}");
            assert!(!is_formula(&guard(text)), "{text}");
            assert_eq!(uncode(&code(text)), text, "{text}");
            assert!(!is_formula(&code(text)), "{text}");
        }
        assert_eq!(guard("Plain"), "Plain");
        assert_eq!(uncode("'00123"), "00123");
    }

    #[test]
    fn nothing_hides_in_a_line() {
        assert_eq!(one_line("a\r\nb\u{2028}c\0"), "a  b c ");
        assert_eq!(one_line("\u{202e}gpj.exe\u{202c} שלום\u{200f}"), "gpj.exe שלום\u{200f}");
        assert_eq!(visible("\u{feff}SKU\u{200b}-1\t"), "SKU-1 ");
    }

    #[test]
    fn tags_may_hold_anything() {
        let tags = ["plain", "with, comma", "\"quoted\"", "5\" wide", "a \"b\", c"].map(str::to_owned);
        assert_eq!(split_tags(&join_tags(&tags)), tags);
        assert_eq!(split_tags(" a,, b c ,\"d"), ["a", "b c", "d"]);
        assert_eq!(join_tags(&[]), "");
    }

    #[test]
    fn numbers_and_truth_are_read_as_merchants_write_them() {
        assert_eq!([boolean("TRUE"), boolean("no"), boolean("maybe")], [Some(true), Some(false), None]);
        assert_eq!([integer("5"), integer("-3"), integer("5.0")], [Some(5), Some(-3), Some(5)]);
        assert_eq!([integer("5.5"), integer("x"), integer("")], [None, None, None]);
        assert_eq!(
            [grams("200"), grams("226.796"), grams("0.4"), grams(".5")],
            [Some(200), Some(227), Some(0), Some(1)]
        );
        assert_eq!([grams("-1"), grams("."), grams("1,5")], [None, None, None]);
    }
}
