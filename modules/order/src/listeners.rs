//! What the module does about events, its own among them: those carry on where a request broke off.

use std::sync::Arc;

use async_trait::async_trait;
use eshopz_kernel::{Event as _, EventEnvelope, Fault};
use eshopz_order_api::{OrderCancelled, OrderLinesCancelled, OrderPlaced, OrderReturnAccepted};
use eshopz_payment_api::{
    PaymentAuthorized, PaymentCancelled, PaymentRefundFailed, PaymentRefunded, PaymentReleased, PaymentSucceeded,
    RefundStatus,
};
use eshopz_platform::events::{Listener, Subscription};
use eshopz_user_api::{ExportRequested, UserDeleted};

use crate::service::{Delivery, OrderService};

const FINISH: Subscription = Subscription { listener: "order.finish", events: &[OrderPlaced::NAME] };
const SETTLE: Subscription =
    Subscription { listener: "order.settle", events: &[PaymentSucceeded::NAME, PaymentAuthorized::NAME] };
const VOIDED: Subscription = Subscription { listener: "order.voided", events: &[PaymentCancelled::NAME] };
const UNDO: Subscription = Subscription { listener: "order.undo", events: &[OrderCancelled::NAME] };
const TAKE_BACK: Subscription =
    Subscription { listener: "order.take_back", events: &[OrderLinesCancelled::NAME, OrderReturnAccepted::NAME] };
const NOTE_REFUND: Subscription = Subscription {
    listener: "order.note_refund",
    events: &[PaymentRefunded::NAME, PaymentReleased::NAME, PaymentRefundFailed::NAME],
};
const FORGET_CUSTOMER: Subscription = Subscription { listener: "order.forget_customer", events: &[UserDeleted::NAME] };

const EXPORT: Subscription = Subscription { listener: "order.export", events: &[ExportRequested::NAME] };

/// What the module listens to, wherever it runs.
pub const SUBSCRIPTIONS: &[Subscription] =
    &[FINISH, SETTLE, VOIDED, UNDO, TAKE_BACK, NOTE_REFUND, FORGET_CUSTOMER, EXPORT];

/// Every listener of the module.
pub fn all(service: &Arc<OrderService>) -> Vec<Arc<dyn Listener>> {
    vec![
        Arc::new(Finish(Arc::clone(service))),
        Arc::new(Settle(Arc::clone(service))),
        Arc::new(Voided(Arc::clone(service))),
        Arc::new(Undo(Arc::clone(service))),
        Arc::new(TakeBack(Arc::clone(service))),
        Arc::new(NoteRefund(Arc::clone(service))),
        Arc::new(ForgetCustomer(Arc::clone(service))),
        Arc::new(Export(Arc::clone(service))),
    ]
}

/// Makes the payment and closes the cart of a placed order.
struct Finish(Arc<OrderService>);

#[eshopz_crash::crash_points]
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
        Ok(self.0.finish_told(placed.order_id, delivery(self, event)).await?)
    }
}

/// Marks an order as paid once its payment is secured.
struct Settle(Arc<OrderService>);

#[eshopz_crash::crash_points]
#[async_trait]
impl Listener for Settle {
    fn name(&self) -> &'static str {
        SETTLE.listener
    }

    fn events(&self) -> &'static [&'static str] {
        SETTLE.events
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        if event.name != PaymentAuthorized::NAME {
            let order = event.decode::<PaymentSucceeded>()?.order_id;
            return Ok(self.0.settle_told(order, delivery(self, event)).await?);
        }
        let order = event.decode::<PaymentAuthorized>()?.order_id;
        self.0.settle_told(order, delivery(self, event)).await?;
        // The news that the gateway let it go again may have come before this, when the order was not paid yet.
        Ok(self.0.cancel_if_voided(order, None).await?)
    }
}

/// Cancels an order whose payment the gateway let go of.
struct Voided(Arc<OrderService>);

#[eshopz_crash::crash_points]
#[async_trait]
impl Listener for Voided {
    fn name(&self) -> &'static str {
        VOIDED.listener
    }

    fn events(&self) -> &'static [&'static str] {
        VOIDED.events
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        let order = event.decode::<PaymentCancelled>()?.order_id;
        Ok(self.0.cancel_if_voided(order, Some(delivery(self, event))).await?)
    }
}

/// Gives back the money and the stock of a cancelled order.
struct Undo(Arc<OrderService>);

#[eshopz_crash::crash_points]
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

/// Gives back the money and the stock of cancelled lines and accepted returns.
struct TakeBack(Arc<OrderService>);

#[eshopz_crash::crash_points]
#[async_trait]
impl Listener for TakeBack {
    fn name(&self) -> &'static str {
        TAKE_BACK.listener
    }

    fn events(&self) -> &'static [&'static str] {
        TAKE_BACK.events
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        let part = if event.name == OrderLinesCancelled::NAME {
            event.decode::<OrderLinesCancelled>()?.cancellation_id
        } else {
            event.decode::<OrderReturnAccepted>()?.return_id
        };
        Ok(self.0.carry_out_told(part, delivery(self, event)).await?)
    }
}

/// Notes how the refunds of an order's payment end, whoever asked for them.
struct NoteRefund(Arc<OrderService>);

#[eshopz_crash::crash_points]
#[async_trait]
impl Listener for NoteRefund {
    fn name(&self) -> &'static str {
        NOTE_REFUND.listener
    }

    fn events(&self) -> &'static [&'static str] {
        NOTE_REFUND.events
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        let (order, refund, amount, status) = match event.name.as_str() {
            PaymentRefunded::NAME => {
                let told: PaymentRefunded = event.decode()?;
                (told.order_id, told.refund_id, told.amount, RefundStatus::Succeeded)
            }
            PaymentReleased::NAME => {
                let told: PaymentReleased = event.decode()?;
                (told.order_id, told.refund_id, told.amount, RefundStatus::Succeeded)
            }
            _ => {
                let told: PaymentRefundFailed = event.decode()?;
                (told.order_id, told.refund_id, told.amount, RefundStatus::Failed)
            }
        };
        let via = Some(delivery(self, event));
        Ok(self.0.note_refund(order, refund, amount.amount, status, via).await?)
    }
}

/// Makes the orders of a deleted account anonymous.
struct ForgetCustomer(Arc<OrderService>);

#[eshopz_crash::crash_points]
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
        let hash = deleted.email_hash.as_deref();
        Ok(self.0.forget_customer(deleted.user_id, hash, delivery(self, event)).await?)
    }
}

/// Hands over what the module holds on a person.
struct Export(Arc<OrderService>);

#[eshopz_crash::crash_points]
#[async_trait]
impl Listener for Export {
    fn name(&self) -> &'static str {
        EXPORT.listener
    }

    fn events(&self) -> &'static [&'static str] {
        EXPORT.events
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        self.0.export(&event.decode()?).await
    }
}

fn delivery(listener: &dyn Listener, event: &EventEnvelope) -> Delivery {
    Delivery { listener: listener.name(), event: event.id }
}
