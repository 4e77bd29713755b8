//! What the module does about events, its own among them: those carry on where a request broke off.

use std::sync::Arc;

use async_trait::async_trait;
use eshopz_kernel::{Event as _, EventEnvelope, Fault};
use eshopz_order_api::{OrderCancelled, OrderPlaced};
use eshopz_payment_api::{PaymentAuthorized, PaymentSucceeded};
use eshopz_platform::events::{Listener, Subscription};
use eshopz_user_api::UserDeleted;

use crate::service::{Delivery, OrderService};

const FINISH: Subscription = Subscription { listener: "order.finish", events: &[OrderPlaced::NAME] };
const SETTLE: Subscription =
    Subscription { listener: "order.settle", events: &[PaymentSucceeded::NAME, PaymentAuthorized::NAME] };
const UNDO: Subscription = Subscription { listener: "order.undo", events: &[OrderCancelled::NAME] };
const FORGET_CUSTOMER: Subscription = Subscription { listener: "order.forget_customer", events: &[UserDeleted::NAME] };

/// What the module listens to, wherever it runs.
pub const SUBSCRIPTIONS: &[Subscription] = &[FINISH, SETTLE, UNDO, FORGET_CUSTOMER];

/// Every listener of the module.
pub fn all(service: &Arc<OrderService>) -> Vec<Arc<dyn Listener>> {
    vec![
        Arc::new(Finish(Arc::clone(service))),
        Arc::new(Settle(Arc::clone(service))),
        Arc::new(Undo(Arc::clone(service))),
        Arc::new(ForgetCustomer(Arc::clone(service))),
    ]
}

/// Makes the payment and closes the cart of a placed order.
struct Finish(Arc<OrderService>);

#[async_trait]
impl Listener for Finish {
    fn name(&self) -> &'static str {
        FINISH.listener
    }

    fn events(&self) -> &'static [&'static str] {
        FINISH.events
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        let placed: OrderPlaced = event.decode()?;
        let order = self.0.known(placed.order_id).await?;
        self.0.finish(order, Some(delivery(self, event))).await?;
        Ok(())
    }
}

/// Marks an order as paid once its payment is secured.
struct Settle(Arc<OrderService>);

#[async_trait]
impl Listener for Settle {
    fn name(&self) -> &'static str {
        SETTLE.listener
    }

    fn events(&self) -> &'static [&'static str] {
        SETTLE.events
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        let order = if event.name == PaymentAuthorized::NAME {
            event.decode::<PaymentAuthorized>()?.order_id
        } else {
            event.decode::<PaymentSucceeded>()?.order_id
        };
        self.0.settle(order, Some(delivery(self, event))).await?;
        Ok(())
    }
}

/// Gives back the money and the stock of a cancelled order.
struct Undo(Arc<OrderService>);

#[async_trait]
impl Listener for Undo {
    fn name(&self) -> &'static str {
        UNDO.listener
    }

    fn events(&self) -> &'static [&'static str] {
        UNDO.events
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        let cancelled: OrderCancelled = event.decode()?;
        let order = self.0.known(cancelled.order_id).await?;
        if order.undone_at.is_none() {
            self.0.undo(order, Some(delivery(self, event))).await?;
        }
        Ok(())
    }
}

/// Makes the orders of a deleted account anonymous.
struct ForgetCustomer(Arc<OrderService>);

#[async_trait]
impl Listener for ForgetCustomer {
    fn name(&self) -> &'static str {
        FORGET_CUSTOMER.listener
    }

    fn events(&self) -> &'static [&'static str] {
        FORGET_CUSTOMER.events
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        let deleted: UserDeleted = event.decode()?;
        Ok(self.0.forget_customer(deleted.user_id, delivery(self, event)).await?)
    }
}

fn delivery(listener: &dyn Listener, event: &EventEnvelope) -> Delivery {
    Delivery { listener: listener.name(), event: event.id }
}
