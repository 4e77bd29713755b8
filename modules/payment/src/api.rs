//! The contract with other modules, in process.

use std::sync::Arc;

use async_trait::async_trait;
use eshopz_kernel::{Fault, OrderId, PaymentId};
use eshopz_payment_api::{CreatePayment, PaymentApi, PaymentSummary, RefundPayment, RefundSummary};
use eshopz_platform::context;

use crate::service::PaymentService;

/// [`PaymentApi`] by the service of this process.
pub(crate) struct InProcess(pub Arc<PaymentService>);

#[async_trait]
impl PaymentApi for InProcess {
    async fn create(&self, command: CreatePayment) -> Result<PaymentSummary, Fault> {
        Ok(self.0.create(&command).await?)
    }

    /// In a task of its own: a caller that goes away must not leave an attempt without its outcome.
    async fn confirm(&self, payment: PaymentId, payment_method: &str) -> Result<PaymentSummary, Fault> {
        let (service, method) = (Arc::clone(&self.0), payment_method.to_owned());
        let task = async move { service.confirm(payment, &method, None).await.map(|payment| payment.summary()) };
        let outcome = self.0.db.tasks().spawn(context::carry(task)).await;
        Ok(outcome.map_err(|error| Fault::internal("the attempt's task failed").caused_by(error))??)
    }

    async fn pay(&self, command: CreatePayment, payment_method: &str) -> Result<PaymentSummary, Fault> {
        let (service, method) = (Arc::clone(&self.0), payment_method.to_owned());
        let task = async move { service.pay(&command, &method).await.map(|payment| payment.summary()) };
        let outcome = self.0.db.tasks().spawn(context::carry(task)).await;
        Ok(outcome.map_err(|error| Fault::internal("the attempt's task failed").caused_by(error))??)
    }

    async fn of_orders(&self, orders: &[OrderId]) -> Result<Vec<PaymentSummary>, Fault> {
        Ok(self.0.of_orders(orders).await?)
    }

    async fn undo(&self, order: OrderId, reason: &str) -> Result<PaymentSummary, Fault> {
        let (service, reason) = (Arc::clone(&self.0), reason.to_owned());
        let task = async move { service.undo(order, &reason).await };
        let outcome = self.0.db.tasks().spawn(context::carry(task)).await;
        Ok(outcome.map_err(|error| Fault::internal("the undoing's task failed").caused_by(error))??)
    }

    async fn refund(&self, command: RefundPayment) -> Result<RefundSummary, Fault> {
        let service = Arc::clone(&self.0);
        let task = async move { service.refund_order(command).await };
        let outcome = self.0.db.tasks().spawn(context::carry(task)).await;
        Ok(outcome.map_err(|error| Fault::internal("the refund's task failed").caused_by(error))??)
    }
}
