//! Handles of products and slugs of categories: the part of an address that people read.

/// The longest handle, in characters.
pub const MAX_LENGTH: usize = 255;

/// Words that are paths of their own beside the products.
const RESERVED: [&str; 3] = ["import", "export", "audit-log"];

/// Whether the text can be a handle: small letters, digits, `-` and `_`, and nothing that the paths of
/// products mean otherwise.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    let fits = (1..=MAX_LENGTH).contains(&text.chars().count());
    let plain = text.chars().all(|c| (c.is_alphanumeric() && !c.is_uppercase()) || c == '-' || c == '_');
    fits && plain && !is_taken_by_paths(text)
}

fn is_taken_by_paths(text: &str) -> bool {
    RESERVED.contains(&text) || uuid::Uuid::try_parse(text).is_ok()
}

/// Makes a handle of a title: "Blue Shirt (L)" becomes `blue-shirt-l`.
#[must_use]
pub fn from_title(title: &str) -> String {
    let mut handle = String::new();
    for c in title.chars().flat_map(char::to_lowercase).take(MAX_LENGTH - 15) {
        if c.is_alphanumeric() && !c.is_uppercase() {
            handle.push(c);
        } else if !handle.is_empty() && !handle.ends_with('-') {
            handle.push('-');
        }
    }
    let handle = handle.trim_end_matches('-');
    if handle.is_empty() || is_taken_by_paths(handle) {
        format!("item-{handle}").trim_end_matches('-').to_owned()
    } else {
        handle.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_become_handles() {
        for (title, handle) in [
            ("Blue Shirt", "blue-shirt"),
            ("  Café — Crème (2 l) ", "café-crème-2-l"),
            ("!!!", "item"),
            ("Import", "item-import"),
            ("Audit Log", "item-audit-log"),
            ("a'b\"c; DROP TABLE", "a-b-c-drop-table"),
        ] {
            assert_eq!(from_title(title), handle);
            assert!(is_valid(handle), "{handle}");
        }
        assert!(is_valid(&from_title(&"é x".repeat(500))));
    }

    #[test]
    fn what_is_no_handle_is_refused() {
        for bad in ["", "Blue", "a b", "a/b", "a\0", "import", "01890a5d-ac96-774b-bcce-b302099a8057", "a."] {
            assert!(!is_valid(bad), "{bad}");
        }
        assert!(!is_valid(&"a".repeat(256)));
    }
}
