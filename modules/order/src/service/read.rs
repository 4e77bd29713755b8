//! Looking at orders. What they show of a payment is asked for at that moment, once for all of them.

use std::collections::HashMap;
use std::str::FromStr;

use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use eshopz_kernel::{Cursor, Fault, OrderId, Page, UserId};
use eshopz_payment_api::PaymentSummary;
use uuid::Uuid;

use super::{OrderService, no_payment_yet};
use crate::domain::{Actor, OrderStatus, Viewer};
use crate::error::OrderError;
use crate::store::{self, LineRow, OrderFilter, OrderRow, RefundRow, TimelineRow, Whole};

/// An order with what is shown of it.
#[derive(Clone, Debug)]
pub struct OrderDetails {
    pub order: OrderRow,
    pub lines: Vec<LineRow>,
    /// What went back to the payer, or is about to.
    pub refunds: Vec<RefundRow>,
    pub payment: PaymentSummary,
}

/// An order by its id or by its number.
#[derive(Clone, Debug)]
pub enum OrderRef {
    Id(OrderId),
    Number(String),
}

/// The text is neither.
#[derive(Debug, thiserror::Error)]
#[error("an order is named by its id or by its number, such as EZ-100042")]
pub struct NotAnOrderRef;

impl FromStr for OrderRef {
    type Err = NotAnOrderRef;

    fn from_str(text: &str) -> Result<Self, NotAnOrderRef> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let number = text.to_ascii_uppercase();
        let is_number = number
            .strip_prefix("EZ-")
            .is_some_and(|digits| (1..=19).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()));
        if is_number { Ok(Self::Number(number)) } else { Err(NotAnOrderRef) }
    }
}

impl OrderService {
    /// An order, and as whom the viewer may act on it.
    ///
    /// # Errors
    /// 404 when it is absent or none of the viewer's business.
    pub async fn visible(&self, name: &OrderRef, viewer: &Viewer) -> Result<(OrderRow, Actor), OrderError> {
        let mut conn = self.db.conn().await?;
        let found = match name {
            OrderRef::Id(id) => store::by_id(&mut conn, *id).await?,
            OrderRef::Number(number) => store::by_number(&mut conn, number).await?,
        };
        let order = found.ok_or(OrderError::NotFound("order"))?;
        let actor = viewer.acting_on(order.customer(), order.token_hash.as_deref());
        Ok((order, actor.ok_or(OrderError::NotFound("order"))?))
    }

    /// One order as it is shown. An order whose payment is secured is paid, even if the payment's event is
    /// still on its way: a payer who confirms and then looks must see it.
    ///
    /// # Errors
    /// Those of the database, the payment module, and for a payment that came just now the product module.
    pub async fn detail(&self, order: OrderRow) -> Result<OrderDetails, OrderError> {
        let payments = self.payments_of(std::slice::from_ref(&order));
        let ((lines, refunds), mut payments) = futures::try_join!(self.parts_of(&order), payments)?;
        let payment = payments.remove(&order.order_id()).unwrap_or_else(|| no_payment_yet(&order));
        self.settled_if_owed(OrderDetails { order, lines, refunds, payment }).await
    }

    async fn settled_if_owed(&self, mut details: OrderDetails) -> Result<OrderDetails, OrderError> {
        if owes_settling(&details.order, &details.payment) {
            details.order = self.settle(details.order.order_id(), None).await?;
        }
        Ok(details)
    }

    /// The same for whoever may see it, by one statement beside the payment's.
    ///
    /// # Errors
    /// Those of both.
    pub async fn shown(&self, name: &OrderRef, viewer: &Viewer) -> Result<OrderDetails, OrderError> {
        let found = {
            let mut conn = self.db.conn().await?;
            match name {
                OrderRef::Id(id) => store::whole_by_id(&mut conn, *id).await?,
                OrderRef::Number(number) => store::whole_by_number(&mut conn, number).await?,
            }
        };
        let Whole { order, lines, refunds } = found.ok_or(OrderError::NotFound("order"))?;
        if viewer.acting_on(order.customer(), order.token_hash.as_deref()).is_none() {
            return Err(OrderError::NotFound("order"));
        }
        let mut payments = self.payments_of(std::slice::from_ref(&order)).await?;
        let payment = payments.remove(&order.order_id()).unwrap_or_else(|| no_payment_yet(&order));
        self.settled_if_owed(OrderDetails { order, lines, refunds, payment }).await
    }

    /// What an order is of, and what went back of its payment.
    pub(super) async fn parts_of(&self, order: &OrderRow) -> Result<(Vec<LineRow>, Vec<RefundRow>), OrderError> {
        let conn = self.db.conn().await?;
        Ok(parts(&conn, &[order.id]).await?)
    }

    /// A page of orders, which a reader may answer. The lines come over the same connection: another one
    /// may lead to a replica that has less.
    ///
    /// # Errors
    /// Those of the database and the payment module.
    pub async fn list(&self, filter: &OrderFilter, limit: usize) -> Result<Page<OrderDetails>, OrderError> {
        let (page, parts) = {
            let mut conn = self.db.read_conn().await?;
            let rows = store::list(&mut conn, filter, one_more(limit)).await?;
            let page = Page::from_rows(rows, limit, |row| (filter.sort, row.placed_at, row.id), |row| row);
            let ids: Vec<Uuid> = page.items.iter().map(|order| order.id).collect();
            let parts = parts(&conn, &ids).await?;
            (page, parts)
        };
        let payments = self.payments_of(&page.items).await?;
        Ok(Page { items: self.put_together(page.items, parts, payments).await, next_cursor: page.next_cursor })
    }

