//! Making the payment of an order.

use diesel_async::AsyncConnection as _;
use eshopz_kernel::OrderId;
use eshopz_payment_api::{CreatePayment, PaymentSummary};

use super::PaymentService;
use crate::error::PaymentError;
use crate::store::payments;

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Makes the payment of an order; the one that there is, if it is for the same amount.
    ///
    /// # Errors
    /// 409 `payment_exists` when the order has one of another amount.
    pub async fn create(&self, command: &CreatePayment) -> Result<PaymentSummary, PaymentError> {
        if command.amount.amount < 0 {
            return Err(PaymentError::NegativeAmount);
        }
        let gateway = self.gateway.name();
        let mut conn = self.db.conn().await?;
        let payment = conn
            .transaction(async |conn| {
                payments::insert(conn, command, gateway).await?;
                let found = payments::of_orders(conn, &[command.order_id.uuid()]).await?;
                found.into_iter().next().ok_or(PaymentError::OtherAmount)
            })
            .await?;
        drop(conn);
        let payment = self.with_parked(payment, None).await?;
        if payment.money(payment.amount_minor) == command.amount {
            Ok(payment.summary())
        } else {
            Err(PaymentError::OtherAmount)
        }
    }

    /// The payments of orders, in no order.
    ///
    /// # Errors
    /// The statement's.
    pub async fn of_orders(&self, orders: &[OrderId]) -> Result<Vec<PaymentSummary>, PaymentError> {
        let ids: Vec<uuid::Uuid> = orders.iter().map(|id| id.uuid()).collect();
        let mut conn = self.db.conn().await?;
        let found = payments::of_orders(&mut conn, &ids).await?;
        Ok(found.iter().map(crate::store::Payment::summary).collect())
    }
}
