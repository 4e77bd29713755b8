//! Looking at orders. What they show of a payment is asked for at that moment, once for all of them.

use std::collections::HashMap;
use std::str::FromStr;

use eshopz_kernel::{Cursor, Fault, OrderId, Page, UserId};
use eshopz_payment_api::PaymentSummary;
use uuid::Uuid;

use super::{OrderService, no_payment_yet};
use crate::domain::{Actor, OrderStatus, Viewer};
use crate::error::OrderError;
use crate::store::{self, LineRow, OrderFilter, OrderRow, TimelineRow};

/// An order with what is shown of it.
#[derive(Clone, Debug)]
pub struct OrderDetails {
    pub order: OrderRow,
    pub lines: Vec<LineRow>,
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

    /// Orders as they are shown. An order whose payment is secured is paid, even if the payment's event
    /// is still on its way: a payer who confirms and then looks must see it.
    ///
    /// # Errors
    /// Those of the database and the payment module.
    pub async fn details(&self, mut orders: Vec<OrderRow>) -> Result<Vec<OrderDetails>, OrderError> {
        let ids: Vec<Uuid> = orders.iter().map(|order| order.id).collect();
        let (lines, mut payments) = futures::try_join!(self.lines_of(&ids), self.payments_of(&orders))?;
        for order in &mut orders {
            let secured = payments.get(&order.order_id()).is_some_and(|payment| payment.status.is_secured());
            if secured && order.status == OrderStatus::PendingPayment {
                match self.settle(order.order_id(), None).await {
                    Ok(settled) => *order = settled,
                    Err(error) => tracing::warn!(order = %order.number, %error, "paid, but not noted yet"),
                }
            }
        }
        let mut by_order = HashMap::<Uuid, Vec<LineRow>>::new();
        for line in lines {
            by_order.entry(line.order_id).or_default().push(line);
        }
        let detailed = orders.into_iter().map(|order| {
            let payment = payments.remove(&order.order_id()).unwrap_or_else(|| no_payment_yet(&order));
            OrderDetails { lines: by_order.remove(&order.id).unwrap_or_default(), payment, order }
        });
        Ok(detailed.collect())
    }

    /// One order as it is shown.
    ///
    /// # Errors
    /// Those of the database and the payment module.
    pub async fn detail(&self, order: OrderRow) -> Result<OrderDetails, OrderError> {
        self.details(vec![order]).await?.pop().ok_or(OrderError::NotFound("order"))
    }

    async fn lines_of(&self, ids: &[Uuid]) -> Result<Vec<LineRow>, OrderError> {
        let mut conn = self.db.conn().await?;
        Ok(store::lines_of(&mut conn, ids).await?)
    }

    /// A page of orders.
    ///
    /// # Errors
    /// Those of the database and the payment module.
    pub async fn list(&self, filter: &OrderFilter, limit: usize) -> Result<Page<OrderDetails>, OrderError> {
        let rows = {
            let mut conn = self.db.conn().await?;
            store::list(&mut conn, filter, one_more(limit)).await?
        };
        let page = Page::from_rows(rows, limit, |row| (filter.sort, row.placed_at, row.id), |row| row);
        Ok(Page { items: self.details(page.items).await?, next_cursor: page.next_cursor })
    }

    /// A page of an order's changes.
    ///
    /// # Errors
    /// 422 `invalid_cursor`; those of the database.
    pub async fn timeline(
        &self,
        order: OrderId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<TimelineRow>, OrderError> {
        let after: i64 = cursor.map(Cursor::decode).transpose()?.unwrap_or(0);
        let mut conn = self.db.conn().await?;
        let rows = store::page(&mut conn, order, after, one_more(limit)).await?;
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

fn one_more(limit: usize) -> i64 {
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
