//! [`CartApi`] over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use eshopz_cart_api::{CartApi, CartOwner, CheckoutCart};
use eshopz_kernel::{CartId, Fault, OrderId};
use eshopz_platform::wire::{Methods, Neighbour};

const FOR_CHECKOUT: &str = "for_checkout";
const CLOSE: &str = "close";

/// The contract as routes.
pub fn routes(methods: Methods, api: &Arc<dyn CartApi>) -> Methods {
    methods
        .method(
            FOR_CHECKOUT,
            api,
            |api, (cart, owner): (_, CartOwner)| async move { api.for_checkout(cart, &owner).await },
        )
        .method(CLOSE, api, |api, (cart, order)| async move { api.close(cart, order).await })
}

/// The contract by its routes in another process.
#[must_use]
pub fn client(neighbour: Neighbour) -> Arc<dyn CartApi> {
    Arc::new(Client(neighbour))
}

struct Client(Neighbour);

#[async_trait]
impl CartApi for Client {
    async fn for_checkout(&self, cart: CartId, owner: &CartOwner) -> Result<CheckoutCart, Fault> {
        self.0.read(FOR_CHECKOUT, &(cart, owner)).await
    }

    async fn close(&self, cart: CartId, order: OrderId) -> Result<(), Fault> {
        self.0.write(CLOSE, &(cart, order)).await
    }
}
