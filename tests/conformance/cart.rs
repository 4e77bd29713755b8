//! `CartApi`.

use std::sync::Arc;

use eshopz_cart_api::{CartApi, CartOwner};
use eshopz_kernel::{CartId, FaultKind, OrderId, UserId};
use serde_json::json;

use super::{Record, World, here_and_away, in_stock};

here_and_away!(suite, cart);

async fn suite(api: Arc<dyn CartApi>, world: &World) -> Record {
    let mut record = Record::default();
    guests(&*api, world, &mut record).await;
    customers(&*api, world, &mut record).await;
    abandoned(&*api, world, &mut record).await;
    record
}

async fn guests(api: &dyn CartApi, world: &World, record: &mut Record) {
    let made = world.send("POST", "carts", ("x-none", ""), json!({})).await;
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let (cart, owner): (CartId, _) = (id.parse().unwrap(), CartOwner::Guest(token.to_owned()));
    let empty = record.note("empty", api.for_checkout(cart, &owner).await).unwrap();
    assert_eq!((empty.id, empty.lines.len(), empty.customer_id, empty.ordered_as), (cart, 0, None, None));
    let mut added = Vec::new();
    for (title, quantity) in [("Zebra", 2), ("Ant", 99_999)] {
        let variant = world.variant(in_stock(title, 100_000)).await;
        let line = json!({"variant_id": variant, "quantity": quantity});
        world.send("POST", &format!("carts/{id}/items"), ("x-cart-token", token), line).await;
        added.push((variant, quantity));
    }
    let full = record.note("full", api.for_checkout(cart, &owner).await).unwrap();
    assert!(full.version > empty.version && full.updated_at >= empty.updated_at);
    let lines: Vec<_> = full.lines.iter().map(|line| (line.variant_id.to_string(), line.quantity)).collect();
    assert_eq!(lines, added, "in the order in which they were added");

    let strangers = [
        CartOwner::Guest(String::new()),
        CartOwner::Guest(format!("{token}x")),
        CartOwner::Guest("ключ \"🗝\" \\".to_owned()),
        CartOwner::Customer(UserId::new()),
    ];
    for owner in strangers {
        let fault = record.note("somebody else's", api.for_checkout(cart, &owner).await).unwrap_err();
        assert_eq!((fault.kind, fault.code.as_ref()), (FaultKind::NotFound, "not_found"));
    }
    assert!(record.note("absent", api.for_checkout(CartId::new(), &owner).await).is_err());

    let order = OrderId::new();
    for _ in 0..3 {
        record.note("close", api.close(cart, order).await).unwrap();
    }
    let ordered = record.note("ordered", api.for_checkout(cart, &owner).await).unwrap();
    assert_eq!((ordered.ordered_as, ordered.lines), (Some(order), full.lines));
    record.note("close for another", api.close(cart, OrderId::new()).await).unwrap();
    assert_eq!(api.for_checkout(cart, &owner).await.unwrap().ordered_as, Some(order));
    record.note("close what is gone", api.close(CartId::new(), order).await).unwrap();
}

async fn customers(api: &dyn CartApi, world: &World, record: &mut Record) {
    let user = UserId::new();
    let bearer = world.app.identity.customer(user);
    let mine = world.app.send("GET", "/api/v1/carts/mine", &[("authorization", &bearer)], None).await.unwrap().json();
    let cart: CartId = mine["id"].as_str().unwrap().parse().unwrap();
    let found = record.note("a customer's", api.for_checkout(cart, &CartOwner::Customer(user)).await).unwrap();
    assert_eq!(found.customer_id, Some(user));
    assert!(record.note("another's", api.for_checkout(cart, &CartOwner::Customer(UserId::new())).await).is_err());
}

async fn abandoned(api: &dyn CartApi, world: &World, record: &mut Record) {
    let made = world.send("POST", "carts", ("x-none", ""), json!({})).await;
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    world.plant(&format!("UPDATE carts.carts SET status = 'abandoned', closed_at = now() WHERE id = '{id}'")).await;
    let owner = CartOwner::Guest(token.to_owned());
    let fault = record.note("abandoned", api.for_checkout(id.parse().unwrap(), &owner).await).unwrap_err();
    assert_eq!(fault.code, "not_found");
}
