//! Address books.

use chrono::{DateTime, Utc};
use diesel::dsl::{count_star, now};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use uuid::Uuid;

use crate::schema::addresses;

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = addresses)]
pub struct Address {
    pub id: Uuid,
    pub name: String,
    pub line1: String,
    pub line2: Option<String>,
    pub city: String,
    pub region: Option<String>,
    pub postal_code: String,
    pub country: String,
    pub phone: Option<String>,
    pub is_default: bool,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = addresses)]
pub struct NewAddress {
    pub id: Uuid,
    pub user_id: Uuid,
    pub name: String,
    pub line1: String,
    pub line2: Option<String>,
    pub city: String,
    pub region: Option<String>,
    pub postal_code: String,
    pub country: String,
    pub phone: Option<String>,
    pub is_default: bool,
}

/// What changes; `None` leaves a field as it is.
#[derive(AsChangeset, Default)]
#[diesel(table_name = addresses)]
pub struct AddressChange {
    pub name: Option<String>,
    pub line1: Option<String>,
    pub line2: Option<Option<String>>,
    pub city: Option<String>,
    pub region: Option<Option<String>>,
    pub postal_code: Option<String>,
    pub country: Option<String>,
    pub phone: Option<Option<String>>,
    pub is_default: Option<bool>,
}

pub async fn insert(conn: &mut AsyncPgConnection, address: &NewAddress) -> QueryResult<Address> {
    diesel::insert_into(addresses::table).values(address).returning(Address::as_returning()).single(conn).await
}

pub async fn of(conn: &mut AsyncPgConnection, user_id: Uuid, id: Uuid) -> QueryResult<Option<Address>> {
    addresses::table
        .find(id)
        .filter(addresses::user_id.eq(user_id))
        .select(Address::as_select())
        .first(conn)
        .await
        .optional()
}

/// How many an account has.
pub async fn count(conn: &mut AsyncPgConnection, user_id: Uuid) -> QueryResult<i64> {
    addresses::table.filter(addresses::user_id.eq(user_id)).select(count_star()).single(conn).await
}

/// An account's addresses, oldest first, those after `after`.
pub async fn list(
    conn: &mut AsyncPgConnection,
    user_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> QueryResult<Vec<Address>> {
    addresses::table
        .filter(addresses::user_id.eq(user_id))
        .filter(addresses::id.gt(after.unwrap_or_default()))
        .order(addresses::id)
        .limit(limit)
        .select(Address::as_select())
        .load(conn)
        .await
}

pub async fn change(conn: &mut AsyncPgConnection, id: Uuid, change: &AddressChange) -> QueryResult<Address> {
    diesel::update(addresses::table.find(id))
        .set((change, addresses::version.eq(addresses::version + 1), addresses::updated_at.eq(now)))
        .returning(Address::as_returning())
        .single(conn)
        .await
}

/// Makes the default address of an account an ordinary one.
pub async fn clear_default(conn: &mut AsyncPgConnection, user_id: Uuid) -> QueryResult<usize> {
    diesel::update(addresses::table)
        .filter(addresses::user_id.eq(user_id))
        .filter(addresses::is_default)
        .set((
            addresses::is_default.eq(false),
            addresses::version.eq(addresses::version + 1),
            addresses::updated_at.eq(now),
        ))
        .execute(conn)
        .await
}

/// Makes the newest address of an account the default, if there is one.
pub async fn make_newest_default(conn: &mut AsyncPgConnection, user_id: Uuid) -> QueryResult<usize> {
    let newest = list_newest(conn, user_id).await?;
    diesel::update(addresses::table)
        .filter(addresses::id.eq_any(newest))
        .set((
            addresses::is_default.eq(true),
            addresses::version.eq(addresses::version + 1),
            addresses::updated_at.eq(now),
        ))
        .execute(conn)
        .await
}

async fn list_newest(conn: &mut AsyncPgConnection, user_id: Uuid) -> QueryResult<Option<Uuid>> {
    addresses::table
        .filter(addresses::user_id.eq(user_id))
        .order(addresses::id.desc())
        .select(addresses::id)
        .first(conn)
        .await
        .optional()
}

pub async fn delete(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<usize> {
    diesel::delete(addresses::table.find(id)).execute(conn).await
}

pub async fn delete_all(conn: &mut AsyncPgConnection, user_id: Uuid) -> QueryResult<usize> {
    diesel::delete(addresses::table).filter(addresses::user_id.eq(user_id)).execute(conn).await
}
