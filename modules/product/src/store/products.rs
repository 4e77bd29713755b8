//! Statements on products.

use diesel::dsl::{now, sql};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::rows::{WithVariants, columns_with_variants};
use crate::domain::{Images, Options, Status};
use crate::schema::products;

/// A product to be made.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = products)]
pub struct NewProduct {
    pub id: Uuid,
    pub handle: String,
    pub title: String,
    pub description: String,
    pub vendor: String,
    pub product_type: String,
    pub tags: Vec<String>,
    pub status: Status,
    pub category_id: Option<Uuid>,
    pub options: Options,
    pub images: Images,
    pub price_min_minor: i64,
    pub price_max_minor: i64,
    pub skus: String,
}

/// What of a product is to be changed; `None` leaves it as it is.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = products)]
pub struct ProductChanges {
    pub handle: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub vendor: Option<String>,
    pub product_type: Option<String>,
    pub tags: Option<Vec<String>>,
    pub status: Option<Status>,
    pub category_id: Option<Option<Uuid>>,
    pub options: Option<Options>,
    pub images: Option<Images>,
}

/// A product that is locked until the end of the transaction.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = products)]
pub struct LockedProduct {
    pub id: Uuid,
    pub status: Status,
    pub options: Options,
    pub version: i64,
}

/// A product by its id.
pub async fn by_id(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<WithVariants>> {
    prepared(
        sql_query(format!(
            "SELECT {} FROM products p LEFT JOIN categories c ON c.id = p.category_id WHERE p.id = $1",
            columns_with_variants()
        ))
        .bind::<SqlUuid, _>(id),
    )
    .single(conn)
    .await
    .optional()
}

/// A product by its handle.
pub async fn by_handle(conn: &mut AsyncPgConnection, handle: &str) -> QueryResult<Option<WithVariants>> {
    prepared(
        sql_query(format!(
            "SELECT {} FROM products p LEFT JOIN categories c ON c.id = p.category_id WHERE p.handle = $1",
            columns_with_variants()
        ))
        .bind::<Text, _>(handle),
    )
    .single(conn)
    .await
    .optional()
}

/// The id of the product that has a handle.
pub async fn id_of(conn: &mut AsyncPgConnection, handle: &str) -> QueryResult<Option<Uuid>> {
    products::table.filter(products::handle.eq(handle)).select(products::id).first(conn).await.optional()
}

/// The products of a category, not those of the ones below it.
pub async fn of_category(conn: &mut AsyncPgConnection, category: Uuid) -> QueryResult<Vec<Uuid>> {
    products::table.filter(products::category_id.eq(category)).select(products::id).load(conn).await
}

/// Locks a product; whoever changes a product or its variants begins here.
pub async fn lock(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<LockedProduct>> {
    products::table
        .filter(products::id.eq(id))
        .for_no_key_update()
        .select(LockedProduct::as_select())
        .first(conn)
        .await
        .optional()
}

/// Makes a product; false, and nothing is made, when its handle is taken.
pub async fn insert(conn: &mut AsyncPgConnection, new: &NewProduct) -> QueryResult<bool> {
    let inserted = diesel::insert_into(products::table)
        .values(new)
        .on_conflict(products::handle)
        .do_nothing()
        .execute(conn)
        .await?;
    Ok(inserted == 1)
}

/// Makes those who number the same handle wait for each other until the end of the transaction.
pub async fn lock_numbers(conn: &mut AsyncPgConnection, base: &str) -> QueryResult<usize> {
    prepared(sql_query("SELECT pg_advisory_xact_lock(hashtext('products.handle'), hashtext($1))").bind::<Text, _>(base))
        .execute(conn)
        .await
}

/// The largest number that follows `<base>-` in a handle; 0 when there is none.
pub async fn last_suffix(conn: &mut AsyncPgConnection, base: &str) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Last {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }
    let last: Last = prepared(
        sql_query(
            "SELECT coalesce(max(right(handle, -length($1) - 1)::bigint), 0) AS number FROM products \
             WHERE starts_with(handle, $1 || '-') AND right(handle, -length($1) - 1) ~ '^[0-9]{1,9}$'",
        )
        .bind::<Text, _>(base),
    )
    .single(conn)
    .await?;
    Ok(last.number)
}

/// Changes a product that is locked. Its version rises.
pub async fn update(conn: &mut AsyncPgConnection, id: Uuid, changes: &ProductChanges) -> QueryResult<usize> {
    diesel::update(products::table.filter(products::id.eq(id)))
        .set((changes, products::version.eq(products::version + 1), products::updated_at.eq(now)))
        .execute(conn)
        .await
}

/// Brings what a product keeps of its variants up to date, after they were changed. Its version rises.
pub async fn refresh(conn: &mut AsyncPgConnection, id: Uuid, options: &Options) -> QueryResult<usize> {
    let of_variants = |expression: &str| format!("(SELECT {expression} FROM variants WHERE product_id = products.id)");
    diesel::update(products::table.filter(products::id.eq(id)))
        .set((
            products::options.eq(options),
            products::price_min_minor.eq(sql::<BigInt>(&of_variants("min(price_minor)"))),
            products::price_max_minor.eq(sql::<BigInt>(&of_variants("max(price_minor)"))),
            products::skus.eq(sql::<Text>(&of_variants("coalesce(string_agg(sku, ' ' ORDER BY position, id), '')"))),
            products::version.eq(products::version + 1),
            products::updated_at.eq(now),
        ))
        .execute(conn)
        .await
}
