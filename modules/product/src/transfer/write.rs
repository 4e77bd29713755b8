//! Writing a batch: one statement per table, its rows as arrays that PostgreSQL unnests, so that a
//! batch costs the same few round trips whatever is in it.

use chrono::Utc;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::events::outbox;
use eshopz_platform::prepared::prepared;
use eshopz_product_api::ProductChanged;
use serde_json::Value;
use uuid::Uuid;

use super::categories::CategoryState;
use super::changes::{ChangedVariant, Changes, StockChange};
use super::state::{ProductState, VariantState};

/// Writes everything, parents first, and nothing of what is empty.
pub async fn write(
    conn: &mut AsyncPgConnection,
    categories: &[CategoryState],
    changes: &Changes<'_>,
) -> QueryResult<()> {
    if !categories.is_empty() {
        insert_categories(conn, categories).await?;
    }
    if !changes.new_products.is_empty() {
        insert_products(conn, &changes.new_products).await?;
    }
    if !changes.changed_products.is_empty() {
        update_products(conn, &changes.changed_products).await?;
    }
    if !changes.changed_variants.is_empty() {
        update_variants(conn, &changes.changed_variants).await?;
    }
    if !changes.new_variants.is_empty() {
        insert_variants(conn, &changes.new_variants).await?;
        insert_stock(conn, &changes.new_variants).await?;
    }
    if !changes.stock.is_empty() {
        update_stock(conn, &changes.stock).await?;
    }
    let movements = movements(changes);
    if movements.is_empty() { Ok(()) } else { insert_movements(conn, &movements).await }
}

/// The first quantity of a new variant is a movement too: the ledger adds up to what is on hand.
fn movements(changes: &Changes<'_>) -> Vec<StockChange> {
    let first = changes.new_variants.iter().map(|(_, variant)| StockChange {
        variant_id: variant.id,
        on_hand: variant.stock.on_hand,
        delta: variant.stock.on_hand,
        backorder: variant.stock.backorder,
    });
    first.chain(changes.stock.iter().copied()).filter(|movement| movement.delta != 0).collect()
}

fn column<'r, R, T>(rows: &'r [R], cell: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(cell).collect()
}

/// An array in PostgreSQL's own text form: an array of arrays would have to be rectangular.
fn array_text(elements: &[String]) -> String {
    let mut text = String::from("{");
    for (index, element) in elements.iter().enumerate() {
        text.push_str(if index == 0 { "\"" } else { ",\"" });
        for letter in element.chars() {
            if matches!(letter, '"' | '\\') {
                text.push('\\');
            }
            text.push(letter);
        }
        text.push('"');
    }
    text.push('}');
    text
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_else(|_| Value::Array(Vec::new()))
}

/// Tells the others of every product that is new or changed, in the transaction of the change.
pub async fn tell(conn: &mut AsyncPgConnection, changes: &Changes<'_>) -> QueryResult<()> {
    let at = Utc::now();
    let products = changes.new_products.iter().chain(&changes.changed_products);
    let events: Vec<ProductChanged> =
        products.map(|product| ProductChanged { product_id: product.id.into(), at }).collect();
    outbox::publish_all(conn, &events).await
}

async fn insert_categories(conn: &mut AsyncPgConnection, rows: &[CategoryState]) -> QueryResult<()> {
    prepared(
        sql_query(
            "INSERT INTO categories (id, slug, name, parent_id) \
             SELECT * FROM unnest($1, $2, $3, $4) AS d (id, slug, name, parent_id)",
        )
        .bind::<Array<SqlUuid>, _>(column(rows, |row| row.id))
        .bind::<Array<Text>, _>(column(rows, |row| row.slug.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.name.as_str()))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(rows, |row| row.parent_id)),
    )
    .execute(conn)
    .await
    .map(drop)
}

async fn insert_products(conn: &mut AsyncPgConnection, rows: &[&ProductState]) -> QueryResult<()> {
    prepared(
        sql_query(
            "INSERT INTO products (id, handle, title, description, vendor, product_type, tags, status, category_id, \
                                   options, images, price_min_minor, price_max_minor, skus) \
             SELECT id, handle, title, description, vendor, product_type, tags::text[], status, category_id, \
                    options, images, price_min_minor, price_max_minor, skus \
             FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
                  AS d (id, handle, title, description, vendor, product_type, tags, status, category_id, \
                        options, images, price_min_minor, price_max_minor, skus)",
        )
        .bind::<Array<SqlUuid>, _>(column(rows, |row| row.id))
        .bind::<Array<Text>, _>(column(rows, |row| row.handle.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.title.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.description.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.vendor.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.product_type.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| array_text(&row.tags)))
        .bind::<Array<Text>, _>(column(rows, |row| row.status.as_str()))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(rows, |row| row.category_id))
        .bind::<Array<Jsonb>, _>(column(rows, |row| json(&row.options)))
        .bind::<Array<Jsonb>, _>(column(rows, |row| json(&row.images)))
        .bind::<Array<BigInt>, _>(column(rows, |row| row.price_range().0))
        .bind::<Array<BigInt>, _>(column(rows, |row| row.price_range().1))
        .bind::<Array<Text>, _>(column(rows, |row| row.skus())),
    )
    .execute(conn)
    .await
    .map(drop)
}

