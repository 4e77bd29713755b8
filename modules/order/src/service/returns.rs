//! Returns: what has arrived and comes back. Somebody asks, staff decide; an accepted one is carried out.

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::{Cursor, Money, OrderId, Page};
use eshopz_order_api::{OrderReturnAccepted, OrderReturnRejected, OrderReturnRequested};
use eshopz_platform::events::outbox;
use eshopz_platform::idempotency::{self, Claim};
use uuid::Uuid;

use super::cancel_lines::expect_refund;
use super::read::one_more;
use super::{Change, OrderService, note_change, ordered};
use crate::domain::{Actor, OrderStatus, Quantities, ReversalKind, ReversalStatus, Verdict, excesses, now, worth};
use crate::error::OrderError;
use crate::store::{self, Counted, Decision, LineRow, NewReversal, OrderRow, RefundRow, ReversalLineRow, ReversalRow};

/// Somebody wants to give things back.
#[derive(Clone, Debug)]
pub struct RequestReturn {
    pub order: OrderId,
    pub actor: Actor,
    pub items: Quantities,
    pub reason: Option<String>,
}

/// Staff decide about a return.
#[derive(Clone, Debug)]
pub struct DecideReturn {
    pub order: OrderId,
    pub id: Uuid,
    pub actor: Actor,
    pub verdict: Verdict,
    /// Why, or on what terms.
    pub note: Option<String>,
}

/// A return with what is shown of it.
#[derive(Clone, Debug)]
pub struct ReturnDetails {
    pub part: ReversalRow,
    pub lines: Vec<ReversalLineRow>,
    pub refund: Option<RefundRow>,
}

#[eshopz_crash::crash_points]
impl OrderService {
    /// Asks for a return. What is in it can be in no other.
    ///
    /// # Errors
    /// `order_not_delivered`, `exceeds_ordered`.
    pub async fn request_return(&self, command: &RequestReturn, claim: &Claim) -> Result<Uuid, OrderError> {
        let id = Uuid::now_v7();
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                if !idempotency::record(conn, claim, id).await? {
                    return Err(OrderError::KeyInUse);
                }
                let order = store::lock(conn, command.order).await?.ok_or(OrderError::NotFound("order"))?;
                ask(conn, &order, command, id).await
            })
            .await?;
        Ok(id)
    }

    /// Accepts or rejects a return; the same decision again changes nothing.
    ///
    /// # Errors
    /// 404; `return_decided` when it was decided otherwise; `refund_exceeds_worth`. That stock or money cannot
    /// be given back now is no error: the listener of `order.return_accepted.v1` sees to it.
    pub async fn decide_return(&self, command: &DecideReturn) -> Result<(), OrderError> {
        let mut conn = self.db.conn().await?;
        let part = (*conn)
            .transaction(async |conn| {
                let order = store::lock(conn, command.order).await?.ok_or(OrderError::NotFound("order"))?;
                let found = store::return_of(conn, command.order, command.id).await?;
                let part = found.ok_or(OrderError::NotFound("return"))?;
                match (&command.verdict, part.status) {
                    (_, ReversalStatus::Accepted | ReversalStatus::Rejected) => agreeing(part, &command.verdict),
                    (Verdict::Accept { restock, refund }, ReversalStatus::Requested) => {
                        accept(conn, &order, &part, command, (*restock, *refund)).await
                    }
                    (Verdict::Reject, ReversalStatus::Requested) => reject(conn, &order, &part, command).await,
                }
            })
            .await?;
        drop(conn);
        if part.status == ReversalStatus::Accepted {
            self.try_carry_out(&part).await;
        }
        Ok(())
    }

    /// A return of an order.
    ///
    /// # Errors
    /// 404.
    pub async fn return_of(&self, order: OrderId, id: Uuid) -> Result<ReturnDetails, OrderError> {
        let mut conn = self.db.conn().await?;
        let part = store::return_of(&mut conn, order, id).await?.ok_or(OrderError::NotFound("return"))?;
        let lines = store::reversal_lines(&mut conn, &[id]).await?;
        let refund = store::refunds_of_parts(&mut conn, &[id]).await?.pop();
        Ok(ReturnDetails { part, lines, refund })
    }

    /// A page of an order's returns, the first ones first.
    ///
    /// # Errors
    /// 422 `invalid_cursor`; those of the database.
    pub async fn returns(
        &self,
        order: OrderId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<ReturnDetails>, OrderError> {
        let after: Uuid = cursor.map(Cursor::decode).transpose()?.unwrap_or(Uuid::nil());
        let mut conn = self.db.conn().await?;
        let rows = store::returns_of(&mut conn, order, after, one_more(limit)).await?;
        let page = Page::from_rows(rows, limit, |row| row.id, |row| row);
        let ids: Vec<Uuid> = page.items.iter().map(|part| part.id).collect();
        let mut lines = store::reversal_lines(&mut conn, &ids).await?;
        let mut refunds = store::refunds_of_parts(&mut conn, &ids).await?;
        let mut details = |part: ReversalRow| {
            let id = part.id;
            let lines = lines.extract_if(.., |line| line.reversal_id == id).collect();
            let refund = refunds.extract_if(.., |refund| refund.part() == id).next();
            ReturnDetails { part, lines, refund }
        };
        let items = page.items.into_iter().map(&mut details).collect();
        Ok(Page { items, next_cursor: page.next_cursor })
    }
}

