//! Every column that can hold text is declared, by its module, as personal or not.

use std::collections::BTreeMap;

use eshopz::modules::Module;
use eshopz_platform::personal::{Column, SHARED};
use eshopz_testkit::db::TestDb;

use crate::support::MODULES;

/// What could hold somebody's name.
const TEXTUAL: &str = "('text', 'varchar', 'bpchar', 'jsonb', 'json', 'bytea', '_text', 'inet', 'tsvector', 'citext')";

/// Of triggers' making, from columns that are declared.
const DERIVED: [(&str, &str); 1] = [("products", "tsvector")];

#[tokio::test]
async fn every_column_that_can_hold_text_is_declared_once() {
    let db = TestDb::new(&MODULES).await;
    let owner = db.owner().await;
    let mut wrong = Vec::new();
    for module in Module::ALL {
        let mut declared: BTreeMap<(String, String), usize> = BTreeMap::new();
        let columns = module.personal().iter().chain(SHARED).flat_map(|columns| columns.each());
        for Column { table, column, .. } in columns {
            *declared.entry((table.to_owned(), column.to_owned())).or_default() += 1;
        }
        let query = format!(
            "SELECT table_name::text, column_name::text, udt_name::text FROM information_schema.columns \
             WHERE table_schema = $1 AND udt_name IN {TEXTUAL}"
        );
        for row in owner.query(&query, &[&module.schema()]).await.unwrap() {
            let (table, column, kind): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            match declared.remove(&(table.clone(), column.clone())) {
                Some(1) => {}
                Some(times) => wrong.push(format!("{module}: {table}.{column} is declared {times} times")),
                None if DERIVED.contains(&(module.schema(), kind.as_str())) => {}
                None => wrong.push(format!("{module}: {table}.{column} is not declared in personal.rs")),
            }
        }
        wrong.extend(declared.keys().map(|(table, column)| format!("{module}: there is no {table}.{column}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
