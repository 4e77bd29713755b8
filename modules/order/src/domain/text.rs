//! What text from outside has to be like before it is stored.

use eshopz_kernel::text::{breaks_a_line, is_blank};
use validator::ValidationError;

/// Text that PostgreSQL can keep: it takes no NUL.
///
/// # Errors
/// `characters`.
pub fn storable(text: &str) -> Result<(), ValidationError> {
    if text.contains('\0') { Err(refusal("characters", "must not contain a NUL character")) } else { Ok(()) }
}

/// One line with something to read in it.
///
/// # Errors
/// `blank` or `characters`.
pub fn visible_words(text: &str) -> Result<(), ValidationError> {
    if is_blank(text) {
        return Err(refusal("blank", "must not be blank"));
    }
    if text.chars().any(breaks_a_line) {
        let told = "must be one line, without controls or characters that turn its direction";
        return Err(refusal("characters", told));
    }
    Ok(())
}

/// An email address, as an account's has to be.
///
/// # Errors
/// `email`.
pub fn email(text: &str) -> Result<(), ValidationError> {
    eshopz_kernel::email::check(text).map_err(|wrong| refusal("email", wrong.told()))
}

pub(super) fn refusal(code: &'static str, message: &'static str) -> ValidationError {
    let mut error = ValidationError::new(code);
    error.message = Some(message.into());
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_refused() {
        assert!(visible_words("Zoë O’Hara-王").is_ok());
        for bad in ["", "  ", "a\0", "a\nb", "\u{7f}", "\u{202e}a", "\u{200b}"] {
            assert!(visible_words(bad).is_err(), "{bad:?}");
        }
        assert!(storable("two\nlines").is_ok());
        assert!(storable("a\0b").is_err());
    }
}
