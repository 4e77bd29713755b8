//! What the module does about other modules' events.

use std::sync::Arc;

use async_trait::async_trait;
use eshopz_kernel::{Event as _, EventEnvelope, Fault};
use eshopz_platform::events::{Listener, Subscription};
use eshopz_user_api::UserDeleted;

use crate::service::CartService;

const FORGET_CUSTOMER: Subscription = Subscription { listener: "cart.forget_customer", events: &[UserDeleted::NAME] };

/// What the module listens to, wherever it runs.
pub const SUBSCRIPTIONS: &[Subscription] = &[FORGET_CUSTOMER];

/// `cart.forget_customer`: an account was deleted, so its carts are.
pub struct ForgetCustomer(pub Arc<CartService>);

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
