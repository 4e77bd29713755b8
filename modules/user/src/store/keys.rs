//! Signing keys.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::schema::signing_keys;

#[derive(Queryable, Selectable)]
#[diesel(table_name = signing_keys)]
pub struct SigningKeyRow {
    pub kid: String,
    pub private_key_encrypted: Vec<u8>,
    pub public_key: Vec<u8>,
    pub retired_at: Option<DateTime<Utc>>,
}

#[derive(Insertable)]
#[diesel(table_name = signing_keys)]
pub struct NewSigningKey {
    pub kid: String,
    pub private_key_encrypted: Vec<u8>,
    pub public_key: Vec<u8>,
}

/// The active key and those that were retired less than `kept` ago.
pub async fn current(conn: &mut AsyncPgConnection, kept: Duration) -> QueryResult<Vec<SigningKeyRow>> {
    let since = Utc::now() - kept;
    signing_keys::table
        .filter(signing_keys::retired_at.is_null().or(signing_keys::retired_at.gt(since)))
        .order(signing_keys::created_at.desc())
        .select(SigningKeyRow::as_select())
        .load(conn)
        .await
}

/// Adds an active key, unless there is one.
pub async fn insert_unless_active(conn: &mut AsyncPgConnection, key: &NewSigningKey) -> QueryResult<usize> {
    diesel::insert_into(signing_keys::table).values(key).on_conflict_do_nothing().execute(conn).await
}
