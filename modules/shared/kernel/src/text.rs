//! Which characters a text from outside may have, where it is shown in a line or compared as a code.
//!
//! Unicode TR #36 (Security Considerations), 2.2 and 3: characters that turn the direction of what follows make a
//! name swallow the text beside it, and characters that are not seen make two codes out of one.

/// Whether the character ends a line or turns the direction of the text after it: controls, the line and
/// paragraph separators, and the embeddings, overrides and isolates of UAX #9. The marks that an Arabic or Hebrew
/// name may need (U+061C, U+200E, U+200F) reach no further than their neighbours, and are let through.
#[must_use]
pub fn breaks_a_line(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether nothing is to be seen of the character (Default_Ignorable_Code_Point, without the tags and the unassigned).
/// Joiners are among these: a name may need one, a code never does.
#[must_use]
pub const fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether there is something to be read in the text.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|letter| letter.is_whitespace() || is_invisible(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_one_line() {
        for name in ["Zoë O’Hara", "محمد\u{200f}", "شرکت\u{200c}ها", "王小明", "👩\u{200d}🚀", "a\u{200e}b"]
        {
            assert!(!name.chars().any(breaks_a_line), "{name}");
            assert!(!is_blank(name), "{name}");
        }
        for bad in ["a\nb", "a\0", "a\u{7f}", "a\u{85}b", "a\u{2028}b", "\u{202e}gpj.exe", "\u{2066}a", "a\u{2029}"] {
            assert!(bad.chars().any(breaks_a_line), "{bad:?}");
        }
    }

    #[test]
    fn what_is_not_seen_is_known() {
        for unseen in ["\u{200b}", "\u{feff}", "\u{2060}", "\u{ad}", "\u{200d}", "\u{3164}", " \u{200b}\t", ""] {
            assert!(is_blank(unseen), "{unseen:?}");
        }
        assert!(!"SKU-1_Ä/日".chars().any(is_invisible));
    }
}
