//! Exports of what is held on a person, and the parts that the modules hand over.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Bool, Double, Integer, Jsonb, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::prepared::prepared;
use eshopz_user_api::ExportPart;
use serde_json::Value;
use uuid::Uuid;

use crate::schema::{export_parts, exports};

/// The export that an account waits for.
pub async fn of_user(conn: &mut AsyncPgConnection, user: Uuid) -> QueryResult<Option<Uuid>> {
    exports::table.filter(exports::user_id.eq(user)).select(exports::id).first(conn).await.optional()
}

pub async fn insert(conn: &mut AsyncPgConnection, id: Uuid, user: Uuid) -> QueryResult<usize> {
    diesel::insert_into(exports::table).values((exports::id.eq(id), exports::user_id.eq(user))).execute(conn).await
}

/// Whether there is such an export still; it is not removed before the transaction ends.
pub async fn lock(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<bool> {
    let found: Option<Uuid> = exports::table.find(id).select(exports::id).for_update().first(conn).await.optional()?;
    Ok(found.is_some())
}

/// Takes a part in, over the same one if it is there; none of an export that is gone.
pub async fn put(conn: &mut AsyncPgConnection, part: &ExportPart, number: i32) -> QueryResult<usize> {
    let put = sql_query(
        "INSERT INTO export_parts (export_id, module, number, is_last, document) \
         SELECT id, $2, $3, $4, $5 FROM exports WHERE id = $1 FOR KEY SHARE \
         ON CONFLICT (export_id, module, number) DO UPDATE SET is_last = excluded.is_last, document = excluded.document",
    )
    .bind::<SqlUuid, _>(part.export_id)
    .bind::<Text, _>(&part.module)
    .bind::<Integer, _>(number)
    .bind::<Bool, _>(part.is_last)
    .bind::<Jsonb, _>(&part.document);
    prepared(put).execute(conn).await
}

#[derive(QueryableByName)]
struct Complete {
    #[diesel(sql_type = Text)]
    module: String,
}

/// The modules of which every part is there.
pub async fn complete(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Vec<String>> {
    let query = sql_query(
        "SELECT module FROM export_parts WHERE export_id = $1 GROUP BY module \
         HAVING count(*) = max(number) FILTER (WHERE is_last) + 1",
    )
    .bind::<SqlUuid, _>(id);
    let complete: Vec<Complete> = prepared(query).load(conn).await?;
    Ok(complete.into_iter().map(|one| one.module).collect())
}

/// The parts, each module's in their order.
pub async fn parts(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Vec<(String, Value)>> {
    export_parts::table
        .filter(export_parts::export_id.eq(id))
        .order((export_parts::module, export_parts::number))
        .select((export_parts::module, export_parts::document))
        .load(conn)
        .await
}

/// Removes an export with its parts.
pub async fn delete(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<usize> {
    diesel::delete(exports::table.find(id)).execute(conn).await
}

/// Removes an account's export with its parts.
pub async fn delete_of(conn: &mut AsyncPgConnection, user: Uuid) -> QueryResult<usize> {
    diesel::delete(exports::table.filter(exports::user_id.eq(user))).execute(conn).await
}

/// Removes exports that nobody has fetched for so long.
pub async fn sweep(conn: &mut AsyncPgConnection, kept: Duration) -> QueryResult<usize> {
    sql_query("DELETE FROM exports WHERE requested_at < now() - make_interval(secs => $1)")
        .bind::<Double, _>(kept.as_secs_f64())
        .execute(conn)
        .await
}
