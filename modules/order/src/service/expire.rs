//! What time does: unpaid orders are cancelled, and orders that a crash has left half done are done. Each kind of
//! work has a job of its own, and goes on a few at once: what hangs, at the gateway or elsewhere, holds up neither
//! the other kinds nor all of its own.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use diesel_async::AsyncConnection as _;
use eshopz_kernel::{Fault, UserId};
use eshopz_payment_api::{PaymentStatus, PaymentSummary};
use futures::StreamExt as _;
use uuid::Uuid;

use super::{Delivery, OrderService};
use crate::error::OrderError;
use crate::store::{self, Due, OrderRow};

/// How many are worked on beside each other.
const AT_ONCE: usize = 8;
/// How long a run goes on taking more.
const RUN: Duration = Duration::from_secs(20);
/// After so long an order that is not finished, or not undone, counts as left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(30);
/// The pause before a refund that failed is asked for again; the later ones are longer.
const ASK_AGAIN: Duration = Duration::from_secs(600);

#[eshopz_crash::crash_points]
impl OrderService {
    /// Cancels the orders that were not paid in time. Those whose payment is secured become paid instead;
    /// those whose payment may yet turn out well wait until that is known.
    ///
    /// # Errors
    /// When the orders or their payments cannot be read; the next run goes on.
    pub async fn expire_unpaid(&self) -> Result<(), Fault> {
        let until = Instant::now() + RUN;
        loop {
            let due = self.take_orders(Due::Unpaid, self.settings.unpaid_expiry).await?;
            if due.is_empty() {
                return Ok(());
            }
            let payments = self.payments_of(&due).await?;
            each(due.iter().map(|order| (&order.number, self.expire(order, payments.get(&order.order_id()))))).await;
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    async fn expire(&self, order: &OrderRow, payment: Option<&PaymentSummary>) -> Result<(), OrderError> {
        match payment.map(|payment| payment.status) {
            Some(PaymentStatus::Processing) => Ok(()),
            Some(status) if status.is_secured() => self.settle(order.order_id(), None).await.map(drop),
            _ => self.cancel_expired(order.order_id()).await,
        }
    }

    /// Finishes the orders that neither a request nor a listener has.
    ///
    /// # Errors
    /// When they cannot be read; the next run goes on.
    pub async fn finish_left_behind(&self) -> Result<(), Fault> {
        self.work_on(Due::Unfinished, LEFT_BEHIND, |id| self.finish_it(id)).await
    }

    async fn finish_it(&self, id: Uuid) -> Result<(), OrderError> {
        let order = self.known(id.into()).await?;
        self.finish(order, None).await.map(drop)
    }

    /// Gives back what cancelled orders still have.
    ///
    /// # Errors
    /// As [`Self::finish_left_behind`].
    pub async fn undo_left_behind(&self) -> Result<(), Fault> {
        self.work_on(Due::NotUndone, LEFT_BEHIND, |id| self.undo_it(id)).await
    }

    async fn undo_it(&self, id: Uuid) -> Result<(), OrderError> {
        let order = self.known(id.into()).await?;
        self.undo(order, None).await.map(drop)
    }

    /// Takes back the parts that neither a request nor a listener has.
    ///
    /// # Errors
    /// As [`Self::finish_left_behind`].
    pub async fn take_back_left_behind(&self) -> Result<(), Fault> {
        self.work_on(Due::NotTakenBack, LEFT_BEHIND, |id| self.take_it_back(id)).await
    }

    async fn take_it_back(&self, id: Uuid) -> Result<(), OrderError> {
        let part = self.part(id).await?;
        self.carry_out(&part, None).await
    }

    /// Asks for the refunds that are on their way.
    ///
    /// # Errors
    /// As [`Self::finish_left_behind`].
    pub async fn ask_for_refunds(&self) -> Result<(), Fault> {
        self.work_on(Due::Unrefunded, LEFT_BEHIND, |id| self.ask_for_it(id)).await
    }

    async fn ask_for_it(&self, refund: Uuid) -> Result<(), OrderError> {
        let refund = self.refund(refund).await?;
        let part = self.part(refund.part()).await?;
        self.give_money_back(&part).await
    }

    /// Asks again for the refunds of parts that failed.
    ///
    /// # Errors
    /// As [`Self::finish_left_behind`].
    pub async fn ask_again_for_refunds(&self) -> Result<(), Fault> {
        self.work_on(Due::Refused, ASK_AGAIN, |id| self.ask_for_it_again(id)).await
    }

    async fn ask_for_it_again(&self, refund: Uuid) -> Result<(), OrderError> {
        self.refund_again(refund).await.map(drop)
    }

    /// Takes what is due and works on it, a few at once, until nothing is due or the run has lasted its time.
    async fn work_on<F>(&self, due: Due, older: Duration, work: impl Fn(Uuid) -> F) -> Result<(), Fault>
    where
        F: Future<Output = Result<(), OrderError>>,
    {
        let until = Instant::now() + RUN;
        loop {
            let taken = self.take(due, older).await?;
            if taken.is_empty() {
                return Ok(());
            }
            each(taken.into_iter().map(|id| (id, work(id)))).await;
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    async fn take(&self, due: Due, older: Duration) -> Result<Vec<Uuid>, OrderError> {
        let mut conn = self.db.conn().await?;
        Ok(store::take(&mut conn, due, older).await?)
    }

    async fn take_orders(&self, due: Due, older: Duration) -> Result<Vec<OrderRow>, OrderError> {
        let mut conn = self.db.conn().await?;
        let ids = store::take(&mut conn, due, older).await?;
        Ok(store::by_ids(&mut conn, &ids).await?)
    }

    /// Makes the orders of a deleted account anonymous, also those that the person placed as a guest under the same email.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_customer(
        &self,
        user: UserId,
        email_hash: Option<&str>,
        via: Delivery,
    ) -> Result<(), OrderError> {
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                if Delivery::claim(Some(via), conn).await? {
                    let orders = store::forget_orders(conn, user, email_hash).await?;
                    store::forget_words(conn, &orders).await?;
                    store::forget_keys(conn, user, &orders).await?;
                }
                Ok(())
            })
            .await
    }
}

/// Does all of it, a few at once. One that cannot be done does not keep the others waiting.
#[eshopz_crash::crash_points]
async fn each<T, F>(all: impl Iterator<Item = (T, F)>)
where
    T: Display,
    F: Future<Output = Result<(), OrderError>>,
{
    let done = |(what, work): (T, F)| async move {
        if let Err(error) = work.await {
            tracing::warn!(%what, %error, "cannot be done now; it is tried again");
        }
    };
    futures::stream::iter(all).for_each_concurrent(AT_ONCE, done).await;
}