#[eshopz_crash::crash_points]
async fn ask(
    conn: &mut AsyncPgConnection,
    order: &OrderRow,
    command: &RequestReturn,
    id: Uuid,
) -> Result<(), OrderError> {
    if order.status != OrderStatus::Delivered {
        return Err(OrderError::NotDelivered { status: order.status });
    }
    let lines: Vec<_> = store::lines_of(conn, &[order.id]).await?.iter().map(LineRow::bought).collect();
    let excess = excesses(&lines, &command.items);
    if !excess.is_empty() {
        return Err(OrderError::ExceedsOrdered(excess));
    }
    let (at, reason) = (now(), command.reason.as_deref());
    let new = NewReversal { id, order: order.order_id(), kind: ReversalKind::Return, reason, at };
    let undecided = Decision::undecided(ReversalStatus::Requested, None, at);
    store::insert_reversal(conn, &new, &command.items, &undecided).await?;
    store::count_lines(conn, order.order_id(), &command.items, Counted::Asked).await?;
    let change = Change { event: "return_requested", actor: command.actor, reason, worth: 0, at };
    let order = note_change(conn, order, change).await?;
    let (order_id, number) = (order.order_id(), order.number);
    outbox::publish(
        conn,
        &OrderReturnRequested { order_id, number, return_id: id, items: ordered(&command.items), at },
    )
    .await?;
    Ok(())
}

#[eshopz_crash::crash_points]
async fn accept(
    conn: &mut AsyncPgConnection,
    order: &OrderRow,
    part: &ReversalRow,
    command: &DecideReturn,
    (restock, refund): (bool, Option<i64>),
) -> Result<ReversalRow, OrderError> {
    let (items, at) = (items_of(conn, part).await?, now());
    let lines: Vec<_> = store::lines_of(conn, &[order.id]).await?.iter().map(LineRow::bought).collect();
    let worth = worth(&lines, order.discount_minor, order.tax_minor, &items);
    let refund = refund.unwrap_or(worth);
    if refund > worth {
        return Err(OrderError::RefundExceedsWorth { worth: order.money(worth) });
    }
    let decision = Decision {
        restock: Some(restock),
        worth_minor: Some(worth),
        refund_minor: Some(refund),
        ..Decision::undecided(ReversalStatus::Accepted, command.note.clone(), at)
    };
    let part = store::decide(conn, part.id, &decision).await?;
    store::count_lines(conn, order.order_id(), &items, Counted::Returned).await?;
    expect_refund(conn, &part, at).await?;
    let change = Change { event: "return_accepted", actor: command.actor, reason: command.note.as_deref(), worth, at };
    let order = note_change(conn, order, change).await?;
    let event = OrderReturnAccepted {
        order_id: order.order_id(),
        number: order.number.clone(),
        return_id: part.id,
        items: ordered(&items),
        restocked: restock,
        refund: order.money(refund),
        at,
    };
    outbox::publish(conn, &event).await?;
    Ok(part)
}

#[eshopz_crash::crash_points]
async fn reject(
    conn: &mut AsyncPgConnection,
    order: &OrderRow,
    part: &ReversalRow,
    command: &DecideReturn,
) -> Result<ReversalRow, OrderError> {
    let (items, at) = (items_of(conn, part).await?, now());
    let decision = Decision::undecided(ReversalStatus::Rejected, command.note.clone(), at);
    let part = store::decide(conn, part.id, &decision).await?;
    store::count_lines(conn, order.order_id(), &items, Counted::Refused).await?;
    let reason = command.note.as_deref();
    let change = Change { event: "return_rejected", actor: command.actor, reason, worth: 0, at };
    let order = note_change(conn, order, change).await?;
    let (order_id, number) = (order.order_id(), order.number);
    outbox::publish(conn, &OrderReturnRejected { order_id, number, return_id: part.id, at }).await?;
    Ok(part)
}

#[eshopz_crash::crash_points]
async fn items_of(conn: &mut AsyncPgConnection, part: &ReversalRow) -> Result<Quantities, OrderError> {
    let lines = store::reversal_lines(conn, &[part.id]).await?;
    Ok(lines.into_iter().map(|line| (line.variant_id.into(), line.quantity)).collect())
}

/// The return as it was decided, if this is the same decision.
fn agreeing(part: ReversalRow, verdict: &Verdict) -> Result<ReversalRow, OrderError> {
    let same = match verdict {
        Verdict::Reject => part.status == ReversalStatus::Rejected,
        Verdict::Accept { restock, refund } => {
            part.status == ReversalStatus::Accepted
                && part.restock == Some(*restock)
                && part.refund_minor == refund.or(part.worth_minor)
        }
    };
    if same { Ok(part) } else { Err(OrderError::ReturnDecided { status: part.status }) }
}

/// The amount of a refund in an order's currency.
///
/// # Errors
/// 422 for another currency, or less than nothing.
pub fn refund_minor(order: &OrderRow, amount: Option<Money>) -> Result<Option<i64>, OrderError> {
    let Some(amount) = amount else { return Ok(None) };
    if amount.currency != order.money(0).currency || amount.amount < 0 {
        return Err(OrderError::BadRefund { currency: order.currency.clone() });
    }
    Ok(Some(amount.amount))
}
