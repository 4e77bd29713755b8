//! [`PaymentApi`] over HTTP.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eshopz_kernel::{Fault, OrderId, PaymentId};
use eshopz_payment_api::{CreatePayment, PaymentApi, PaymentSummary, RefundPayment, RefundSummary};
use eshopz_platform::wire::{Methods, Neighbour};

const CREATE: &str = "create";
const CONFIRM: &str = "confirm";
const PAY: &str = "pay";
const OF_ORDERS: &str = "of_orders";
const UNDO: &str = "undo";
const REFUND: &str = "refund";

/// How long a call may take that has the gateway asked, which is not ours and not always quick.
const GATEWAY: Duration = Duration::from_secs(25);

/// The contract as routes.
pub fn routes(methods: Methods, api: &Arc<dyn PaymentApi>) -> Methods {
    methods
        .method(CREATE, api, |api, command| async move { api.create(command).await })
        .method(CONFIRM, api, |api, (payment, method): (_, String)| async move { api.confirm(payment, &method).await })
        .method(PAY, api, |api, (command, method): (_, String)| async move { api.pay(command, &method).await })
        .method(OF_ORDERS, api, |api, orders: Vec<OrderId>| async move { api.of_orders(&orders).await })
        .method(UNDO, api, |api, (order, reason): (_, String)| async move { api.undo(order, &reason).await })
        .method(REFUND, api, |api, command| async move { api.refund(command).await })
}

/// The contract by its routes in another process.
#[must_use]
pub fn client(neighbour: Neighbour) -> Arc<dyn PaymentApi> {
    Arc::new(Client(neighbour))
}

struct Client(Neighbour);

#[async_trait]
impl PaymentApi for Client {
    async fn create(&self, command: CreatePayment) -> Result<PaymentSummary, Fault> {
        self.0.write(CREATE, &command).await
    }

    async fn confirm(&self, payment: PaymentId, payment_method: &str) -> Result<PaymentSummary, Fault> {
        self.0.write_within(CONFIRM, &(payment, payment_method), GATEWAY).await
    }

    async fn pay(&self, command: CreatePayment, payment_method: &str) -> Result<PaymentSummary, Fault> {
        self.0.write_within(PAY, &(command, payment_method), GATEWAY).await
    }

    async fn of_orders(&self, orders: &[OrderId]) -> Result<Vec<PaymentSummary>, Fault> {
        self.0.read(OF_ORDERS, orders).await
    }

    async fn undo(&self, order: OrderId, reason: &str) -> Result<PaymentSummary, Fault> {
        self.0.write_within(UNDO, &(order, reason), GATEWAY).await
    }

    async fn refund(&self, command: RefundPayment) -> Result<RefundSummary, Fault> {
        self.0.write_within(REFUND, &command, GATEWAY).await
    }
}