    /// As [`Self::detail`] does it for one; here, what cannot be settled now does not stand in the way.
    async fn put_together(
        &self,
        orders: Vec<OrderRow>,
        (lines, refunds): (Vec<LineRow>, Vec<RefundRow>),
        mut payments: HashMap<OrderId, PaymentSummary>,
    ) -> Vec<OrderDetails> {
        let mut by_order = HashMap::<Uuid, Vec<LineRow>>::new();
        for line in lines {
            by_order.entry(line.order_id).or_default().push(line);
        }
        let mut refunds_by_order = HashMap::<Uuid, Vec<RefundRow>>::new();
        for refund in refunds {
            refunds_by_order.entry(refund.order_id).or_default().push(refund);
        }
        let mut details = Vec::with_capacity(orders.len());
        for mut order in orders {
            let payment = payments.remove(&order.order_id()).unwrap_or_else(|| no_payment_yet(&order));
            if owes_settling(&order, &payment) {
                match self.settle(order.order_id(), None).await {
                    Ok(settled) => order = settled,
                    Err(error) => tracing::warn!(order = %order.number, %error, "paid, but not noted yet"),
                }
            }
            let lines = by_order.remove(&order.id).unwrap_or_default();
            let refunds = refunds_by_order.remove(&order.id).unwrap_or_default();
            details.push(OrderDetails { order, lines, refunds, payment });
        }
        details
    }

    /// A page of an order's changes. A reader may answer it, but not without the last of them.
    ///
    /// # Errors
    /// 422 `invalid_cursor`; those of the database.
    pub async fn timeline(
        &self,
        order: &OrderRow,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<TimelineRow>, OrderError> {
        let after: i64 = cursor.map(Cursor::decode).transpose()?.unwrap_or(0);
        let (id, wanted) = (order.order_id(), one_more(limit));
        let read = {
            let mut conn = self.db.read_conn().await?;
            store::page(&mut conn, id, after, wanted).await?
        };
        // Rows are only ever added at the end, and each changes the order at its moment.
        let whole = read.len() > limit || read.last().is_some_and(|row| row.at >= order.updated_at);
        let rows = if whole {
            read
        } else {
            let mut conn = self.db.conn().await?;
            store::page(&mut conn, id, after, wanted).await?
        };
        Ok(Page::from_rows(rows, limit, |row| row.id, |row| row))
    }

    /// The filter that a viewer may use: admins any, others their own orders.
    ///
    /// # Errors
    /// 403 when another asks for what only admins may.
    pub fn permitted(user: UserId, admin: bool, filter: OrderFilter) -> Result<OrderFilter, OrderError> {
        if admin {
            return Ok(filter);
        }
        if filter.email.is_some() || filter.customer.is_some() {
            return Err(OrderError::AdminFilter);
        }
        Ok(OrderFilter { customer: Some(user.uuid()), ..filter })
    }
}

/// Lines and refunds, in one round trip.
async fn parts(conn: &AsyncPgConnection, orders: &[Uuid]) -> QueryResult<(Vec<LineRow>, Vec<RefundRow>)> {
    futures::try_join!(store::lines_of(conn, orders), store::refunds_of(conn, orders))
}

/// Its payment is secured and it does not know yet.
fn owes_settling(order: &OrderRow, payment: &PaymentSummary) -> bool {
    order.status == OrderStatus::PendingPayment && payment.status.is_secured()
}

pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(100).saturating_add(1)
}

/// Reads where a list goes on; the cursor of a list in another order is none of this one.
///
/// # Errors
/// 422 `invalid_cursor`.
pub fn position(cursor: &str, sort: store::OrderSort) -> Result<store::Position, Fault> {
    let (sorted, at, id) = Cursor::decode(cursor)?;
    if sort != sorted {
        return Err(Fault::field("/cursor", "invalid_cursor", "is a cursor of another order of this list"));
    }
    Ok(store::Position { at: Cursor::time(at)?, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_named_in_two_ways() {
        assert!(matches!("EZ-100042".parse(), Ok(OrderRef::Number(number)) if number == "EZ-100042"));
        assert!(matches!("ez-7".parse(), Ok(OrderRef::Number(number)) if number == "EZ-7"));
        assert!(matches!(OrderId::new().to_string().parse(), Ok(OrderRef::Id(_))));
        for bad in ["", "EZ-", "EZ-1x", "100042", "EZ-99999999999999999999", "EZ-1\0"] {
            assert!(bad.parse::<OrderRef>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_cursor_belongs_to_its_order() {
        let cursor = Cursor::encode(&(store::OrderSort::Newest, chrono::Utc::now(), Uuid::nil()));
        assert!(position(&cursor, store::OrderSort::Newest).is_ok());
        assert!(position(&cursor, store::OrderSort::Oldest).is_err());
        assert!(position("nonsense", store::OrderSort::Newest).is_err());
        let ancient =
            Cursor::encode(&(store::OrderSort::Newest, chrono::DateTime::<chrono::Utc>::MIN_UTC, Uuid::nil()));
        assert!(position(&ancient, store::OrderSort::Newest).is_err());
    }
}
