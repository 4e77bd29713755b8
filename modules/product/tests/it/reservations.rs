//! The contract: reserving, selling and releasing stock, however much comes at once.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use eshopz_kernel::{Fault, FaultKind, OrderId, VariantId};
use eshopz_product_api::{ReserveStock, Shortage};
use futures::future::join_all;

use crate::shop::{Shop, reserve};

fn shortages(fault: &Fault) -> Vec<Shortage> {
    assert_eq!((fault.kind, fault.code.as_ref()), (FaultKind::Conflict, "insufficient_stock"), "{fault:?}");
    serde_json::from_value(fault.details["lines"].clone()).unwrap()
}

#[tokio::test]
async fn an_order_reserves_sells_and_gives_back() {
    let shop = Shop::open().await;
    let (lamp, vase) = (shop.in_stock("Lamp", 5).await, shop.in_stock("Vase", 2).await);
    let order = OrderId::new();
    let command = reserve(order, &[(lamp, 2), (vase, 2)]);
    for _ in 0..2 {
        shop.api.reserve(command.clone()).await.unwrap();
        assert_eq!((shop.level(lamp).await, shop.level(vase).await), ((5, 2), (2, 2)));
    }
    assert_eq!(shop.snapshot(vase).await.available, 0);
    for _ in 0..2 {
        shop.api.commit_reservation(order).await.unwrap();
        assert_eq!((shop.level(lamp).await, shop.level(vase).await), ((3, 0), (0, 0)));
    }
    shop.api.reserve(command).await.unwrap();
    assert_eq!(shop.level(lamp).await, (3, 0), "what is sold is not reserved again");
    for _ in 0..2 {
        shop.api.release(order).await.unwrap();
        assert_eq!((shop.level(lamp).await, shop.level(vase).await), ((5, 0), (2, 0)));
    }
    assert_eq!(shop.findings().await, []);
}

#[tokio::test]
async fn all_lines_or_none() {
    let shop = Shop::open().await;
    let (lamp, vase, nothing) = (shop.in_stock("Lamp", 5).await, shop.in_stock("Vase", 2).await, VariantId::new());
    let order = OrderId::new();
    let fault = shop.api.reserve(reserve(order, &[(lamp, 5), (vase, 3), (nothing, 1)])).await.unwrap_err();
    let mut short = shortages(&fault);
    short.sort_by_key(|line| line.requested);
    assert_eq!(
        short,
        [
            Shortage { variant_id: nothing, requested: 1, available: 0 },
            Shortage { variant_id: vase, requested: 3, available: 2 },
        ]
    );
    assert_eq!((shop.level(lamp).await, shop.level(vase).await), ((5, 0), (2, 0)));
    // A variant that is named twice is wanted in the sum.
    let fault = shop.api.reserve(reserve(order, &[(vase, 1), (vase, 2)])).await.unwrap_err();
    assert_eq!(shortages(&fault)[0].requested, 3);
    shop.api.reserve(reserve(order, &[(vase, 1), (vase, 1)])).await.unwrap();
    assert_eq!(shop.level(vase).await, (2, 2));
    assert_eq!(shop.findings().await, []);
}

#[tokio::test]
async fn what_was_freed_is_reserved_or_sold_anew() {
    let shop = Shop::open().await;
    let lamp = shop.in_stock("Lamp", 3).await;
    let (first, second) = (OrderId::new(), OrderId::new());
    shop.api.reserve(reserve(first, &[(lamp, 2)])).await.unwrap();
    shop.api.release(first).await.unwrap();
    shop.api.reserve(reserve(first, &[(lamp, 1)])).await.unwrap();
    assert_eq!(shop.level(lamp).await, (3, 1));
    let other = shop.api.reserve(reserve(first, &[(lamp, 2)])).await.unwrap_err();
    assert_eq!(other.code, "reservation_mismatch");
    shop.api.release(first).await.unwrap();

    shop.api.commit_reservation(first).await.unwrap();
    assert_eq!(shop.level(lamp).await, (2, 0), "taken from what is available");
    shop.api.reserve(reserve(second, &[(lamp, 2)])).await.unwrap();
    shop.api.release(first).await.unwrap();
    shop.api.reserve(reserve(OrderId::new(), &[(lamp, 1)])).await.unwrap();
    let fault = shop.api.commit_reservation(first).await.unwrap_err();
    assert_eq!(shortages(&fault), [Shortage { variant_id: lamp, requested: 1, available: 0 }]);
    assert_eq!(shop.level(lamp).await, (3, 3));

    assert_eq!(shop.api.commit_reservation(OrderId::new()).await.unwrap_err().kind, FaultKind::NotFound);
    shop.api.release(OrderId::new()).await.unwrap();
    let none = ReserveStock { lines: Vec::new(), ..reserve(OrderId::new(), &[]) };
    shop.api.reserve(none).await.unwrap();
    assert_eq!(shop.api.reserve(reserve(OrderId::new(), &[(lamp, 0)])).await.unwrap_err().kind, FaultKind::Invalid);
    assert_eq!(shop.findings().await, []);
}

