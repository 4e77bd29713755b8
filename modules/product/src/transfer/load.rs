//! Reading the shop for an import and an export: one statement per function, each for a whole batch.

use std::collections::HashMap;

use diesel::sql_types::{Array, BigInt, Bool, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::categories::CategoryState;
use super::state::{ProductState, VariantState};
use crate::domain::stock::Level;
use crate::domain::{Images, Options, Status};
use crate::schema::products;

#[derive(QueryableByName)]
struct ProductRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    handle: String,
    #[diesel(sql_type = Text)]
    title: String,
    #[diesel(sql_type = Text)]
    description: String,
    #[diesel(sql_type = Text)]
    vendor: String,
    #[diesel(sql_type = Text)]
    product_type: String,
    #[diesel(sql_type = Array<Text>)]
    tags: Vec<String>,
    #[diesel(sql_type = Text)]
    status: Status,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    category_id: Option<Uuid>,
    #[diesel(sql_type = Jsonb)]
    options: Options,
    #[diesel(sql_type = Jsonb)]
    images: Images,
}

#[derive(QueryableByName)]
struct VariantRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    product_id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    sku: Option<String>,
    #[diesel(sql_type = Array<Text>)]
    option_values: Vec<String>,
    #[diesel(sql_type = BigInt)]
    price_minor: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    compare_at_minor: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    barcode: Option<String>,
    #[diesel(sql_type = Integer)]
    weight_grams: i32,
    #[diesel(sql_type = Bool)]
    requires_shipping: bool,
    #[diesel(sql_type = Bool)]
    taxable: bool,
    #[diesel(sql_type = Integer)]
    position: i32,
    #[diesel(sql_type = Nullable<Text>)]
    image_url: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    imported_on_hand: Option<i32>,
    #[diesel(embed)]
    stock: StockRow,
}

#[derive(QueryableByName)]
struct StockRow {
    #[diesel(sql_type = SqlUuid)]
    variant_id: Uuid,
    #[diesel(sql_type = BigInt)]
    on_hand: i64,
    #[diesel(sql_type = BigInt)]
    reserved: i64,
    #[diesel(sql_type = Bool)]
    backorder: bool,
}

#[derive(QueryableByName)]
struct CategoryRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    slug: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    parent_id: Option<Uuid>,
}

#[derive(QueryableByName)]
struct SkuRow {
    #[diesel(sql_type = Text)]
    sku: String,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// The products of these handles with their variants, by handle. They stay locked for the transaction.
pub async fn lock_products(
    conn: &mut AsyncPgConnection,
    handles: &[&str],
) -> QueryResult<HashMap<String, ProductState>> {
    let query = prepared(
        sql_query(
            "SELECT id, handle, title, description, vendor, product_type, tags, status, category_id, options, images \
             FROM products WHERE handle = ANY($1) ORDER BY id FOR NO KEY UPDATE",
        )
        .bind::<Array<Text>, _>(handles),
    );
    let rows: Vec<ProductRow> = query.load(conn).await?;
    let products = with_variants(conn, rows).await?;
    Ok(products.into_iter().map(|product| (product.handle.clone(), product)).collect())
}

/// The next products after an id, in the order of their ids.
pub async fn products_after(conn: &mut AsyncPgConnection, after: Uuid, limit: i64) -> QueryResult<Vec<ProductState>> {
    let query = prepared(
        sql_query(
            "SELECT id, handle, title, description, vendor, product_type, tags, status, category_id, options, images \
             FROM products WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind::<SqlUuid, _>(after)
        .bind::<BigInt, _>(limit),
    );
    let rows: Vec<ProductRow> = query.load(conn).await?;
    with_variants(conn, rows).await
}

async fn with_variants(conn: &mut AsyncPgConnection, rows: Vec<ProductRow>) -> QueryResult<Vec<ProductState>> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut variants: HashMap<Uuid, Vec<VariantState>> = HashMap::new();
    if !ids.is_empty() {
        for row in variants_of(conn, &ids).await? {
            variants.entry(row.product_id).or_default().push(row.into());
        }
    }
    Ok(rows.into_iter().map(|row| product(&mut variants, row)).collect())
}

async fn variants_of(conn: &mut AsyncPgConnection, products: &[Uuid]) -> QueryResult<Vec<VariantRow>> {
    prepared(
        sql_query(
            "SELECT v.id, v.product_id, v.sku, v.option_values, v.price_minor, v.compare_at_minor, v.barcode, \
                    v.weight_grams, v.requires_shipping, v.taxable, v.position, v.image_url, v.imported_on_hand, \
                    s.variant_id, s.on_hand, s.reserved, s.backorder \
             FROM variants v JOIN stock_levels s ON s.variant_id = v.id \
             WHERE v.product_id = ANY($1) ORDER BY v.product_id, v.position, v.id",
        )
        .bind::<Array<SqlUuid>, _>(products),
    )
    .load(conn)
    .await
}

/// Which variants of the whole shop have these SKUs.
pub async fn sku_owners(conn: &mut AsyncPgConnection, skus: &[&str]) -> QueryResult<HashMap<String, Uuid>> {
    let query = prepared(sql_query("SELECT sku, id FROM variants WHERE sku = ANY($1)").bind::<Array<Text>, _>(skus));
    let rows: Vec<SkuRow> = query.load(conn).await?;
    Ok(rows.into_iter().map(|row| (row.sku, row.id)).collect())
}

/// Which of these products are there.
pub async fn known_ids(conn: &mut AsyncPgConnection, ids: &[Uuid]) -> QueryResult<Vec<Uuid>> {
    products::table.filter(products::id.eq_any(ids)).select(products::id).load(conn).await
}

/// Which of these handles are taken.
pub async fn known_handles(conn: &mut AsyncPgConnection, handles: &[&str]) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Known {
        #[diesel(sql_type = Text)]
        handle: String,
    }
    let query =
        prepared(sql_query("SELECT handle FROM products WHERE handle = ANY($1)").bind::<Array<Text>, _>(handles));
    let rows: Vec<Known> = query.load(conn).await?;
    Ok(rows.into_iter().map(|row| row.handle).collect())
}

