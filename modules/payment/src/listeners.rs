//! What the module does about other modules' events.

use std::sync::Arc;

use async_trait::async_trait;
use eshopz_kernel::{Event as _, EventEnvelope, Fault};
use eshopz_platform::events::{Listener, Subscription};
use eshopz_user_api::{ExportRequested, UserApi, UserDeleted};

use crate::service::PaymentService;

const FORGET_CUSTOMER: Subscription =
    Subscription { listener: "payment.forget_customer", events: &[UserDeleted::NAME] };
const EXPORT: Subscription = Subscription { listener: "payment.export", events: &[ExportRequested::NAME] };

/// What the module listens to, wherever it runs.
pub const SUBSCRIPTIONS: &[Subscription] = &[FORGET_CUSTOMER, EXPORT];

/// Every listener of the module.
pub fn all(service: &Arc<PaymentService>, users: &Arc<dyn UserApi>) -> Vec<Arc<dyn Listener>> {
    let export = Export { service: Arc::clone(service), users: Arc::clone(users) };
    vec![Arc::new(ForgetCustomer(Arc::clone(service))), Arc::new(export)]
}

/// `payment.forget_customer`: an account was deleted, so it is forgotten how the person paid.
struct ForgetCustomer(Arc<PaymentService>);

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
        Ok(self.0.forget_customer(self.name(), event.id, deleted.user_id).await?)
    }
}

/// `payment.export`: somebody wants to see what is held on him, so his payments are handed over.
struct Export {
    service: Arc<PaymentService>,
    users: Arc<dyn UserApi>,
}

#[async_trait]
impl Listener for Export {
    fn name(&self) -> &'static str {
        EXPORT.listener
    }

    fn events(&self) -> &'static [&'static str] {
        EXPORT.events
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        self.service.export(&event.decode()?, self.users.as_ref()).await
    }
}
