//! The statements of the shop's reads, for the reference to run as well. They are kept in step by hand with
//! `modules/product/src/store` and `modules/order/src/store`.

use serde_json::json;

const PRODUCT: &str = "p.id, p.handle, p.title, p.description, p.vendor, p.product_type, p.tags, p.status, \
    c.slug AS category, p.options, p.images, p.price_min_minor, p.price_max_minor, p.version, p.created_at, \
    p.updated_at";
const VARIANTS: &str = "(SELECT coalesce(json_agg(json_build_array(v.id, v.product_id, v.sku, v.title, \
    v.option_values, v.price_minor, v.compare_at_minor, v.barcode, v.weight_grams, v.requires_shipping, v.taxable, v.position, v.image_url, \
    v.version, s.on_hand, s.reserved, s.backorder) ORDER BY v.position, v.id), '[]') \
    FROM products.variants v JOIN products.stock_levels s ON s.variant_id = v.id WHERE v.product_id = p.id) AS variants";

/// As `reference --statements` takes them; each has one parameter.
pub fn all() -> String {
    json!({
        "product": [
            format!(
                "SELECT {PRODUCT}, {VARIANTS} FROM products.products p \
                 LEFT JOIN products.categories c ON c.id = p.category_id WHERE p.id = $1"
            ),
        ],
        "list": [
            "WITH RECURSIVE tree AS (SELECT id FROM products.categories WHERE id = $1 \
                UNION SELECT c.id FROM products.categories c JOIN tree t ON c.parent_id = t.id) SELECT id FROM tree",
            format!(
                "SELECT {PRODUCT}, {VARIANTS} FROM (SELECT p.id FROM products.products p \
                    WHERE p.status = 'active' AND p.category_id = $1 \
                    ORDER BY p.created_at DESC, p.id DESC LIMIT 21) page \
                 JOIN products.products p ON p.id = page.id \
                 LEFT JOIN products.categories c ON c.id = p.category_id ORDER BY p.created_at DESC, p.id DESC"
            ),
        ],
        "order": [
            "SELECT * FROM orders.orders WHERE id = $1",
            "SELECT * FROM orders.order_lines WHERE order_id = $1 ORDER BY position",
            "SELECT * FROM orders.order_refunds WHERE order_id = $1 ORDER BY created_at, id",
            "SELECT * FROM payments.payments WHERE order_id = $1",
        ],
    })
    .to_string()
}

/// A page of a search for one word. It is given as `'word'` and as `'word':*`, or by what stands for these.
pub fn search(whole: &str, begun: &str) -> String {
    let stem = format!("to_tsquery('pg_catalog.english', {whole})");
    let plain = |word: &str| format!("to_tsquery('pg_catalog.simple', {word})");
    let (whole, begun) = (plain(whole), plain(begun));
    let words = format!("CASE WHEN {stem} = {whole} THEN {begun} ELSE {stem} || {begun} END");
    format!(
        "SELECT {PRODUCT}, {VARIANTS}, page.rank, page.judged, lower(p.title) AS title_key \
         FROM (SELECT p.id, p.rank, p.judged FROM \
            (SELECT m.product_id AS id, m.rank, count(*) OVER () AS judged \
                FROM products.newest_matches({words}, NULL, 60) m) p \
            WHERE true ORDER BY p.rank DESC, p.id DESC LIMIT 21) page \
         JOIN products.products p ON p.id = page.id LEFT JOIN products.categories c ON c.id = p.category_id \
         ORDER BY page.rank DESC, p.id DESC"
    )
}