async fn update_products(conn: &mut AsyncPgConnection, rows: &[&ProductState]) -> QueryResult<()> {
    prepared(
        sql_query(
            "UPDATE products p SET title = d.title, description = d.description, vendor = d.vendor, \
                    product_type = d.product_type, tags = d.tags::text[], status = d.status, \
                    category_id = d.category_id, options = d.options, images = d.images, \
                    price_min_minor = d.price_min_minor, price_max_minor = d.price_max_minor, skus = d.skus, \
                    version = p.version + 1, updated_at = now() \
             FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                  AS d (id, title, description, vendor, product_type, tags, status, category_id, \
                        options, images, price_min_minor, price_max_minor, skus) \
             WHERE p.id = d.id",
        )
        .bind::<Array<SqlUuid>, _>(column(rows, |row| row.id))
        .bind::<Array<Text>, _>(column(rows, |row| row.title.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.description.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.vendor.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.product_type.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| array_text(&row.tags)))
        .bind::<Array<Text>, _>(column(rows, |row| row.status.as_str()))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(rows, |row| row.category_id))
        .bind::<Array<Jsonb>, _>(column(rows, |row| json(&row.options)))
        .bind::<Array<Jsonb>, _>(column(rows, |row| json(&row.images)))
        .bind::<Array<BigInt>, _>(column(rows, |row| row.price_range().0))
        .bind::<Array<BigInt>, _>(column(rows, |row| row.price_range().1))
        .bind::<Array<Text>, _>(column(rows, |row| row.skus())),
    )
    .execute(conn)
    .await
    .map(drop)
}

async fn insert_variants(conn: &mut AsyncPgConnection, rows: &[(Uuid, &VariantState)]) -> QueryResult<()> {
    prepared(
        sql_query(
            "INSERT INTO variants (id, product_id, sku, title, option_values, price_minor, compare_at_minor, barcode, \
                                   weight_grams, requires_shipping, taxable, position, image_url, imported_on_hand) \
             SELECT id, product_id, sku, title, option_values::text[], price_minor, compare_at_minor, barcode, \
                    weight_grams, requires_shipping, taxable, position, image_url, imported_on_hand \
             FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
                  AS d (id, product_id, sku, title, option_values, price_minor, compare_at_minor, barcode, \
                        weight_grams, requires_shipping, taxable, position, image_url, imported_on_hand)",
        )
        .bind::<Array<SqlUuid>, _>(column(rows, |(_, row)| row.id))
        .bind::<Array<SqlUuid>, _>(column(rows, |(product, _)| *product))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |(_, row)| row.sku.as_deref()))
        .bind::<Array<Text>, _>(column(rows, |(_, row)| row.title()))
        .bind::<Array<Text>, _>(column(rows, |(_, row)| array_text(&row.option_values)))
        .bind::<Array<BigInt>, _>(column(rows, |(_, row)| row.price))
        .bind::<Array<Nullable<BigInt>>, _>(column(rows, |(_, row)| row.compare_at))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |(_, row)| row.barcode.as_deref()))
        .bind::<Array<Integer>, _>(column(rows, |(_, row)| row.grams))
        .bind::<Array<Bool>, _>(column(rows, |(_, row)| row.requires_shipping))
        .bind::<Array<Bool>, _>(column(rows, |(_, row)| row.taxable))
        .bind::<Array<Integer>, _>(column(rows, |(_, row)| row.position))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |(_, row)| row.image_url.as_deref()))
        .bind::<Array<Nullable<Integer>>, _>(column(rows, |(_, row)| row.imported_on_hand)),
    )
    .execute(conn)
    .await
    .map(drop)
}

