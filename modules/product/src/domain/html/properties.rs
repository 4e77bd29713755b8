//! Descriptions that nobody has thought of. `PROPTEST_CASES` makes it more.

use proptest::prelude::*;

use super::tests::{EVASIONS, MUTATIONS, assert_harmless};
use super::*;

/// Bits of which tags, attributes, comments and references are made.
const BITS: &[&str] = &[
    "<",
    ">",
    "</",
    "/>",
    "\"",
    "'",
    "=",
    " ",
    "&",
    ";",
    "&#",
    "&lt;",
    "&gt;",
    "&quot;",
    "&nbsp;",
    "\n",
    "\r\n",
    "\0",
    "<!--",
    "-->",
    "--!>",
    "<![CDATA[",
    "]]>",
    "<?",
    "?>",
    "<!doctype html>",
    "x",
    "é",
    "\u{202e}",
    "script",
    "javascript:",
    "data:",
    "//",
    "https://x.test/a",
    "href=",
    "src=",
    "srcset=",
    "style=",
    "onerror=",
    "onload=",
    "title=",
    "alt=",
    "id=",
    "name=",
    "is=",
    "xlink:href=",
    "formaction=",
    "`",
    "\\",
    "\u{a0}",
];

const NAMES: &[&str] = &[
    "a",
    "b",
    "i",
    "u",
    "p",
    "pre",
    "br",
    "img",
    "div",
    "span",
    "ul",
    "ol",
    "li",
    "dl",
    "dt",
    "dd",
    "h1",
    "h2",
    "table",
    "caption",
    "colgroup",
    "col",
    "thead",
    "tbody",
    "tr",
    "td",
    "th",
    "form",
    "button",
    "select",
    "option",
    "textarea",
    "title",
    "style",
    "script",
    "noscript",
    "noembed",
    "noframes",
    "iframe",
    "xmp",
    "plaintext",
    "listing",
    "template",
    "svg",
    "math",
    "mtext",
    "mglyph",
    "annotation-xml",
    "foreignObject",
    "desc",
    "font",
    "nobr",
    "applet",
    "object",
    "marquee",
    "ruby",
    "rt",
    "rp",
    "details",
    "summary",
    "body",
    "html",
    "head",
    "frameset",
    "base",
    "meta",
    "link",
    "input",
    "hr",
    "image",
    "center",
];

fn bit() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(NAMES);
    prop_oneof![
        4 => name().prop_map(|name| format!("<{name}>")),
        3 => name().prop_map(|name| format!("</{name}>")),
        2 => (name(), prop::sample::select(BITS), prop::sample::select(BITS)).prop_map(|(name, a, b)| format!("<{name} {a}{b}>")),
        3 => prop::sample::select(BITS).prop_map(str::to_owned),
        1 => prop::sample::select(EVASIONS).prop_map(str::to_owned),
        1 => prop::sample::select(MUTATIONS).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ]
}

proptest! {
    #[test]
    fn whatever_comes_is_harmless_and_at_rest(bits in prop::collection::vec(bit(), 0..40)) {
        let html = bits.concat();
        if let Ok(cleaned) = clean(&html) {
            if cleaned.contains('<') {
                assert_harmless(&cleaned);
            }
            let again = clean(&cleaned).unwrap();
            prop_assert_eq!(again, cleaned.as_ref());
        }
    }

    #[test]
    fn text_without_a_tag_is_kept(text in "[^<]{0,60}") {
        prop_assert_eq!(clean(&text).unwrap(), text.as_str());
    }
}
