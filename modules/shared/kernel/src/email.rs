//! Email addresses: which are taken, and as what they are kept.
//!
//! No two that look the same are different people. Before the `@` there is ASCII only, so that no letter of another
//! script passes for a Latin one, nothing is invisible and nothing changes the direction of reading. The domain is kept
//! as DNS has it (IDNA, RFC 5891 as UTS #46 maps it): one with foreign letters begins with `xn--`.

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// Octets of the part before the `@` (RFC 5321, 4.5.3.1.1), and of the whole (RFC 3696, erratum 1690).
const LONGEST_LOCAL: usize = 64;
const LONGEST: usize = 254;

/// Why an address is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEmail {
    /// It is none.
    Malformed,
    /// There are letters before the `@` that could pass for others.
    Ambiguous,
}

impl NoEmail {
    /// For the person.
    #[must_use]
    pub const fn told(self) -> &'static str {
        match self {
            Self::Malformed => "must be an email address such as ann@example.com",
            Self::Ambiguous => "must be of ASCII before the @: letters of other scripts can look the same as others",
        }
    }
}

/// Whether somebody new may have an address: a dot-string (RFC 5321, 4.1.2) at a domain name.
///
/// # Errors
/// Says what is wrong.
pub fn check(text: &str) -> Result<(), NoEmail> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or(NoEmail::Malformed)?;
    if !local.is_ascii() {
        return Err(NoEmail::Ambiguous);
    }
    let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atext);
    let domain = ascii_domain(domain).ok_or(NoEmail::Malformed)?;
    let fits = local.len() <= LONGEST_LOCAL && local.len() + 1 + domain.len() <= LONGEST;
    if fits && local.split('.').all(is_atom) { Ok(()) } else { Err(NoEmail::Malformed) }
}

/// `atext` of RFC 5322, 3.2.3.
const fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~')
}

/// A domain as DNS has it, in small letters.
fn ascii_domain(domain: &str) -> Option<String> {
    let mapped = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
        // No dot at the end: it would be the same domain once more.
        DnsLength::Verify,
    );
    mapped.ok().map(std::borrow::Cow::into_owned)
}

/// Brings an address into the form in which it is kept: trimmed, the domain in ASCII and small letters.
///
/// The part before the `@` keeps its case, since some mail servers tell `Ann` from `ann`. Who compares does so without.
#[must_use]
pub fn normalise(text: &str) -> String {
    let text = text.trim();
    match text.rsplit_once('@') {
        Some((local, domain)) => {
            let domain = ascii_domain(domain).unwrap_or_else(|| domain.to_lowercase());
            format!("{local}@{domain}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_domain_loses_its_case() {
        assert_eq!(normalise(" Ann.B@Example.COM "), "Ann.B@example.com");
        assert_eq!(normalise("no address"), "no address");
        // As it was kept before: nobody's address becomes another's.
        assert_eq!(normalise("ann@[127.0.0.1]"), "ann@[127.0.0.1]");
    }

    #[test]
    fn a_domain_is_kept_as_dns_has_it() {
        for same in
            ["ann@bücher.example", "ann@BÜCHER.example", "ann@bu\u{308}cher.example", "ann@xn--bcher-kva.example"]
        {
            assert_eq!(normalise(same), "ann@xn--bcher-kva.example", "{same}");
            assert_eq!(check(same), Ok(()), "{same}");
        }
        assert_eq!(normalise("ann@example\u{3002}com"), "ann@example.com");
        // With the Cyrillic а: another domain, and it shows.
        assert_eq!(normalise("ann@ex\u{430}mple.com"), "ann@xn--exmple-4nf.com");
    }

    #[test]
    fn nothing_before_the_at_passes_for_something_else() {
        for ambiguous in [
            "\u{430}dmin@example.com", // Cyrillic а
            "adm\u{131}n@example.com", // dotless ı
            "ad\u{200b}min@example.com",
            "\u{202e}nimda@example.com",
            "\u{ff41}dmin@example.com", // fullwidth
            "jose\u{301}@example.com",
            "ad\u{ad}min@example.com",
        ] {
            assert_eq!(check(ambiguous), Err(NoEmail::Ambiguous), "{ambiguous:?}");
        }
    }

    #[test]
    fn an_address_is_one_and_nothing_else() {
        for good in
            ["ann@example.com", "A.n+n_1%'x@sub.example.co.uk", "!#$&*/=?^`{|}~-@a.b", "root@localhost", "a@a--b.com"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let long_domain = format!("a@{}.com", "long.".repeat(60));
        for bad in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "ann@example.com.",
            "ann@.example.com",
            "ann@-example.com",
            "ann@exa_mple.com",
            "ann@exa mple.com",
            ".ann@example.com",
            "ann.@example.com",
            "a..n@example.com",
            "a n@example.com",
            "ann@example.com@x",
            "\"ann\"@example.com",
            "ann(x)@example.com",
            "ann@[127.0.0.1]",
            "ann@evil\r\nBcc: x@example.com[127.0.0.1]",
            "ann\r\nBcc:x@example.com",
            "ann@example.com\nx",
            "a\u{0}@example.com",
            "ann@xn--a.example",
            "ann@exam\u{200b}ple..com",
            &long_domain,
            &format!("{}@example.com", "a".repeat(65)),
        ] {
            assert_eq!(check(bad), Err(NoEmail::Malformed), "{bad:?}");
        }
    }
}
