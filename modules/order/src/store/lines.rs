//! `order_lines`, always in batches.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::OrderId;
use eshopz_platform::prepared::{is_one_of, prepared};
use uuid::Uuid;

use super::LineRow;
use crate::domain::QuotedLine;
use crate::schema::order_lines;

/// Writes the lines of an order in one statement, however many they are.
pub async fn insert_lines(conn: &mut AsyncPgConnection, order: OrderId, lines: &[QuotedLine]) -> QueryResult<usize> {
    let column = |of: fn(&QuotedLine) -> Uuid| lines.iter().map(of).collect::<Vec<_>>();
    let texts = |of: fn(&QuotedLine) -> &str| lines.iter().map(of).collect::<Vec<_>>();
    let optional = |of: fn(&QuotedLine) -> Option<&str>| lines.iter().map(of).collect::<Vec<_>>();
    let numbers = |of: fn(&QuotedLine) -> i64| lines.iter().map(of).collect::<Vec<_>>();
    prepared(
        sql_query(
            "INSERT INTO order_lines (order_id, position, variant_id, product_id, sku, title, variant_title, \
                image_url, quantity, unit_price_minor, line_total_minor, taxable) \
             SELECT $1, l.position, l.variant_id, l.product_id, l.sku, l.title, l.variant_title, l.image_url, \
                l.quantity, l.price, l.total, l.taxable \
             FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], \
                $9::bigint[], $10::bigint[], $11::boolean[]) WITH ORDINALITY \
                AS l (variant_id, product_id, sku, title, variant_title, image_url, quantity, price, total, taxable, \
                    position)",
        )
        .bind::<SqlUuid, _>(order.uuid())
        .bind::<Array<SqlUuid>, _>(column(|line| line.variant.id.uuid()))
        .bind::<Array<SqlUuid>, _>(column(|line| line.variant.product_id.uuid()))
        .bind::<Array<Nullable<Text>>, _>(optional(|line| line.variant.sku.as_deref()))
        .bind::<Array<Text>, _>(texts(|line| &line.variant.title))
        .bind::<Array<Text>, _>(texts(|line| &line.variant.variant_title))
        .bind::<Array<Nullable<Text>>, _>(optional(|line| line.variant.image_url.as_deref()))
        .bind::<Array<BigInt>, _>(numbers(|line| line.quantity))
        .bind::<Array<BigInt>, _>(numbers(|line| line.variant.price.amount))
        .bind::<Array<BigInt>, _>(numbers(|line| line.line_total))
        .bind::<Array<Bool>, _>(lines.iter().map(|line| line.variant.taxable).collect::<Vec<_>>()),
    )
    .execute(conn)
    .await
}

/// The lines of these orders, each order's in their order.
pub async fn lines_of(mut conn: &AsyncPgConnection, orders: &[Uuid]) -> QueryResult<Vec<LineRow>> {
    let lines = order_lines::table
        .filter(is_one_of("order_lines.order_id", orders))
        .order((order_lines::order_id, order_lines::position))
        .select(LineRow::as_select());
    prepared(lines).load(&mut conn).await
}
