//! Email addresses as they are kept and compared.

/// Brings an address into the form in which it is kept: trimmed, the domain in small letters.
///
/// The part before the `@` keeps its case, since some mail servers tell `Ann` from `ann`; accounts are
/// compared without case all the same, by a unique index.
#[must_use]
pub fn normalise(text: &str) -> String {
    let text = text.trim();
    match text.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_lowercase()),
        None => text.to_owned(),
    }
}

/// What a throttle counts an account by, whether it exists or not. Hashed, so that counters elsewhere
/// do not hold addresses.
#[must_use]
pub fn throttle_key(text: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(text.trim().to_lowercase().as_bytes());
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
    fn only_the_domain_loses_its_case() {
        assert_eq!(normalise(" Ann.B@Example.COM "), "Ann.B@example.com");
        assert_eq!(normalise("no address"), "no address");
    }

    #[test]
    fn an_account_counts_as_one_however_it_is_written() {
        assert_eq!(throttle_key("Ann@Example.com "), throttle_key("ann@example.com"));
        assert_ne!(throttle_key("ann@example.com"), throttle_key("bob@example.com"));
    }
}
