//! Statements on variants.

use diesel::dsl::{count_star, max, now};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::rows::{VARIANT_COLUMNS, VariantOfProduct};
use crate::schema::variants;

/// A variant to be made.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = variants)]
pub struct NewVariant {
    pub id: Uuid,
    pub product_id: Uuid,
    pub sku: Option<String>,
    pub title: String,
    pub option_values: Vec<String>,
    pub price_minor: i64,
    pub compare_at_minor: Option<i64>,
    pub barcode: Option<String>,
    pub weight_grams: i32,
    pub requires_shipping: bool,
    pub taxable: bool,
    pub position: i32,
    pub image_url: Option<String>,
}

/// What of a variant is to be changed; `None` leaves it as it is.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = variants)]
pub struct VariantChanges {
    pub sku: Option<Option<String>>,
    pub title: Option<String>,
    pub option_values: Option<Vec<String>>,
    pub price_minor: Option<i64>,
    pub compare_at_minor: Option<Option<i64>>,
    pub barcode: Option<Option<String>>,
    pub weight_grams: Option<i32>,
    pub requires_shipping: Option<bool>,
    pub taxable: Option<bool>,
    pub position: Option<i32>,
    pub image_url: Option<Option<String>>,
}

/// What the other modules are told of a variant.
#[derive(Clone, Debug, QueryableByName)]
pub struct Snapshot {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub product_id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    pub sku: Option<String>,
    #[diesel(sql_type = Text)]
    pub title: String,
    #[diesel(sql_type = Text)]
    pub variant_title: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub image_url: Option<String>,
    #[diesel(sql_type = BigInt)]
    pub price_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub available: i64,
    #[diesel(sql_type = Bool)]
    pub backorder: bool,
    #[diesel(sql_type = Bool)]
    pub requires_shipping: bool,
    #[diesel(sql_type = Bool)]
    pub taxable: bool,
    #[diesel(sql_type = Bool)]
    pub sellable: bool,
}

/// A variant, and what of its product is needed to show it.
pub async fn by_id(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<VariantOfProduct>> {
    prepared(
        sql_query(format!(
            "SELECT {VARIANT_COLUMNS}, p.options, p.status FROM variants v JOIN stock_levels s ON s.variant_id = v.id \
             JOIN products p ON p.id = v.product_id WHERE v.id = $1"
        ))
        .bind::<SqlUuid, _>(id),
    )
    .single(conn)
    .await
    .optional()
}

/// The same, with the variant and its stock locked until the end of the transaction.
pub async fn lock(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<VariantOfProduct>> {
    prepared(
        sql_query(format!(
            "SELECT {VARIANT_COLUMNS}, p.options, p.status FROM variants v JOIN stock_levels s ON s.variant_id = v.id \
             JOIN products p ON p.id = v.product_id WHERE v.id = $1 FOR UPDATE OF v, s"
        ))
        .bind::<SqlUuid, _>(id),
    )
    .single(conn)
    .await
    .optional()
}

/// The product that a variant belongs to.
pub async fn product_of(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<Uuid>> {
    variants::table.find(id).select(variants::product_id).first(conn).await.optional()
}

/// What the other modules are told of these variants, in one statement.
pub async fn snapshots(conn: &mut AsyncPgConnection, ids: &[Uuid]) -> QueryResult<Vec<Snapshot>> {
    // The array is behind a `SELECT`, as `prepared::is_one_of` has it, and for the same reason.
    prepared(
        sql_query(
            "SELECT v.id, v.product_id, v.sku, p.title, v.title AS variant_title, \
                    coalesce(v.image_url, p.images -> 0 ->> 'url') AS image_url, v.price_minor, \
                    s.on_hand - s.reserved AS available, s.backorder, v.requires_shipping, v.taxable, \
                    p.status = 'active' AS sellable \
             FROM variants v JOIN products p ON p.id = v.product_id JOIN stock_levels s ON s.variant_id = v.id \
             WHERE v.id = ANY((SELECT $1)::uuid[])",
        )
        .bind::<Array<SqlUuid>, _>(ids),
    )
    .load(conn)
    .await
}

/// How many variants a product has, and the last of their positions.
pub async fn extent(conn: &mut AsyncPgConnection, product: Uuid) -> QueryResult<(i64, i32)> {
    let (count, last): (i64, Option<i32>) = variants::table
        .filter(variants::product_id.eq(product))
        .select((count_star(), max(variants::position)))
        .first(conn)
        .await?;
    Ok((count, last.unwrap_or(0)))
}

/// The values that the variants of a product have for its options.
pub async fn option_values(conn: &mut AsyncPgConnection, product: Uuid) -> QueryResult<Vec<Vec<String>>> {
    variants::table.filter(variants::product_id.eq(product)).select(variants::option_values).load(conn).await
}

/// Makes variants, at most a few hundred at once: each column of each is a parameter.
pub async fn insert(conn: &mut AsyncPgConnection, new: &[NewVariant]) -> QueryResult<usize> {
    diesel::insert_into(variants::table).values(new).execute(conn).await
}

/// Changes a variant that is locked. Its version rises.
pub async fn update(conn: &mut AsyncPgConnection, id: Uuid, changes: &VariantChanges) -> QueryResult<usize> {
    diesel::update(variants::table.find(id))
        .set((changes, variants::version.eq(variants::version + 1), variants::updated_at.eq(now)))
        .execute(conn)
        .await
}

/// Removes a variant and its stock. The ledger keeps its movements.
pub async fn delete(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<usize> {
    diesel::delete(variants::table.find(id)).execute(conn).await
}
