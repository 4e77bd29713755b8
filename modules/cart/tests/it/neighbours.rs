//! What the order module asks of a cart.

use std::sync::Arc;

use eshopz_cart_api::{CartApi, CartOwner, CheckoutLine};
use eshopz_kernel::{CartId, FaultKind, OrderId, UserId};

use crate::shop::{Shop, refusal, text};

#[tokio::test]
async fn a_checkout_reads_the_cart_and_closes_it() {
    let shop = Shop::open().await;
    let user = UserId::new();
    let customer = shop.customer(user).await;
    let (mug, jug) = (shop.catalogue.offer(100, 9), shop.catalogue.offer(200, 9));
    customer.add(jug, 2).await;
    customer.add(mug, 1).await;
    customer.add(jug, 1).await;
    let api: Arc<dyn CartApi> = shop.carts.api();
    let id: CartId = customer.cart.parse().unwrap();
    let owner = CartOwner::Customer(user);
    let read = api.for_checkout(id, &owner).await.unwrap();
    let line = |variant_id, quantity| CheckoutLine { variant_id, quantity };
    assert_eq!(read.lines, [line(jug, 3), line(mug, 1)]);
    assert_eq!((read.version, read.customer_id, read.ordered_as), (4, Some(user), None));

    let order = OrderId::new();
    api.close(id, order).await.unwrap();
    api.close(id, order).await.unwrap();
    let closed = api.for_checkout(id, &owner).await.unwrap();
    assert_eq!((closed.ordered_as, closed.version, closed.updated_at), (Some(order), read.version, read.updated_at));
    assert_eq!(closed.lines, read.lines);
    assert_eq!(text(&customer.read().await, "status"), "ordered");
    assert_eq!(refusal(&customer.add(mug, 1).await), (409, "cart_not_open".to_owned()));
    // And the next cart is a new one.
    assert_ne!(shop.customer(user).await.cart, customer.cart);
    api.close(CartId::new(), order).await.unwrap();
}

#[tokio::test]
async fn a_checkout_needs_its_owner() {
    let shop = Shop::open().await;
    let guest = shop.guest().await;
    let api = shop.carts.api();
    let id: CartId = guest.cart.parse().unwrap();
    let kind =
        async |owner: CartOwner| api.for_checkout(id, &owner).await.map_err(|fault| fault.kind).map(|cart| cart.id);
    assert_eq!(kind(CartOwner::Guest(guest.header.1.clone())).await, Ok(id));
    assert_eq!(kind(CartOwner::Guest("guess".to_owned())).await, Err(FaultKind::NotFound));
    assert_eq!(kind(CartOwner::Customer(UserId::new())).await, Err(FaultKind::NotFound));
    shop.plant("UPDATE carts SET status = 'abandoned', closed_at = now()").await;
    assert_eq!(kind(CartOwner::Guest(guest.header.1.clone())).await, Err(FaultKind::NotFound));
    // An abandoned cart is not closed for an order.
    api.close(id, OrderId::new()).await.unwrap();
    assert_eq!(shop.count("carts WHERE status = 'abandoned'").await, 1);
}
