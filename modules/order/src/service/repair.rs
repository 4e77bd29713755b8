//! What `eshopz verify --repair` may do to an order: go on with what it decided, by the same steps that a listener
//! or a job would take, and say so in its timeline, if anything came of it.

use diesel_async::AsyncConnection as _;
use eshopz_kernel::{CartId, OrderId};
use eshopz_payment_api::PaymentSummary;
use uuid::Uuid;

use super::{Change, OrderService, note_change};
use crate::domain::{Actor, OrderStatus, now};
use crate::error::OrderError;
use crate::store::{self, OrderRow};

/// What it is called in the timeline. No event tells it: nothing was decided.
const EVENT: &str = "repaired";

/// All that going on with an order changes.
#[derive(Debug, PartialEq)]
struct Standing {
    status: OrderStatus,
    finished: bool,
    undone: bool,
    /// Parts whose stock or money is not back.
    open: Vec<Uuid>,
    payment: Option<PaymentSummary>,
}

impl OrderService {
    /// Goes on with an order, wherever it stands; false when that changed nothing. All of it can be repeated.
    ///
    /// # Errors
    /// Those of the neighbours.
    pub async fn repair(&self, number: &str, reason: &str) -> Result<bool, OrderError> {
        let Some(order) = self.of_number(number).await? else { return Ok(false) };
        let id = order.order_id();
        let before = self.standing(id).await?;
        self.go_on(order).await?;
        let changed = self.standing(id).await? != before;
        self.noted(id, reason, changed).await
    }

    /// Sells what a paid order still holds, or gives back what a cancelled one does. Whoever asks has seen that it
    /// holds something.
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn repair_sale(&self, number: &str, reason: &str) -> Result<bool, OrderError> {
        let Some(order) = self.of_number(number).await? else { return Ok(false) };
        match order.status {
            OrderStatus::Paid | OrderStatus::Processing | OrderStatus::Shipped | OrderStatus::Delivered => {
                self.products.commit_reservation(order.order_id()).await?;
            }
            OrderStatus::Cancelled => self.products.release(order.order_id()).await?,
            OrderStatus::PendingPayment => return Ok(false),
        }
        self.noted(order.order_id(), reason, true).await
    }

    /// Closes the cart of a finished order. Whoever asks has seen that it is open.
    ///
    /// # Errors
    /// Those of the cart.
    pub async fn repair_cart(&self, number: &str, reason: &str) -> Result<bool, OrderError> {
        let Some(order) = self.of_number(number).await? else { return Ok(false) };
        self.carts.close(CartId(order.cart_id), order.order_id()).await?;
        self.noted(order.order_id(), reason, true).await
    }

    /// Asks again for the refunds of an order's parts that failed, whenever that was; false when nothing came of it.
    ///
    /// # Errors
    /// Those of the payment module.
    pub async fn repair_refunds(&self, number: &str, reason: &str) -> Result<bool, OrderError> {
        let Some(order) = self.of_number(number).await? else { return Ok(false) };
        let failed = {
            let mut conn = self.db.conn().await?;
            store::failed_refunds_of(&mut conn, order.order_id()).await?
        };
        let mut asked = false;
        for refund in failed {
            asked |= self.refund_again(refund).await?;
        }
        self.noted(order.order_id(), reason, asked).await
    }

    /// Notes in an order's timeline what was mended elsewhere; false when there is no such order.
    ///
    /// # Errors
    /// The database's.
    pub async fn note_repair(&self, id: OrderId, reason: &str) -> Result<bool, OrderError> {
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let Some(order) = store::lock(conn, id).await? else { return Ok(false) };
                let change = Change { event: EVENT, actor: Actor::System, reason: Some(reason), worth: 0, at: now() };
                note_change(conn, &order, change).await?;
                Ok(true)
            })
            .await
    }

    async fn noted(&self, id: OrderId, reason: &str, changed: bool) -> Result<bool, OrderError> {
        if changed { self.note_repair(id, reason).await } else { Ok(false) }
    }

    async fn of_number(&self, number: &str) -> Result<Option<OrderRow>, OrderError> {
        let mut conn = self.db.conn().await?;
        Ok(store::by_number(&mut conn, number).await?)
    }

    async fn standing(&self, id: OrderId) -> Result<Standing, OrderError> {
        let order = self.known(id).await?;
        let open = {
            let mut conn = self.db.conn().await?;
            store::open_reversals_of(&mut conn, id).await?
        };
        let payment = self.payments_of(std::slice::from_ref(&order)).await?.remove(&id);
        Ok(Standing {
            status: order.status,
            finished: order.finished_at.is_some(),
            undone: order.undone_at.is_some(),
            open: open.into_iter().map(|part| part.id).collect(),
            payment,
        })
    }

    async fn go_on(&self, order: OrderRow) -> Result<(), OrderError> {
        let id = order.order_id();
        if order.status == OrderStatus::Cancelled {
            self.carry_out_all(&order).await?;
            return self.undo(order, None).await.map(drop);
        }
        let payment = match self.finish(order.clone(), None).await? {
            (_, Some(payment)) => payment,
            // Also when that was done: its payment is found, its cart closed again.
            (order, None) => self.bind(&order).await?,
        };
        if order.status == OrderStatus::PendingPayment && payment.status.is_secured() {
            self.settle(id, None).await?;
        }
        self.cancel_if_voided(id, None).await?;
        self.carry_out_all(&order).await
    }
}
