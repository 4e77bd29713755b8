//! A description as it may stand in anybody's page: HTML with what merchants use to tell of a product, and nothing
//! that acts, loads something of its own, or leaves its place.
//!
//! Descriptions come from suppliers' files as much as from admins, and whoever shows them puts them into a page as
//! they are. So they are cleaned on the way in, by an allow list (OWASP Cross Site Scripting Prevention, *HTML
//! Sanitization*), with the parser of browsers. What is cleaned stays as it is when it is cleaned again, so that an
//! export can be imported without a change.

#[cfg(test)]
mod properties;
mod size;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

use super::web_address;

/// The longest description, in characters, before it is cleaned and after.
pub const LONGEST: usize = 100_000;

/// Times that a text is cleaned until that changes nothing more. Nearly all are clean after the first.
const PASSES: usize = 4;

/// What is kept. Of other tags the content is kept.
const TAGS: &[&str] = &[
    "a",
    "abbr",
    "b",
    "bdi",
    "bdo",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "u",
    "ul",
    "var",
    "wbr",
];

/// Of these not even the content is kept: it is no text.
const WITH_CONTENT: &[&str] = &[
    "applet", "audio", "canvas", "iframe", "math", "noembed", "noframes", "noscript", "object", "script", "select",
    "style", "svg", "template", "title", "video",
];

/// The attributes of a tag.
const ATTRIBUTES: &[(&str, &[&str])] = &[
    ("a", &["href"]),
    ("col", &["span"]),
    ("colgroup", &["span"]),
    ("details", &["open"]),
    ("img", &["src", "alt", "width", "height"]),
    ("li", &["value"]),
    ("ol", &["start", "type", "reversed"]),
    ("td", &["colspan", "rowspan", "align"]),
    ("th", &["colspan", "rowspan", "align", "scope"]),
    ("ul", &["type"]),
];

/// The attributes that go with every tag.
const EVERYWHERE: &[&str] = &["lang", "dir", "title"];

/// What an address may begin with; one without a scheme is the page's own.
const SCHEMES: &[&str] = &["https", "http", "mailto", "tel"];

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| cleaner(TAGS));

/// The last resort: nothing but text.
static TEXT_ONLY: LazyLock<Builder<'static>> = LazyLock::new(|| cleaner(&[]));

/// The description cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// A browser would make far more of it than is there.
    #[error("has too many tags that are not closed; close each, or leave out the formatting that is not seen")]
    Tangled,
    #[error("is longer than {LONGEST} characters once its HTML is written out in full; shorten it")]
    TooLong,
}

fn cleaner(tags: &[&'static str]) -> Builder<'static> {
    let set = |names: &[&'static str]| -> HashSet<&'static str> { names.iter().copied().collect() };
    let attributes: HashMap<&str, HashSet<&str>> = ATTRIBUTES.iter().map(|(tag, names)| (*tag, set(names))).collect();
    let mut cleaner = Builder::empty();
    cleaner
        .tags(set(tags))
        .clean_content_tags(set(WITH_CONTENT))
        .tag_attributes(attributes)
        .generic_attributes(set(EVERYWHERE))
        .url_schemes(set(SCHEMES))
        .url_relative(UrlRelative::PassThrough)
        .attribute_filter(attribute)
        .link_rel(Some("noopener nofollow"))
        .strip_comments(true);
    cleaner
}

/// A picture loads by itself as soon as the page is seen. It comes by HTTPS, or not at all: one of the page's own
/// addresses could be one that does something.
fn attribute<'v>(tag: &str, name: &str, value: &'v str) -> Option<Cow<'v, str>> {
    if (tag, name) != ("img", "src") {
        return Some(Cow::Borrowed(value));
    }
    let trimmed = value.trim();
    let bare = trimmed.strip_prefix("//").or_else(|| trimmed.strip_prefix("http://"));
    let secure = match bare {
        Some(rest) => Cow::Owned(format!("https://{rest}")),
        None if trimmed.starts_with("https://") => Cow::Borrowed(trimmed),
        None => return None,
    };
    web_address::is_of_the_web(&secure.replace(' ', "%20")).then_some(secure)
}

/// The description, cleaned. One without a tag is kept to the letter, as is one that is clean already.
///
/// # Errors
/// [`NotTaken`], when it would take up too much room.
pub fn clean(text: &str) -> Result<Cow<'_, str>, NotTaken> {
    // Without a `<` there is no markup: a reference such as `&lt;` is text, whatever it stands for.
    if !text.contains('<') {
        return Ok(Cow::Borrowed(text));
    }
    if size::is_tangled(text) {
        return Err(NotTaken::Tangled);
    }
    let cleaned = settled(text);
    if is_too_long(&cleaned) { Err(NotTaken::TooLong) } else { Ok(cleaned) }
}

/// Cleans until it changes nothing more. What a serialised tree reads as is not always that tree.
fn settled(text: &str) -> Cow<'_, str> {
    let first = CLEANER.clean(text).to_string();
    if differs_in_line_ends_only(text, &first) {
        return Cow::Borrowed(text);
    }
    let mut last = first;
    for _ in 1..PASSES {
        let next = CLEANER.clean(&last).to_string();
        if next == last {
            return Cow::Owned(last);
        }
        last = next;
    }
    Cow::Owned(TEXT_ONLY.clean(&last).to_string())
}

/// HTML takes every kind of line end for `\n`.
fn differs_in_line_ends_only(text: &str, cleaned: &str) -> bool {
    text == cleaned || text.contains('\r') && text.replace("\r\n", "\n").replace('\r', "\n") == cleaned
}

fn is_too_long(text: &str) -> bool {
    text.len() > LONGEST && text.chars().count() > LONGEST
}