#[tokio::test]
async fn two_hundred_buyers_for_ten() {
    let shop = Shop::open().await;
    let lamp = shop.in_stock("Lamp", 10).await;
    let orders: Vec<OrderId> = (0..200).map(|_| OrderId::new()).collect();
    let buyers = orders.iter().map(|&order| {
        let api = Arc::clone(&shop.api);
        tokio::spawn(async move { api.reserve(reserve(order, &[(lamp, 1)])).await })
    });
    let (mut got, mut refused) = (0, 0);
    for result in join_all(buyers).await {
        match result.unwrap() {
            Ok(()) => got += 1,
            Err(fault) => {
                shortages(&fault);
                refused += 1;
            }
        }
    }
    assert_eq!((got, refused), (10, 190));
    assert_eq!(shop.level(lamp).await, (10, 10));
    assert_eq!(shop.findings().await, []);
}

#[tokio::test]
async fn opposite_orders_of_lines_do_not_deadlock() {
    let shop = Shop::open().await;
    let (lamp, vase) = (shop.in_stock("Lamp", 60).await, shop.in_stock("Vase", 60).await);
    let buyers = (0..100).map(|number| {
        let api = Arc::clone(&shop.api);
        tokio::spawn(async move {
            let order = OrderId::new();
            let lines = if number % 2 == 0 { [(lamp, 1), (vase, 1)] } else { [(vase, 1), (lamp, 1)] };
            let reserved = api.reserve(reserve(order, &lines)).await;
            if reserved.is_ok() && number % 3 == 0 {
                api.commit_reservation(order).await.unwrap();
            } else if reserved.is_ok() && number % 3 == 1 {
                api.release(order).await.unwrap();
            }
            (number % 3, reserved)
        })
    });
    let (mut held, mut sold) = (0, 0);
    for result in join_all(buyers).await {
        match result.unwrap() {
            (0, Ok(())) => sold += 1,
            (2, Ok(())) => held += 1,
            (_, Ok(())) => {}
            (_, Err(fault)) => drop(shortages(&fault)),
        }
    }
    for variant in [lamp, vase] {
        assert_eq!(shop.level(variant).await, (60 - sold, held));
    }
    assert_eq!(shop.findings().await, []);
}

#[tokio::test]
async fn the_same_call_at_the_same_moment_counts_once() {
    let shop = Shop::open().await;
    let lamp = shop.in_stock("Lamp", 50).await;
    let order = OrderId::new();
    let at_once = async |call: &'static str| {
        let calls = (0..20).map(|_| {
            let api = Arc::clone(&shop.api);
            tokio::spawn(async move {
                match call {
                    "reserve" => api.reserve(reserve(order, &[(lamp, 3)])).await,
                    "commit" => api.commit_reservation(order).await,
                    _ => api.release(order).await,
                }
            })
        });
        for result in join_all(calls).await {
            result.unwrap().unwrap();
        }
        shop.level(lamp).await
    };
    assert_eq!(at_once("reserve").await, (50, 3));
    assert_eq!(at_once("commit").await, (47, 0));
    assert_eq!(at_once("release").await, (50, 0));
    assert_eq!(shop.findings().await, []);
}

#[tokio::test]
async fn what_is_held_past_its_deadline_is_freed() {
    let shop = Shop::open().await;
    let (lamp, vase) = (shop.in_stock("Lamp", 500).await, shop.in_stock("Vase", 500).await);
    let late: Vec<OrderId> = (0..130).map(|_| OrderId::new()).collect();
    for &order in &late {
        let expires_at = Utc::now() - TimeDelta::seconds(1);
        shop.api.reserve(ReserveStock { expires_at, ..reserve(order, &[(vase, 1), (lamp, 2)]) }).await.unwrap();
    }
    let (kept, sold, moved) = (OrderId::new(), OrderId::new(), late[0]);
    shop.api.reserve(reserve(kept, &[(lamp, 1)])).await.unwrap();
    shop.api.reserve(reserve(sold, &[(lamp, 1)])).await.unwrap();
    shop.api.commit_reservation(sold).await.unwrap();
    // The same order again moves its deadline.
    shop.api.reserve(reserve(moved, &[(lamp, 2), (vase, 1)])).await.unwrap();
    assert_eq!(shop.level(lamp).await, (499, 261));

    let job = shop.module.jobs().into_iter().find(|job| job.name() == "product.free_overdue").unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(job.run(shop.base.db("products"), stopped));
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while shop.level(lamp).await != (499, 3) {
        assert!(tokio::time::Instant::now() < deadline, "still {:?}", shop.level(lamp).await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    assert_eq!(shop.level(vase).await, (500, 1));
    assert_eq!(shop.findings().await, []);
}
