//! How large and how deep a browser's tree of a text could become, before one is made.
//!
//! Each formatting tag that is not closed is opened again in every piece of text after it (HTML, 13.2.4.3), and each
//! other one is walked past by every tag after it. Both grow by the square of their number: a file of some megabytes
//! could keep a processor for hours and fill the memory. The reader here is no HTML parser; where it cannot tell it
//! counts too much.

use std::borrow::Cow;
use std::collections::HashMap;

/// Of the elements that a browser would make of a text, about: more are not worth their memory.
const MOST_ELEMENTS: usize = 300_000;

/// Tags within one another; browsers stop at 512.
const DEEPEST: usize = 200;

/// Fewer tags than this cannot be tangled.
const FEW_TAGS: usize = 100;

/// The tags that HTML opens again in each paragraph until they are closed ("active formatting elements").
const FORMATTING: &[&str] =
    &["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// The tags that need not be closed, or cannot be: the next one of their kind does it.
const CLOSED_ANYHOW: &[&str] = &[
    "area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta", "option", "p",
    "param", "source", "tbody", "td", "tfoot", "th", "thead", "tr", "track", "wbr",
];

/// Whether the tree could be far larger or deeper than the text lets expect.
#[must_use]
pub fn is_tangled(text: &str) -> bool {
    let pieces = text.split('<').count();
    if pieces <= FEW_TAGS {
        return false;
    }
    let mut seen = Seen::default();
    text.split('<').skip(1).for_each(|piece| seen.note(piece));
    seen.deepest > DEEPEST || seen.reopened().saturating_mul(pieces) > MOST_ELEMENTS
}

/// What was seen of a text so far.
#[derive(Debug, Default)]
struct Seen<'t> {
    /// Those of each name that are not closed.
    open: HashMap<Cow<'t, str>, usize>,
    depth: usize,
    deepest: usize,
    /// Formatting tags that are alike: no more than three are open at once.
    alike: HashMap<&'t str, usize>,
    /// Formatting tags of which nobody can tell.
    odd: usize,
}

impl<'t> Seen<'t> {
    /// Takes in what stands after a `<`.
    fn note(&mut self, piece: &'t str) {
        let tag = piece.split_once('>').map_or(piece, |(tag, _)| tag);
        let (closes, tag) = tag.strip_prefix('/').map_or((false, tag), |tag| (true, tag));
        let name = tag.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
        let is_of = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        let link = is_of(&["a"]);
        if is_of(FORMATTING) && !closes {
            self.format(if link { "a" } else { tag });
        }
        // A second link closes the first.
        if !name.is_empty() && !link && !is_of(CLOSED_ANYHOW) {
            self.nest(name, closes);
        }
    }

    fn format(&mut self, tag: &'t str) {
        if is_plain(tag) {
            let count = self.alike.entry(tag).or_default();
            *count = (*count + 1).min(3);
        } else {
            self.odd += 1;
        }
    }

    fn nest(&mut self, name: &'t str, closes: bool) {
        let upper = name.bytes().any(|byte| byte.is_ascii_uppercase());
        let name = if upper { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) };
        let count = self.open.entry(name).or_default();
        if !closes {
            *count += 1;
            self.depth += 1;
            self.deepest = self.deepest.max(self.depth);
        } else if *count > 0 {
            *count -= 1;
            self.depth -= 1;
        }
    }

    fn reopened(&self) -> usize {
        self.alike.values().sum::<usize>().saturating_add(self.odd)
    }
}

/// Whether a tag ends at its first `>` for certain: each quote in it opens or closes a value.
fn is_plain(tag: &str) -> bool {
    if !tag.contains(['"', '\'']) {
        return true;
    }
    let outside: Vec<&str> = tag.split('"').step_by(2).collect();
    let left_open = !tag.matches('"').count().is_multiple_of(2);
    let Some((last, openings)) = outside.split_last() else { return false };
    let opens = |part: &&str| part.ends_with('=') && part.matches('=').count() == 1;
    !left_open && !tag.contains('\'') && !last.contains('=') && openings.iter().all(opens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_ends_where_it_seems_to() {
        for plain in ["b", "b x=1", "font color=\"red\"", "b a=\"1\" c=\"2\"", "b /"] {
            assert!(is_plain(plain), "{plain}");
        }
        for odd in ["b a='1'", "b a=\"1", "b a=x\" b=\"y", "b a=x=\" b=\"y", "b a=\"1\" c=2 d=\"3\"", "b a=\"1\" c=3"] {
            assert!(!is_plain(odd), "{odd}");
        }
    }

    #[test]
    fn what_is_closed_is_not_deep() {
        let table = "<TR><TD><DIV><b>Size</B></div><td>S<br>M".repeat(500);
        assert!(!is_tangled(&format!("<Table>{table}</table>")));
        assert!(!is_tangled(&"<ul><li>a<li>b<p>c</ul><dl><dt>d<dd>e</dl>".repeat(500)));
        assert!(!is_tangled(&"<a href=\"/a\">a".repeat(2_000)));
        assert!(is_tangled(&"<div>".repeat(DEEPEST + 1)));
        assert!(is_tangled(&"<ul><li>".repeat(DEEPEST + 1)));
        assert!(is_tangled(&"</p><div></b>".repeat(DEEPEST + 1)));
        assert!(is_tangled(&"<b></p>".repeat(DEEPEST + 1)));
        let distinct: String = (0..5_000).map(|number| format!("<x{number}>")).collect();
        assert!(is_tangled(&distinct));
    }
}
