//! How fields of a body are read and what they may hold.

use std::borrow::Cow;

use eshopz_kernel::country;
use eshopz_kernel::text::{breaks_a_line, is_blank};
use serde::{Deserialize, Deserializer};
use validator::ValidationError;

use crate::domain::{email, password};

fn error(code: &'static str, message: &'static str) -> ValidationError {
    let mut error = ValidationError::new(code);
    error.message = Some(Cow::Borrowed(message));
    error
}

/// Text of one line. Control characters are no part of a name, nor is what turns the direction of the text beside it.
pub fn one_line(text: &str) -> Result<(), ValidationError> {
    if text.chars().any(breaks_a_line) {
        let told = "must be one line, without controls or characters that turn its direction";
        return Err(error("control_character", told));
    }
    if !text.is_empty() && is_blank(text) {
        return Err(error("blank", "must have something in it that can be read"));
    }
    Ok(())
}

/// An email address of a new account.
pub fn new_email(text: &str) -> Result<(), ValidationError> {
    email::check(text).map_err(|wrong| error("email", wrong.told()))
}

/// A code of a second factor.
pub fn six_digits(text: &str) -> Result<(), ValidationError> {
    if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error("code", "must be the six digits that the authenticator app shows"));
    }
    Ok(())
}

/// A new password, beyond its length.
pub fn uncommon_password(text: &str) -> Result<(), ValidationError> {
    if password::is_too_common(text) {
        return Err(error("too_common", "is among the first that anybody would try; choose another"));
    }
    Ok(())
}

/// A telephone number, as people write it.
pub fn phone_number(text: &str) -> Result<(), ValidationError> {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let written = text.chars().all(|character| character.is_ascii_digit() || "+-()./ x".contains(character));
    if !written || !(3..=20).contains(&digits) {
        return Err(error("phone", "must be a telephone number such as +49 30 901820"));
    }
    Ok(())
}

/// A country code.
pub fn country_code(text: &str) -> Result<(), ValidationError> {
    if !country::is_country(text) {
        return Err(error("country", "must be a country's code of ISO 3166-1 alpha-2 in capitals, such as DE"));
    }
    Ok(())
}

/// Text without the space around it.
pub fn trimmed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| text.trim().to_owned())
}

/// Text that may be left out; nothing but space counts as left out.
pub fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// In a change: present, and so not `null`.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// In a change: text that is present.
pub fn present_trimmed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    trimmed(deserializer).map(Some)
}

/// In a change: text that is present and may be `null`, which clears the field.
pub fn clearable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    optional(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Change {
        #[serde(default, deserialize_with = "present_trimmed")]
        name: Option<String>,
        #[serde(default, deserialize_with = "clearable")]
        phone: Option<Option<String>>,
    }

    #[test]
    fn a_change_tells_absent_from_null() {
        let change = |json| serde_json::from_str::<Change>(json);
        let none = change("{}").unwrap();
        assert_eq!((none.name, none.phone), (None, None));
        let cleared = change(r#"{"name": " Ann ", "phone": null}"#).unwrap();
        assert_eq!((cleared.name.as_deref(), cleared.phone), (Some("Ann"), Some(None)));
        assert_eq!(change(r#"{"phone": "1 23"}"#).unwrap().phone, Some(Some("1 23".to_owned())));
        assert!(change(r#"{"name": null}"#).is_err());
    }

    #[test]
    fn a_name_is_one_line_in_its_own_direction() {
        for good in ["Ann Example", "محمد\u{200f}", "王小明", "a\u{301}"] {
            assert!(one_line(good).is_ok(), "{good}");
        }
        for bad in
            ["a\r\nBcc: b@example.com", "a\0", "\u{202e}nimda", "\u{2066}a", "a\u{2028}b", "\u{1b}[31m", "\u{200b}"]
        {
            assert!(one_line(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn telephone_numbers_are_taken_as_people_write_them() {
        for good in ["+49 30 901820", "(555) 010-9999 x12", "112"] {
            assert!(phone_number(good).is_ok(), "{good}");
        }
        for bad in ["", "12", "call me", "+49\u{0}301234", "123456789012345678901"] {
            assert!(phone_number(bad).is_err(), "{bad}");
        }
    }
}
