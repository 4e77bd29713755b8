//! `order_timeline`.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::OrderId;

use super::{TimelineEntry, TimelineRow};
use crate::schema::order_timeline as timeline;

/// Adds a change.
pub async fn append(conn: &mut AsyncPgConnection, entry: &TimelineEntry<'_>) -> QueryResult<usize> {
    diesel::insert_into(timeline::table)
        .values((
            timeline::order_id.eq(entry.order.uuid()),
            timeline::at.eq(entry.at),
            timeline::from_status.eq(entry.from.map(|status| status.as_str())),
            timeline::to_status.eq(entry.to.as_str()),
            timeline::event.eq(entry.event),
            timeline::actor.eq(entry.actor.kind()),
            timeline::actor_id.eq(entry.actor.user().map(|user| user.uuid())),
            timeline::reason.eq(entry.reason),
        ))
        .execute(conn)
        .await
}

/// Up to `limit` changes of an order, the first ones first, after the one with the id `after`.
pub async fn page(
    conn: &mut AsyncPgConnection,
    order: OrderId,
    after: i64,
    limit: i64,
) -> QueryResult<Vec<TimelineRow>> {
    timeline::table
        .filter(timeline::order_id.eq(order.uuid()))
        .filter(timeline::id.gt(after))
        .order(timeline::id)
        .limit(limit)
        .select(TimelineRow::as_select())
        .load(conn)
        .await
}
