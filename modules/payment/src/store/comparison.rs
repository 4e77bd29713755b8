//! Statements that find what we know of the gateway's charges.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::columns::StatusColumn;
use crate::domain::TransactionStatus;
use crate::gateway::{GatewayCharge, Sought};

/// What we know of a charge of the gateway's.
#[derive(Clone, Debug, QueryableByName)]
pub struct KnownCharge {
    #[diesel(sql_type = Text)]
    pub reference: String,
    /// How the attempt that made it went here; none when no attempt is known.
    #[diesel(sql_type = Nullable<Text>)]
    pub attempt: Option<TransactionStatus>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub payment_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    pub status: Option<StatusColumn>,
    /// The payment is secured by this very charge.
    #[diesel(sql_type = Bool)]
    pub rests: bool,
    #[diesel(sql_type = BigInt)]
    pub captured_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub refunded_minor: i64,
    /// Something about the payment is on its way.
    #[diesel(sql_type = Bool)]
    pub moving: bool,
}

/// What we know of each of these charges.
pub async fn known(conn: &mut AsyncPgConnection, charges: &[GatewayCharge]) -> QueryResult<Vec<KnownCharge>> {
    let references: Vec<&str> = charges.iter().map(|charge| charge.reference.as_str()).collect();
    let attempts: Vec<Option<Uuid>> = charges.iter().map(|charge| charge.attempt).collect();
    let payments: Vec<Option<Uuid>> = charges.iter().map(|charge| charge.payment_id.map(|id| id.uuid())).collect();
    sql_query(
        "SELECT c.reference, t.status AS attempt, p.id AS payment_id, p.status, \
                p.gateway_reference IS NOT DISTINCT FROM c.reference AS rests, \
                coalesce(p.captured_minor, 0) AS captured_minor, coalesce(p.refunded_minor, 0) AS refunded_minor, \
                EXISTS (SELECT FROM transactions w WHERE w.payment_id = p.id AND w.status IN ('pending', 'surplus')) \
                    AS moving \
         FROM unnest($1, $2, $3) AS c (reference, attempt, payment) \
         LEFT JOIN LATERAL ( \
            SELECT x.payment_id, x.status FROM transactions x \
            WHERE (x.id = c.attempt OR x.gateway_reference = c.reference) AND x.kind IN ('charge', 'authorization') \
            ORDER BY x.id IS NOT DISTINCT FROM c.attempt DESC, x.created_at LIMIT 1) t ON true \
         LEFT JOIN payments p ON p.id = coalesce(t.payment_id, c.payment)",
    )
    .bind::<Array<Text>, _>(references)
    .bind::<Array<Nullable<SqlUuid>>, _>(attempts)
    .bind::<Array<Nullable<SqlUuid>>, _>(payments)
    .load(conn)
    .await
}

/// A charge that the gateway should know.
#[derive(Clone, Debug, QueryableByName)]
pub struct OwnCharge {
    /// The key it was made under.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub payment_id: Uuid,
    #[diesel(sql_type = Text)]
    pub reference: String,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    /// The database's time.
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
}

impl OwnCharge {
    /// As the gateway is asked about it.
    #[must_use]
    pub fn sought(&self) -> Sought {
        Sought {
            idempotency_key: self.id,
            reference: Some(self.reference.clone()),
            created_at: self.created_at,
            age: self.now - self.created_at,
        }
    }
}

/// Our charges since a moment that the gateway has named, in the order of their ids, after one of them.
pub async fn own(
    conn: &mut AsyncPgConnection,
    gateway: &str,
    since: DateTime<Utc>,
    after: Uuid,
    limit: i64,
) -> QueryResult<Vec<OwnCharge>> {
    sql_query(
        "SELECT t.id, t.payment_id, t.gateway_reference AS reference, t.created_at, now() AS now \
         FROM transactions t JOIN payments p ON p.id = t.payment_id AND p.gateway = $1 \
         WHERE t.id > $3 AND t.created_at >= $2 AND t.kind IN ('charge', 'authorization') \
            AND t.gateway_reference IS NOT NULL ORDER BY t.id LIMIT $4",
    )
    .bind::<Text, _>(gateway)
    .bind::<Timestamptz, _>(since)
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await
}
