//! [`ProductApi`] over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use eshopz_kernel::{Fault, OrderId, VariantId};
use eshopz_platform::wire::{Methods, Neighbour};
use eshopz_product_api::{GiveBackStock, ProductApi, ReserveStock, VariantSnapshot};

const VARIANTS: &str = "variants";
const RESERVE: &str = "reserve";
const COMMIT_RESERVATION: &str = "commit_reservation";
const RELEASE: &str = "release";
const GIVE_BACK: &str = "give_back";

/// The contract as routes.
pub fn routes(methods: Methods, api: &Arc<dyn ProductApi>) -> Methods {
    methods
        .method(VARIANTS, api, |api, ids: Vec<VariantId>| async move { api.variants(&ids).await })
        .method(RESERVE, api, |api, command| async move { api.reserve(command).await })
        .method(COMMIT_RESERVATION, api, |api, order| async move { api.commit_reservation(order).await })
        .method(RELEASE, api, |api, order| async move { api.release(order).await })
        .method(GIVE_BACK, api, |api, command| async move { api.give_back(command).await })
}

/// The contract by its routes in another process.
#[must_use]
pub fn client(neighbour: Neighbour) -> Arc<dyn ProductApi> {
    Arc::new(Client(neighbour))
}

struct Client(Neighbour);

#[async_trait]
impl ProductApi for Client {
    async fn variants(&self, ids: &[VariantId]) -> Result<Vec<VariantSnapshot>, Fault> {
        self.0.read(VARIANTS, ids).await
    }

    async fn reserve(&self, command: ReserveStock) -> Result<(), Fault> {
        self.0.write(RESERVE, &command).await
    }

    async fn commit_reservation(&self, order: OrderId) -> Result<(), Fault> {
        self.0.write(COMMIT_RESERVATION, &order).await
    }

    async fn release(&self, order: OrderId) -> Result<(), Fault> {
        self.0.write(RELEASE, &order).await
    }

    async fn give_back(&self, command: GiveBackStock) -> Result<(), Fault> {
        self.0.write(GIVE_BACK, &command).await
    }
}
