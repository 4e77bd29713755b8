//! Recovery codes: each stands once for a code of somebody who has lost what makes them.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// How many there are.
pub const COUNT: usize = 10;
/// Bytes of one: enough that nobody finds it from its hash.
const BYTES: usize = 10;
/// Letters of a group.
const GROUP: usize = 4;

/// New ones, as `ABCD-EFGH-IJKL-MNOP`.
#[must_use]
pub fn generate() -> Vec<String> {
    let grouped = |text: String| {
        let letters: Vec<char> = text.chars().collect();
        letters.chunks(GROUP).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
    };
    (0..COUNT).map(|_| grouped(BASE32_NOPAD.encode(&rand::random::<[u8; BYTES]>()))).collect()
}

/// What is kept of a code, however it is typed. The account is part of it, so that no table of hashes fits many.
#[must_use]
pub fn hash(user: Uuid, code: &str) -> Vec<u8> {
    let letters: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    Sha256::new_with_prefix("eshopz recovery code 1:")
        .chain_update(user.as_bytes())
        .chain_update(letters.to_ascii_uppercase())
        .finalize()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_differ_and_are_found_however_they_are_typed() {
        let (ann, bob) = (Uuid::now_v7(), Uuid::now_v7());
        let codes = generate();
        let mut hashes: Vec<Vec<u8>> = codes.iter().map(|code| hash(ann, code)).collect();
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), COUNT);
        let code = &codes[0];
        assert_eq!((code.len(), code.matches('-').count()), (19, 3), "{code}");
        let typed = format!(" {} ", code.replace('-', "").to_lowercase());
        assert_eq!(hash(ann, code), hash(ann, &typed));
        assert_ne!(hash(ann, code), hash(bob, code));
    }
}
