//! Statements on the category tree.

use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::rows::Category;
use crate::schema::categories;

/// A category to be made.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = categories)]
pub struct NewCategory {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub parent_id: Option<Uuid>,
    pub position: i32,
}

/// What of a category is to be changed; `None` leaves it as it is.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = categories)]
pub struct CategoryChanges {
    pub slug: Option<String>,
    pub name: Option<String>,
    pub parent_id: Option<Option<Uuid>>,
    pub position: Option<i32>,
}

const SELECT: &str = "SELECT c.id, c.slug, c.name, p.slug AS parent, c.position, c.version \
    FROM categories c LEFT JOIN categories p ON p.id = c.parent_id";

/// The categories after a position, by position and slug; of one parent, if one is given.
pub async fn list(
    conn: &mut AsyncPgConnection,
    parent: Option<&str>,
    after: Option<&(i32, String)>,
    limit: i64,
) -> QueryResult<Vec<Category>> {
    let (position, slug) = after.map_or((None, None), |(position, slug)| (Some(*position), Some(slug.as_str())));
    prepared(
        sql_query(format!(
            "{SELECT} WHERE ($1 IS NULL OR p.slug = $1) AND ($2 IS NULL OR (c.position, c.slug) > ($2, $3)) \
             ORDER BY c.position, c.slug LIMIT $4"
        ))
        .bind::<Nullable<Text>, _>(parent)
        .bind::<Nullable<Integer>, _>(position)
        .bind::<Nullable<Text>, _>(slug)
        .bind::<BigInt, _>(limit),
    )
    .load(conn)
    .await
}

/// A category by its slug.
pub async fn by_slug(conn: &mut AsyncPgConnection, slug: &str) -> QueryResult<Option<Category>> {
    prepared(sql_query(format!("{SELECT} WHERE c.slug = $1")).bind::<Text, _>(slug)).single(conn).await.optional()
}

/// The same, locked until the end of the transaction.
pub async fn lock(conn: &mut AsyncPgConnection, slug: &str) -> QueryResult<Option<Category>> {
    prepared(sql_query(format!("{SELECT} WHERE c.slug = $1 FOR UPDATE OF c")).bind::<Text, _>(slug))
        .single(conn)
        .await
        .optional()
}

/// The id of a category, which then stays at least until the end of the transaction.
pub async fn id_of(conn: &mut AsyncPgConnection, slug: &str) -> QueryResult<Option<Uuid>> {
    categories::table
        .filter(categories::slug.eq(slug))
        .for_key_share()
        .select(categories::id)
        .first(conn)
        .await
        .optional()
}

/// The ids of a category and all below it; none when there is no such category.
pub async fn subtree(conn: &mut AsyncPgConnection, slug: &str) -> QueryResult<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Node {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let nodes: Vec<Node> = prepared(
        sql_query(
            "WITH RECURSIVE tree AS ( \
                SELECT id FROM categories WHERE slug = $1 \
                UNION \
                SELECT c.id FROM categories c JOIN tree t ON c.parent_id = t.id) \
             SELECT id FROM tree",
        )
        .bind::<Text, _>(slug),
    )
    .load(conn)
    .await?;
    Ok(nodes.into_iter().map(|node| node.id).collect())
}

/// Makes those who move categories wait for each other until the end of the transaction: two moves
/// that are fine one by one could make a circle together.
pub async fn lock_tree(conn: &mut AsyncPgConnection) -> QueryResult<usize> {
    prepared(sql_query("SELECT pg_advisory_xact_lock(hashtext('products.categories'))")).execute(conn).await
}

/// Whether `id` is `node` or above it.
pub async fn is_at_or_above(conn: &mut AsyncPgConnection, id: Uuid, node: Uuid) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Bool)]
        found: bool,
    }
    let found: Found = prepared(
        sql_query(
            "WITH RECURSIVE line AS ( \
                SELECT id, parent_id FROM categories WHERE id = $2 \
                UNION \
                SELECT c.id, c.parent_id FROM categories c JOIN line l ON c.id = l.parent_id) \
             SELECT EXISTS (SELECT FROM line WHERE id = $1) AS found",
        )
        .bind::<SqlUuid, _>(id)
        .bind::<SqlUuid, _>(node),
    )
    .single(conn)
    .await?;
    Ok(found.found)
}

/// Makes a category.
pub async fn insert(conn: &mut AsyncPgConnection, new: &NewCategory) -> QueryResult<usize> {
    diesel::insert_into(categories::table).values(new).execute(conn).await
}

/// Changes a category that is locked. Its version rises.
pub async fn update(conn: &mut AsyncPgConnection, id: Uuid, changes: &CategoryChanges) -> QueryResult<usize> {
    diesel::update(categories::table.find(id))
        .set((changes, categories::version.eq(categories::version + 1), categories::updated_at.eq(now)))
        .execute(conn)
        .await
}

/// Removes a category. Breaks a foreign key when it has products or children.
pub async fn delete(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<usize> {
    diesel::delete(categories::table.find(id)).execute(conn).await
}