/// Locks stock, in the order in which everybody does.
pub async fn lock_stock(conn: &mut AsyncPgConnection, variants: &[Uuid]) -> QueryResult<HashMap<Uuid, Level>> {
    let query = prepared(
        sql_query(
            "SELECT variant_id, on_hand, reserved, backorder FROM stock_levels \
             WHERE variant_id = ANY($1) ORDER BY variant_id FOR UPDATE",
        )
        .bind::<Array<SqlUuid>, _>(variants),
    );
    let rows: Vec<StockRow> = query.load(conn).await?;
    Ok(rows.into_iter().map(|row| (row.variant_id, row.into())).collect())
}

/// The whole category tree.
pub async fn categories(conn: &mut AsyncPgConnection) -> QueryResult<Vec<CategoryState>> {
    let rows: Vec<CategoryRow> =
        prepared(sql_query("SELECT id, slug, name, parent_id FROM categories")).load(conn).await?;
    let state =
        |row: CategoryRow| CategoryState { id: row.id, slug: row.slug, name: row.name, parent_id: row.parent_id };
    Ok(rows.into_iter().map(state).collect())
}

fn product(variants: &mut HashMap<Uuid, Vec<VariantState>>, row: ProductRow) -> ProductState {
    ProductState {
        variants: variants.remove(&row.id).unwrap_or_default(),
        id: row.id,
        handle: row.handle,
        title: row.title,
        description: row.description,
        vendor: row.vendor,
        product_type: row.product_type,
        tags: row.tags,
        status: row.status,
        category_id: row.category_id,
        options: row.options.0,
        images: row.images.0,
    }
}

impl From<VariantRow> for VariantState {
    fn from(row: VariantRow) -> Self {
        Self {
            id: row.id,
            sku: row.sku,
            option_values: row.option_values,
            price: row.price_minor,
            compare_at: row.compare_at_minor,
            barcode: row.barcode,
            grams: row.weight_grams,
            requires_shipping: row.requires_shipping,
            taxable: row.taxable,
            position: row.position,
            image_url: row.image_url,
            imported_on_hand: row.imported_on_hand,
            stock: row.stock.into(),
        }
    }
}

impl From<StockRow> for Level {
    fn from(row: StockRow) -> Self {
        Self { on_hand: row.on_hand, reserved: row.reserved, backorder: row.backorder }
    }
}
