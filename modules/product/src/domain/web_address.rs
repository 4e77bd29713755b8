//! The address of something on the web, such as a picture.

use eshopz_kernel::text::{breaks_a_line, is_invisible};

/// Whether the text is an http or https address with a host and without a password, of the characters that can be in
/// one (RFC 3986, and RFC 3987 for the letters of other scripts). Braces and bars are let through: shops have them in
/// their pictures' addresses.
#[must_use]
pub fn is_of_the_web(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let begins = authority.starts_with(|letter: char| letter.is_alphanumeric() || letter == '[');
    begins && !authority.contains('@') && !text.contains(is_out_of_place)
}

fn is_out_of_place(letter: char) -> bool {
    letter.is_whitespace() || breaks_a_line(letter) || is_invisible(letter) || "\"<>\\`".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_on_the_web() {
        for good in [
            "https://cdn.example.com/s/files/1/0001/products/a.jpg?v=1576&width={width}",
            "http://localhost:9000/a.png",
            "https://[2001:db8::1]/a.png#x",
            "https://beispiel.example/größe.jpg",
            "https://x",
        ] {
            assert!(is_of_the_web(good), "{good}");
        }
        for bad in [
            "",
            "a.jpg",
            "/a.jpg",
            "../../etc/passwd",
            "//x.test/a.jpg",
            "https://",
            "https:///a",
            "https:a",
            "https://?x",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\tscript:alert(1)",
            "data:image/svg+xml,<svg onload=alert(1)>",
            "file:///etc/passwd",
            "ftp://x.test/a",
            "https://good.example@evil.example/a.jpg",
            "https://x.test/\"onerror=\"alert(1)",
            "https://x.test/<script>",
            "https://x.test\\@evil.example",
            "https://x.test/a b",
            "https://x.test/a\nb",
            "https://x.test/\u{202e}gpj.a",
            "https://\u{200b}x.test/",
        ] {
            assert!(!is_of_the_web(bad), "{bad:?}");
        }
    }
}
