//! `ProductApi`.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use eshopz_kernel::{FaultKind, OrderId, VariantId};
use eshopz_product_api::{GiveBackStock, ProductApi, ReserveStock, Shortage, StockLine};
use serde_json::json;
use uuid::Uuid;

use super::{Record, World, here_and_away, in_stock};

here_and_away!(suite, product);

async fn suite(api: Arc<dyn ProductApi>, world: &World) -> Record {
    let mut record = Record::default();
    snapshots(&*api, world, &mut record).await;
    reservations(&*api, world, &mut record).await;
    giving_back(&*api, world, &mut record).await;
    refusals(&*api, world, &mut record).await;
    thousand_lines(&*api, world, &mut record).await;
    record
}

fn later() -> DateTime<Utc> {
    Utc::now() + TimeDelta::minutes(5)
}

fn stock(lines: &[(VariantId, i64)]) -> Vec<StockLine> {
    lines.iter().map(|(variant_id, quantity)| StockLine { variant_id: *variant_id, quantity: *quantity }).collect()
}

fn reserve(order: OrderId, lines: &[(VariantId, i64)]) -> ReserveStock {
    ReserveStock { order_id: order, lines: stock(lines), expires_at: later() }
}

async fn snapshots(api: &dyn ProductApi, world: &World, record: &mut Record) {
    let rich = json!({
        "title": "Ünïcødé 🛒 \"茶\" \\ 'ж'",
        "options": [{"name": "Größe", "values": ["übergroß"]}],
        "variants": [{
            "option_values": {"Größe": "übergroß"}, "sku": "SKU/ä 1",
            "price": {"amount": 9_999_999_999_i64, "currency": "USD"},
            "on_hand": 1_000_000_000, "inventory_policy": "continue", "requires_shipping": false, "taxable": false,
        }],
    });
    let rich: VariantId = world.variant(rich).await.parse().unwrap();
    let plain: VariantId = world.variant(in_stock("Plain", 3)).await.parse().unwrap();
    let mut found = api.variants(&[plain, VariantId::new(), rich, rich]).await.unwrap();
    found.sort_by(|one, other| one.title.cmp(&other.title));
    assert_eq!(found.len(), 2);
    let found = record.note("snapshots", Ok(found)).unwrap();
    assert_eq!((found[1].price.amount, found[1].available), (9_999_999_999, 1_000_000_000));
    assert!(found[1].backorder && !found[1].taxable && !found[1].requires_shipping);
    assert_eq!(record.note("none asked", api.variants(&[]).await).unwrap(), []);
    assert_eq!(record.note("none there", api.variants(&[VariantId::new()]).await).unwrap(), []);
}

async fn available(api: &dyn ProductApi, variant: VariantId) -> i64 {
    api.variants(&[variant]).await.unwrap()[0].available
}

async fn reservations(api: &dyn ProductApi, world: &World, record: &mut Record) {
    let variant: VariantId = world.variant(in_stock("Held", 10)).await.parse().unwrap();
    let (first, second) = (OrderId::new(), OrderId::new());
    for _ in 0..3 {
        record.note("reserve", api.reserve(reserve(first, &[(variant, 4)])).await).unwrap();
        assert_eq!(available(api, variant).await, 6);
    }
    record.note("release", api.release(first).await).unwrap();
    record.note("release again", api.release(first).await).unwrap();
    assert_eq!(available(api, variant).await, 10);
    record.note("reserve anew", api.reserve(reserve(first, &[(variant, 4)])).await).unwrap();
    for _ in 0..3 {
        record.note("sell", api.commit_reservation(first).await).unwrap();
        assert_eq!(available(api, variant).await, 6);
    }
    for _ in 0..2 {
        record.note("put back", api.release(first).await).unwrap();
        assert_eq!(available(api, variant).await, 10);
    }
    record.note("nothing held", api.release(OrderId::new()).await).unwrap();
    // Freed before it was sold: taken from what is there, if it is.
    api.reserve(reserve(second, &[(variant, 7)])).await.unwrap();
    api.release(second).await.unwrap();
    record.note("sell what was freed", api.commit_reservation(second).await).unwrap();
    assert_eq!(available(api, variant).await, 3);
}

