//! How email addresses are compared. Which are taken, and as what they are kept, is the kernel's.

pub use eshopz_kernel::email::{check, normalise};

/// What a throttle counts an account by, whether it exists or not and however it is written. Hashed, so that counters
/// elsewhere do not hold addresses.
#[must_use]
pub fn throttle_key(text: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    // To PostgreSQL the small letter of `İ` is `i`, to Rust it is `i` with a dot of its own.
    let same = normalise(text).to_lowercase().replace('\u{307}', "");
    let digest = sha2::Sha256::digest(same.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
}

/// SHA-256 in hex of an address in small letters, by which other modules find what was left under it.
#[must_use]
pub fn hash(text: &str) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(text.to_lowercase().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_counts_as_one_however_it_is_written() {
        assert_eq!(throttle_key("Ann@Example.com "), throttle_key("ann@example.com"));
        assert_eq!(throttle_key("ann@bücher.example"), throttle_key("ann@xn--bcher-kva.example"));
        assert_eq!(throttle_key("adm\u{130}n@example.com"), throttle_key("admin@example.com"));
        assert_ne!(throttle_key("ann@example.com"), throttle_key("bob@example.com"));
    }
}