async fn update_variants(conn: &mut AsyncPgConnection, rows: &[ChangedVariant<'_>]) -> QueryResult<()> {
    prepared(
        sql_query(
            // A title that was made of the option values follows them; one given by hand stays.
            "UPDATE variants v SET sku = d.sku, option_values = d.option_values::text[], \
                    title = CASE WHEN v.title IN (array_to_string(v.option_values, ' / '), 'Default Title') \
                                 THEN d.title ELSE v.title END, \
                    price_minor = d.price_minor, compare_at_minor = d.compare_at_minor, barcode = d.barcode, \
                    weight_grams = d.weight_grams, requires_shipping = d.requires_shipping, taxable = d.taxable, \
                    image_url = d.image_url, imported_on_hand = d.imported_on_hand, \
                    version = v.version + d.seen::int, \
                    updated_at = CASE WHEN d.seen THEN now() ELSE v.updated_at END \
             FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                  AS d (id, sku, title, option_values, price_minor, compare_at_minor, barcode, \
                        weight_grams, requires_shipping, taxable, image_url, imported_on_hand, seen) \
             WHERE v.id = d.id",
        )
        .bind::<Array<SqlUuid>, _>(column(rows, |row| row.variant.id))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.variant.sku.as_deref()))
        .bind::<Array<Text>, _>(column(rows, |row| row.variant.title()))
        .bind::<Array<Text>, _>(column(rows, |row| array_text(&row.variant.option_values)))
        .bind::<Array<BigInt>, _>(column(rows, |row| row.variant.price))
        .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.variant.compare_at))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.variant.barcode.as_deref()))
        .bind::<Array<Integer>, _>(column(rows, |row| row.variant.grams))
        .bind::<Array<Bool>, _>(column(rows, |row| row.variant.requires_shipping))
        .bind::<Array<Bool>, _>(column(rows, |row| row.variant.taxable))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.variant.image_url.as_deref()))
        .bind::<Array<Nullable<Integer>>, _>(column(rows, |row| row.variant.imported_on_hand))
        .bind::<Array<Bool>, _>(column(rows, |row| row.seen)),
    )
    .execute(conn)
    .await
    .map(drop)
}

async fn insert_stock(conn: &mut AsyncPgConnection, rows: &[(Uuid, &VariantState)]) -> QueryResult<()> {
    prepared(
        sql_query(
            "INSERT INTO stock_levels (variant_id, on_hand, backorder) \
             SELECT * FROM unnest($1, $2, $3) AS d (variant_id, on_hand, backorder)",
        )
        .bind::<Array<SqlUuid>, _>(column(rows, |(_, row)| row.id))
        .bind::<Array<BigInt>, _>(column(rows, |(_, row)| row.stock.on_hand))
        .bind::<Array<Bool>, _>(column(rows, |(_, row)| row.stock.backorder)),
    )
    .execute(conn)
    .await
    .map(drop)
}

async fn update_stock(conn: &mut AsyncPgConnection, rows: &[StockChange]) -> QueryResult<()> {
    prepared(
        sql_query(
            "UPDATE stock_levels s SET on_hand = d.on_hand, backorder = d.backorder \
             FROM unnest($1, $2, $3) AS d (variant_id, on_hand, backorder) WHERE s.variant_id = d.variant_id",
        )
        .bind::<Array<SqlUuid>, _>(column(rows, |row| row.variant_id))
        .bind::<Array<BigInt>, _>(column(rows, |row| row.on_hand))
        .bind::<Array<Bool>, _>(column(rows, |row| row.backorder)),
    )
    .execute(conn)
    .await
    .map(drop)
}

async fn insert_movements(conn: &mut AsyncPgConnection, rows: &[StockChange]) -> QueryResult<()> {
    prepared(
        sql_query(
            "INSERT INTO stock_movements (id, variant_id, delta, on_hand_after, kind, actor) \
             SELECT id, variant_id, delta, on_hand_after, 'import', 'import' \
             FROM unnest($1, $2, $3, $4) AS d (id, variant_id, delta, on_hand_after)",
        )
        .bind::<Array<SqlUuid>, _>(column(rows, |_| Uuid::now_v7()))
        .bind::<Array<SqlUuid>, _>(column(rows, |row| row.variant_id))
        .bind::<Array<BigInt>, _>(column(rows, |row| row.delta))
        .bind::<Array<BigInt>, _>(column(rows, |row| row.on_hand)),
    )
    .execute(conn)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::array_text;

    #[test]
    fn arrays_are_written_so_that_they_read_back() {
        assert_eq!(array_text(&[]), "{}");
        let elements = ["a", "", "NULL", "b\"c\\d", "e,f{}"].map(str::to_owned);
        assert_eq!(array_text(&elements), r#"{"a","","NULL","b\"c\\d","e,f{}"}"#);
    }
}
