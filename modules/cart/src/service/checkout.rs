//! What the module promises to the others (`CartApi`).

use async_trait::async_trait;
use eshopz_cart_api::{CartApi, CartOwner, CheckoutCart, CheckoutLine};
use eshopz_kernel::{CartId, Fault, OrderId, UserId};
use eshopz_platform::db::StoreError;

use super::CartService;
use crate::domain::{FilledCart, Holder, Status};
use crate::store;

#[eshopz_crash::crash_points]
#[async_trait]
impl CartApi for CartService {
    async fn for_checkout(&self, cart: CartId, owner: &CartOwner) -> Result<CheckoutCart, Fault> {
        let found = self.find(cart, &Holder::from(owner)).await?;
        match found.cart.status {
            Status::Open | Status::Ordered => Ok(checkout_cart(found)),
            Status::Abandoned => Err(Fault::not_found("cart")),
        }
    }

    async fn close(&self, cart: CartId, order: OrderId) -> Result<(), Fault> {
        let mut conn = self.db.conn().await?;
        store::carts::close_ordered(&mut conn, cart.uuid(), order.uuid()).await.map_err(StoreError::from)?;
        Ok(())
    }
}

fn checkout_cart(found: FilledCart) -> CheckoutCart {
    let FilledCart { cart, items } = found;
    CheckoutCart {
        id: cart.id.into(),
        version: cart.version,
        updated_at: cart.updated_at,
        customer_id: cart.customer_id.map(UserId::from),
        lines: items
            .iter()
            .map(|item| CheckoutLine { variant_id: item.variant_id.into(), quantity: item.quantity })
            .collect(),
        ordered_as: cart.order_id.map(OrderId::from),
    }
}
