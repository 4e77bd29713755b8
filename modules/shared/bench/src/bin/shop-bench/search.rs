//! What is searched for: words of the catalogue, and the same with a typing error each.

use std::rc::Rc;

use tokio_postgres::Client;

/// Words of titles from common ones to rare ones; too short a word leaves no room for an error.
const WORDS: &str = "
    SELECT word FROM (
        SELECT word, row_number() OVER (ORDER BY ndoc DESC, word) AS place FROM ts_stat('
            SELECT to_tsvector(''pg_catalog.simple'', title) FROM products.products WHERE status = ''active''
            ORDER BY id LIMIT 2000')
        WHERE word ~ '^[a-z]{5,}$') common
    WHERE place % 10 = 1 ORDER BY place LIMIT 8";

/// What is searched for; clones share it.
#[derive(Clone, Debug)]
pub struct Searches {
    pub words: Rc<[String]>,
    /// Paths of searches for them.
    pub right: Rc<[String]>,
    /// The same with a typing error.
    pub wrong: Rc<[String]>,
}

impl Searches {
    pub async fn read(client: &Client) -> Result<Self, String> {
        let rows = client.query(WORDS, &[]).await.map_err(|error| error.to_string())?;
        let words: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        if words.is_empty() {
            return Err("a catalogue without words".to_owned());
        }
        let path = |word: &str| format!("/api/v1/products?q={word}");
        Ok(Self {
            right: words.iter().map(|word| path(word)).collect(),
            wrong: words.iter().map(|word| path(&swapped(word))).collect(),
            words: words.into(),
        })
    }
}

/// The word with two letters swapped, as near to its middle as it has two that differ.
fn swapped(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let middle = letters.len() / 2;
    let differ = |at: &usize| letters.get(*at) != letters.get(at + 1);
    let place = (1..letters.len().saturating_sub(1)).filter(differ).min_by_key(|at| at.abs_diff(middle));
    if let Some(place) = place {
        letters.swap(place, place + 1);
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::swapped;

    #[test]
    fn an_error_is_made_in_the_middle() {
        assert_eq!(swapped("cedar"), "ceadr");
        assert_eq!(swapped("cotton"), "cototn");
        assert_eq!(swapped("coffee"), "cofefe");
    }
}