async fn giving_back(api: &dyn ProductApi, world: &World, record: &mut Record) {
    let variant: VariantId = world.variant(in_stock("Returned", 10)).await.parse().unwrap();
    let order = OrderId::new();
    let part = |quantity| GiveBackStock { order_id: order, id: Uuid::now_v7(), lines: stock(&[(variant, quantity)]) };
    let fault = record.note("of nothing", api.give_back(part(1)).await).unwrap_err();
    assert_eq!((fault.kind, fault.code.as_ref()), (FaultKind::Conflict, "exceeds_holding"));
    api.reserve(reserve(order, &[(variant, 6)])).await.unwrap();
    let first = part(1);
    for _ in 0..3 {
        record.note("of what is held", api.give_back(first.clone()).await).unwrap();
        assert_eq!(available(api, variant).await, 5);
    }
    api.commit_reservation(order).await.unwrap();
    record.note("again, when it is sold", api.give_back(first).await).unwrap();
    record.note("of what is sold", api.give_back(part(2)).await).unwrap();
    assert_eq!(available(api, variant).await, 7);
    let fault = record.note("more than is left", api.give_back(part(4)).await).unwrap_err();
    assert_eq!(fault.code, "exceeds_holding");
    assert_eq!(record.note("not any", api.give_back(part(0)).await).unwrap_err().kind, FaultKind::Invalid);
    record.note("the rest", api.release(order).await).unwrap();
    assert_eq!(available(api, variant).await, 10);
    record.note("of what was released", api.give_back(part(1)).await).unwrap();
    assert_eq!(available(api, variant).await, 10);
}

async fn refusals(api: &dyn ProductApi, world: &World, record: &mut Record) {
    let scarce: VariantId = world.variant(in_stock("Scarce", 2)).await.parse().unwrap();
    let enough: VariantId = world.variant(in_stock("Enough", 50)).await.parse().unwrap();
    let order = OrderId::new();
    let fault = record.note("too many", api.reserve(reserve(order, &[(enough, 1), (scarce, 3)])).await).unwrap_err();
    assert_eq!((fault.kind, fault.code.as_ref()), (FaultKind::Conflict, "insufficient_stock"));
    let lines: Vec<Shortage> = serde_json::from_value(fault.details["lines"].clone()).unwrap();
    assert_eq!(lines, [Shortage { variant_id: scarce, requested: 3, available: 2 }]);
    assert_eq!(available(api, enough).await, 50, "all lines or none");
    let gone = record.note("no such variant", api.reserve(reserve(order, &[(VariantId::new(), 1)])).await);
    assert!(gone.is_err());
    for quantity in [i64::MAX, i64::MIN, 0] {
        let fault = record.note("out of range", api.reserve(reserve(order, &[(enough, quantity)])).await).unwrap_err();
        assert_eq!((fault.kind, fault.errors[0].field.as_str()), (FaultKind::Invalid, "/lines"));
    }
    let unknown = record.note("sell nothing", api.commit_reservation(OrderId::new()).await).unwrap_err();
    assert_eq!(unknown.code, "not_found");
    // Freed, and then bought by others.
    api.reserve(reserve(order, &[(scarce, 2)])).await.unwrap();
    api.release(order).await.unwrap();
    api.reserve(reserve(OrderId::new(), &[(scarce, 2)])).await.unwrap();
    let fault = record.note("sold to others", api.commit_reservation(order).await).unwrap_err();
    assert_eq!(fault.code, "insufficient_stock");
    let held = OrderId::new();
    api.reserve(reserve(held, &[(enough, 1)])).await.unwrap();
    let fault = record.note("other lines", api.reserve(reserve(held, &[(enough, 2)])).await).unwrap_err();
    assert_eq!(fault.code, "reservation_mismatch");
}

async fn thousand_lines(api: &dyn ProductApi, world: &World, record: &mut Record) {
    let variants: Vec<_> = (1..=100)
        .map(|size| {
            json!({"option_values": {"Size": size.to_string()}, "price": {"amount": 1, "currency": "USD"}, "on_hand": 50})
        })
        .collect();
    let sizes: Vec<String> = (1..=100).map(|size| size.to_string()).collect();
    let body = json!({"title": "Many", "options": [{"name": "Size", "values": sizes}], "variants": variants});
    let admin = world.app.identity.admin();
    let made = world.send("POST", "products", ("authorization", &admin), body).await;
    let ids = made["variants"].as_array().unwrap().iter().map(|variant| variant["id"].as_str().unwrap());
    let there: Vec<VariantId> = ids.map(|id| id.parse().unwrap()).collect();
    let mut asked = there.clone();
    asked.extend((0..900).map(|_| VariantId::new()));
    assert_eq!(api.variants(&asked).await.unwrap().len(), 100);
    let (order, lines) = (OrderId::new(), there.iter().cycle().take(1_000).map(|id| (*id, 1)).collect::<Vec<_>>());
    record.note("a thousand lines", api.reserve(reserve(order, &lines)).await).unwrap();
    assert_eq!(available(api, there[0]).await, 40);
    record.note("sell them", api.commit_reservation(order).await).unwrap();
}
