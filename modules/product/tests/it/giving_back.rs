//! The contract: parts of what an order holds or bought come back, however much comes at once.

use std::sync::Arc;

use eshopz_kernel::{FaultKind, OrderId, VariantId};
use eshopz_product_api::{GiveBackStock, StockLine};
use futures::future::{join_all, join4};
use serde_json::Value;
use uuid::Uuid;

use crate::shop::{Shop, reserve, shirt, variant_id};

fn back(order: OrderId, id: Uuid, lines: &[(VariantId, i64)]) -> GiveBackStock {
    let lines = lines.iter().map(|&(variant_id, quantity)| StockLine { variant_id, quantity }).collect();
    GiveBackStock { order_id: order, id, lines }
}

#[tokio::test]
async fn part_of_what_is_held_comes_back_once() {
    let shop = Shop::open().await;
    let (lamp, vase) = (shop.in_stock("Lamp", 5).await, shop.in_stock("Vase", 2).await);
    let order = OrderId::new();
    let command = reserve(order, &[(lamp, 3), (vase, 2)]);
    shop.api.reserve(command.clone()).await.unwrap();
    let part = back(order, Uuid::now_v7(), &[(lamp, 1), (vase, 2)]);
    for _ in 0..2 {
        shop.api.give_back(part.clone()).await.unwrap();
        assert_eq!((shop.level(lamp).await, shop.level(vase).await), ((5, 2), (2, 0)));
    }
    shop.api.reserve(command).await.unwrap();
    assert_eq!(shop.level(lamp).await, (5, 2), "the same order again wants no more than it kept");
    shop.api.commit_reservation(order).await.unwrap();
    assert_eq!((shop.level(lamp).await, shop.level(vase).await), ((3, 0), (2, 0)));
    shop.api.give_back(part).await.unwrap();
    assert_eq!(shop.level(lamp).await, (3, 0), "done once is done");
    shop.api.release(order).await.unwrap();
    assert_eq!((shop.level(lamp).await, shop.level(vase).await), ((5, 0), (2, 0)));
    assert_eq!(shop.findings().await, []);
}

#[tokio::test]
async fn part_of_what_was_sold_comes_back_with_a_movement() {
    let shop = Shop::open().await;
    let lamp = shop.in_stock("Lamp", 5).await;
    let order = OrderId::new();
    let command = reserve(order, &[(lamp, 3)]);
    shop.api.reserve(command.clone()).await.unwrap();
    shop.api.commit_reservation(order).await.unwrap();
    for expected in [3, 4] {
        // A variant that is named twice within one would count in the sum.
        shop.api.give_back(back(order, Uuid::now_v7(), &[(lamp, 1)])).await.unwrap();
        assert_eq!(shop.level(lamp).await, (expected, 0));
    }
    shop.api.reserve(command).await.unwrap();
    shop.api.commit_reservation(order).await.unwrap();
    assert_eq!(shop.level(lamp).await, (4, 0), "what is sold is left alone");
    shop.api.release(order).await.unwrap();
    assert_eq!(shop.level(lamp).await, (5, 0));
    let movements = shop.admin("GET", &format!("/variants/{lamp}/stock-movements"), None).await.json();
    let told: Vec<(&str, i64)> = movements["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item: &Value| (item["kind"].as_str().unwrap(), item["delta"].as_i64().unwrap()))
        .collect();
    assert_eq!(told, [("return", 1), ("return", 1), ("return", 1), ("sale", -3), ("set", 5)]);
    assert_eq!(shop.findings().await, []);
}

#[tokio::test]
async fn more_than_is_held_does_not_come_back() {
    let shop = Shop::open().await;
    let (lamp, vase) = (shop.in_stock("Lamp", 5).await, shop.in_stock("Vase", 5).await);
    let order = OrderId::new();
    let refused = async |lines: &[(VariantId, i64)]| {
        let fault = shop.api.give_back(back(order, Uuid::now_v7(), lines)).await.unwrap_err();
        assert_eq!((fault.kind, fault.code.as_ref()), (FaultKind::Conflict, "exceeds_holding"), "{fault:?}");
    };
    refused(&[(lamp, 1)]).await;
    shop.api.reserve(reserve(order, &[(lamp, 2)])).await.unwrap();
    for lines in [&[(lamp, 3)][..], &[(lamp, 1), (lamp, 2)], &[(lamp, 1), (vase, 1)], &[(VariantId::new(), 1)]] {
        refused(lines).await;
        assert_eq!(shop.level(lamp).await, (5, 2), "all lines or none");
    }
    shop.api.give_back(back(order, Uuid::now_v7(), &[(lamp, 1), (lamp, 1)])).await.unwrap();
    assert_eq!(shop.level(lamp).await, (5, 0));
    refused(&[(lamp, 1)]).await;
    shop.api.commit_reservation(order).await.unwrap();
    refused(&[(lamp, 1)]).await;
    shop.api.release(order).await.unwrap();
    shop.api.give_back(back(order, Uuid::now_v7(), &[(lamp, 1)])).await.unwrap();
    assert_eq!(shop.level(lamp).await, (5, 0), "of what was released nothing comes back");
    for quantity in [0, -1, i64::MAX] {
        let fault = shop.api.give_back(back(order, Uuid::now_v7(), &[(lamp, quantity)])).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Invalid);
    }
    assert_eq!(shop.findings().await, []);
}

