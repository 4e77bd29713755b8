//! What the module does about other modules' events.

use std::sync::Arc;

use async_trait::async_trait;
use eshopz_kernel::{Event as _, EventEnvelope, Fault};
use eshopz_platform::events::{Listener, Subscription};
use eshopz_user_api::{ExportRequested, UserApi, UserDeleted};

use crate::service::CartService;

const FORGET_CUSTOMER: Subscription = Subscription { listener: "cart.forget_customer", events: &[UserDeleted::NAME] };
const EXPORT: Subscription = Subscription { listener: "cart.export", events: &[ExportRequested::NAME] };

/// What the module listens to, wherever it runs.
pub const SUBSCRIPTIONS: &[Subscription] = &[FORGET_CUSTOMER, EXPORT];

/// Every listener of the module.
pub fn all(service: &Arc<CartService>, users: &Arc<dyn UserApi>) -> Vec<Arc<dyn Listener>> {
    let export = Export { service: Arc::clone(service), users: Arc::clone(users) };
    vec![Arc::new(ForgetCustomer(Arc::clone(service))), Arc::new(export)]
}

/// `cart.forget_customer`: an account was deleted, so its carts are.
struct ForgetCustomer(Arc<CartService>);

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

/// `cart.export`: somebody wants to see what is held on him, so his carts are handed over.
struct Export {
    service: Arc<CartService>,
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
