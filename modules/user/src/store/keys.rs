//! Signing keys. Times are the database's.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Binary, Double, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;

use crate::schema::signing_keys;

#[derive(QueryableByName)]
pub struct SigningKeyRow {
    #[diesel(sql_type = Text)]
    pub kid: String,
    #[diesel(sql_type = Binary)]
    pub private_key_encrypted: Vec<u8>,
    #[diesel(sql_type = Binary)]
    pub public_key: Vec<u8>,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub signs_from: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub retired_at: Option<DateTime<Utc>>,
    /// Seconds until it signs; below zero when it has begun.
    #[diesel(sql_type = Double)]
    pub signs_in: f64,
    /// Seconds until it signs no more.
    #[diesel(sql_type = Nullable<Double>)]
    pub retires_in: Option<f64>,
}

impl SigningKeyRow {
    /// Whether it has not signed its last.
    pub fn may_sign(&self) -> bool {
        self.retires_in.is_none_or(|seconds| seconds > 0.0)
    }
}

#[derive(Insertable)]
#[diesel(table_name = signing_keys)]
pub struct NewSigningKey {
    pub kid: String,
    pub private_key_encrypted: Vec<u8>,
    pub public_key: Vec<u8>,
}

/// Lets one transaction at a time decide who signs next. The number is `signkeys` in ASCII.
pub async fn lock(conn: &mut AsyncPgConnection) -> QueryResult<usize> {
    sql_query("SELECT pg_advisory_xact_lock(8316291910862207347)").execute(conn).await
}

/// The keys but those that retired more than `kept` ago, a successor after its predecessor.
pub async fn shown(conn: &mut AsyncPgConnection, kept: Duration) -> QueryResult<Vec<SigningKeyRow>> {
    let query = sql_query(
        "SELECT *, extract(epoch FROM signs_from - clock_timestamp())::float8 AS signs_in, \
                extract(epoch FROM retired_at - clock_timestamp())::float8 AS retires_in \
         FROM signing_keys WHERE retired_at IS NULL OR retired_at > clock_timestamp() - make_interval(secs => $1) \
         ORDER BY signs_from, created_at",
    )
    .bind::<Double, _>(kept.as_secs_f64());
    prepared(query).load(conn).await
}

/// Adds a key that signs from a time on, or from now; `None` when there is one that is not retired.
pub async fn insert(
    conn: &mut AsyncPgConnection,
    key: &NewSigningKey,
    signs_from: Option<DateTime<Utc>>,
) -> QueryResult<Option<DateTime<Utc>>> {
    diesel::insert_into(signing_keys::table)
        .values((key, signs_from.map(|at| signing_keys::signs_from.eq(at))))
        .on_conflict_do_nothing()
        .returning(signing_keys::signs_from)
        .single(conn)
        .await
        .optional()
}

/// Has a key sign its last in a while, and says when.
pub async fn retire(conn: &mut AsyncPgConnection, kid: &str, after: Duration) -> QueryResult<DateTime<Utc>> {
    #[derive(QueryableByName)]
    struct Retired {
        #[diesel(sql_type = Timestamptz)]
        retired_at: DateTime<Utc>,
    }
    let query = sql_query(
        "UPDATE signing_keys SET retired_at = clock_timestamp() + make_interval(secs => $1) WHERE kid = $2 \
         RETURNING retired_at",
    )
    .bind::<Double, _>(after.as_secs_f64())
    .bind::<Text, _>(kid);
    query.single::<Retired>(conn).await.map(|row| row.retired_at)
}

/// Has a key sign now, and on.
pub async fn go_on(conn: &mut AsyncPgConnection, kid: &str) -> QueryResult<usize> {
    sql_query(
        "UPDATE signing_keys SET retired_at = NULL, signs_from = least(signs_from, clock_timestamp()) WHERE kid = $1",
    )
    .bind::<Text, _>(kid)
    .execute(conn)
    .await
}

pub async fn delete(conn: &mut AsyncPgConnection, kid: &str) -> QueryResult<usize> {
    diesel::delete(signing_keys::table.find(kid)).execute(conn).await
}

/// Deletes keys that retired more than `kept` ago.
pub async fn sweep(conn: &mut AsyncPgConnection, kept: Duration) -> QueryResult<usize> {
    sql_query("DELETE FROM signing_keys WHERE retired_at <= clock_timestamp() - make_interval(secs => $1)")
        .bind::<Double, _>(kept.as_secs_f64())
        .execute(conn)
        .await
}