#[tokio::test]
async fn what_was_freed_is_reserved_or_sold_anew_without_what_came_back() {
    let shop = Shop::open().await;
    let lamp = shop.in_stock("Lamp", 5).await;
    let (first, second) = (OrderId::new(), OrderId::new());
    let part = Uuid::now_v7();
    for order in [first, second] {
        shop.api.reserve(reserve(order, &[(lamp, 2)])).await.unwrap();
        shop.api.give_back(back(order, part, &[(lamp, 1)])).await.unwrap();
        shop.api.release(order).await.unwrap();
    }
    assert_eq!(shop.level(lamp).await, (5, 0));
    shop.api.reserve(reserve(first, &[(lamp, 2)])).await.unwrap();
    shop.api.give_back(back(first, part, &[(lamp, 1)])).await.unwrap();
    assert_eq!(shop.level(lamp).await, (5, 1));
    shop.api.commit_reservation(second).await.unwrap();
    assert_eq!(shop.level(lamp).await, (4, 1));
    assert_eq!(shop.findings().await, []);
}

#[tokio::test]
async fn twins_give_back_once() {
    let shop = Shop::open().await;
    let lamp = shop.in_stock("Lamp", 50).await;
    for sold in [false, true] {
        let order = OrderId::new();
        shop.api.reserve(reserve(order, &[(lamp, 9)])).await.unwrap();
        if sold {
            shop.api.commit_reservation(order).await.unwrap();
        }
        let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
        let calls = (0..20).map(|number| {
            let api = Arc::clone(&shop.api);
            let id = if number % 2 == 0 { one } else { other };
            tokio::spawn(async move { api.give_back(back(order, id, &[(lamp, 2)])).await })
        });
        for result in join_all(calls).await {
            result.unwrap().unwrap();
        }
        assert_eq!(shop.level(lamp).await, if sold { (45, 0) } else { (50, 5) });
        shop.api.release(order).await.unwrap();
        assert_eq!(shop.level(lamp).await, (50, 0));
    }
    assert_eq!(shop.findings().await, []);
}

/// Whatever comes first, in the end nothing is held and nothing is missing.
#[tokio::test]
async fn giving_back_races_with_selling_and_releasing() {
    let shop = Shop::open().await;
    let (lamp, vase) = (shop.in_stock("Lamp", 60).await, shop.in_stock("Vase", 60).await);
    for round in 0..60 {
        let order = OrderId::new();
        let lines = if round % 2 == 0 { [(lamp, 3), (vase, 3)] } else { [(vase, 3), (lamp, 3)] };
        shop.api.reserve(reserve(order, &lines)).await.unwrap();
        let part = back(order, Uuid::now_v7(), &[(vase, 1), (lamp, 2)]);
        let other = back(order, Uuid::now_v7(), &[(lamp, 1), (vase, 2)]);
        let (gave, gave_too, sold, released) = join4(
            shop.api.give_back(part.clone()),
            shop.api.give_back(other.clone()),
            shop.api.commit_reservation(order),
            async { if round % 3 == 0 { Ok(()) } else { shop.api.release(order).await } },
        )
        .await;
        for outcome in [gave, gave_too, sold, released] {
            outcome.unwrap();
        }
        assert_eq!(shop.findings().await, [], "round {round}");
        let kept = if round % 3 == 0 { 0 } else { 3 };
        let sold = 60 - shop.level(lamp).await.0;
        assert!((0..=kept).contains(&sold), "round {round}: {sold} of {kept}");
        shop.api.release(order).await.unwrap();
        for variant in [lamp, vase] {
            assert_eq!(shop.level(variant).await, (60, 0), "round {round}");
        }
    }
}

#[tokio::test]
async fn what_came_back_of_a_variant_that_is_gone_breaks_no_books() {
    let shop = Shop::open().await;
    let product = shop.product(shirt("Shirt", &["S", "M"])).await;
    let variant = variant_id(&product, 0);
    let order = OrderId::new();
    shop.api.reserve(reserve(order, &[(variant, 2)])).await.unwrap();
    shop.api.commit_reservation(order).await.unwrap();
    assert_eq!(shop.admin("DELETE", &format!("/variants/{variant}"), None).await.status, 204);
    shop.api.give_back(back(order, Uuid::now_v7(), &[(variant, 1)])).await.unwrap();
    assert_eq!(shop.findings().await, []);
    shop.api.release(order).await.unwrap();
    assert_eq!(shop.findings().await, []);
}
