//! The name of a statement: what it does with which tables, in the order of its text, without its values; as
//! `db.query.summary` of OpenTelemetry's semantic conventions for databases has it.
//!
//! It is no parser of SQL. It knows the words before which a table stands in statements such as ours are.

/// Longer names are cut at a word.
const LONGEST: usize = 120;

/// The name of a statement.
pub(super) fn summary(text: &str) -> String {
    let mut reader = Reader::default();
    let mut words = Words(text).peekable();
    while let Some(word) = words.next() {
        reader.read(word, words.peek().copied());
    }
    reader.name()
}

/// A statement's words, one by one: names without their quotes, `(`, `)`, and anything else as it is. What stands in `'` is
/// left out.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let text = self.0.trim_start();
            let first = text.chars().next()?;
            let length = match first {
                '\'' => {
                    self.0 = text.get(1..)?.split_once('\'').map_or("", |(_, rest)| rest);
                    continue;
                }
                _ if is_of_name(first) => text.find(|c| !is_of_name(c)).unwrap_or(text.len()),
                _ => first.len_utf8(),
            };
            let (word, rest) = text.split_at(length);
            self.0 = rest;
            return Some(word);
        }
    }
}

/// Names may be of a schema, and in quotes.
fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '"' | '.')
}

#[derive(Default)]
struct Reader<'a> {
    /// The last two words, the last of them last.
    before: [&'a str; 2],
    /// What stands before each `(` that is open.
    open: Vec<&'a str>,
    /// Queries of a `WITH`, which are no tables.
    queries: Vec<&'a str>,
    /// Each verb with its table, none twice.
    done: Vec<(&'a str, String)>,
    first: &'a str,
}

impl<'a> Reader<'a> {
    fn read(&mut self, word: &'a str, next: Option<&str>) {
        let [earlier, last] = self.before;
        if self.first.is_empty() {
            self.first = word;
        }
        match word {
            "(" => self.open.push(last),
            ")" => drop(self.open.pop()),
            "AS" if next == Some("(") || next == Some("MATERIALIZED") || next == Some("NOT") => self.queries.push(last),
            _ => {}
        }
        // `extract(epoch FROM …)`, and `IS DISTINCT FROM`, are no tables.
        let is_table = |word: &str| word.starts_with(|c: char| c.is_alphabetic() || c == '"');
        let in_function = self.open.last().is_some_and(|before| {
            let before = before.to_ascii_lowercase();
            ["extract", "substring", "trim", "overlay", "position"].contains(&before.as_str())
        });
        match last {
            "FROM" if earlier == "DELETE" => self.note("DELETE", word),
            "FROM" | "JOIN" if earlier != "DISTINCT" && !in_function && is_table(word) && !is_other(word) => {
                self.note("SELECT", word);
            }
            "INTO" if earlier == "INSERT" => self.note("INSERT", word),
            "UPDATE" if !["FOR", "KEY", "DO"].contains(&earlier) => self.note("UPDATE", word),
            _ => {}
        }
        self.before = [last, word];
    }

    fn note(&mut self, verb: &'a str, table: &str) {
        let table = table.replace('"', "");
        if !self.queries.contains(&table.as_str())
            && !self.done.iter().any(|(of, known)| *of == verb && *known == table)
        {
            self.done.push((verb, table));
        }
    }

    fn name(self) -> String {
        let mut name = String::new();
        let mut verb = "";
        for (of, table) in &self.done {
            for word in [*of, table].into_iter().skip(usize::from(verb == *of)) {
                if name.len() + word.len() >= LONGEST {
                    return name;
                }
                name.push_str(if name.is_empty() { "" } else { " " });
                name.push_str(word);
            }
            verb = of;
        }
        match (name.is_empty(), self.first) {
            (false, _) => name,
            // Nothing is asked: whether the other side is there.
            (true, "") => "ping".to_owned(),
            (true, first) => first.to_owned(),
        }
    }
}

/// What may stand where a table does, and is none: words of SQL, and functions that make rows of their arguments.
fn is_other(word: &str) -> bool {
    ["SELECT", "LATERAL", "ONLY", "VALUES", "unnest", "generate_series"].contains(&word) || word.starts_with("json")
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn a_statement_is_named_by_its_verbs_and_tables() {
        for (text, name) in [
            (r#"SELECT "carts"."id" FROM "carts" WHERE ("carts"."id" = $1)"#, "SELECT carts"),
            ("SELECT 1", "SELECT"),
            ("BEGIN READ ONLY", "BEGIN"),
            ("COMMIT", "COMMIT"),
            ("", "ping"),
            ("INSERT INTO carts (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET id = $1", "INSERT carts"),
            (
                "SELECT * FROM orders o JOIN order_lines l ON l.order_id = o.id FOR UPDATE OF o",
                "SELECT orders order_lines",
            ),
            (
                "WITH made AS (INSERT INTO orders (id) VALUES ($1) RETURNING id), told AS MATERIALIZED (INSERT INTO outbox \
                 SELECT id FROM made) SELECT id FROM made",
                "INSERT orders outbox",
            ),
            ("UPDATE stock_levels SET on_hand = 1 FROM unnest($1) u WHERE true", "UPDATE stock_levels"),
            ("DELETE FROM inbox WHERE at < now() - interval '1 FROM day'", "DELETE inbox"),
            ("SELECT extract(epoch FROM at) FROM products.words WHERE a IS DISTINCT FROM b", "SELECT products.words"),
            ("SELECT * FROM (SELECT id FROM a) x, b", "SELECT a"),
            ("SELECT * FROM newest_matches($1, $2)", "SELECT newest_matches"),
        ] {
            assert_eq!(summary(text), name, "{text}");
        }
    }

    #[test]
    fn a_name_is_never_long() {
        let tables: Vec<String> = (0..100).map(|number| format!("JOIN table_{number}")).collect();
        let name = summary(&format!("SELECT * FROM x {}", tables.join(" ")));
        assert!(name.len() <= 120 && name.ends_with(|c: char| c.is_ascii_digit()), "{name}");
    }
}
