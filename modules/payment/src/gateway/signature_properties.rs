//! Signatures against what nobody has thought of. `PROPTEST_CASES` makes it more; `scripts/fuzz` goes on for as long as
//! one likes.

use proptest::prelude::*;

use super::*;

/// What looks like the header, and what does not.
fn header() -> impl Strategy<Value = String> {
    prop_oneof![
        "(t=-?[0-9]{0,20}|v1=[0-9a-fA-F]{0,66}|v0=[a-z]{0,4}|[=, t1v]{0,5})(, ?(t=[0-9]{0,12}|v1=[0-9a-f+-]{0,66})){0,4}",
        any::<String>()
    ]
}

proptest! {
    #[test]
    fn no_made_up_header_is_good(header in header(), body: String, now: i64) {
        prop_assert!(!verify("secret", &header, &body, now));
    }

    #[test]
    fn a_signature_holds_for_what_was_signed_and_nothing_else(
        secret in "[!-~]{1,40}",
        (body, other) in any::<(String, String)>(),
        sent in -1_000_000_000_000_i64..1_000_000_000_000,
        late in -400_i64..400,
        flip in 0..64_usize,
    ) {
        let header = sign(&secret, sent, &body);
        prop_assert_eq!(verify(&secret, &header, &body, sent + late), late.abs() <= TOLERANCE);
        prop_assert!(body == other || !verify(&secret, &header, &other, sent));
        let other_secret = format!("{secret}x");
        prop_assert!(!verify(&other_secret, &header, &body, sent));
        let later = header.replacen(&format!("t={sent}"), &format!("t={}", sent + 1), 1);
        prop_assert!(!verify(&secret, &later, &body, sent));
        let at = header.len() - 64 + flip;
        let other_digit = |letter| if letter == '0' { '1' } else { '0' };
        let changed = header.char_indices().map(|(place, letter)| if place == at { other_digit(letter) } else { letter });
        let changed: String = changed.collect();
        prop_assert!(!verify(&secret, &changed, &body, sent));
    }

    #[test]
    fn hex_comes_back(bytes: Vec<u8>, text in prop_oneof![any::<String>(), "[0-9a-fA-F+ -]{0,8}"]) {
        prop_assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        if let Some(bytes) = unhex(&text) {
            prop_assert_eq!(hex(&bytes), text.to_ascii_lowercase());
        }
    }
}
