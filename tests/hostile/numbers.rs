//! Numbers that no computer word holds, and sums that would leave theirs.

use serde_json::{Value, json};

use super::places::{pointers, with};
use super::{Attacked, is_clean, is_refused_at};

/// Numbers as they can stand in JSON, none of which is a whole number that fits.
fn unfit() -> Vec<String> {
    let tokens = [
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "1e999",
        "-1e999",
        "1e400",
        "-0",
        "0.1",
        "1e-400",
    ];
    let mut unfit: Vec<String> = tokens.map(str::to_owned).into();
    unfit.push(format!("1{}", "0".repeat(4_000)));
    unfit.push(format!("0.{}1", "0".repeat(4_000)));
    unfit
}

#[tokio::test]
async fn what_is_no_number_is_refused_at_its_place() {
    let attacked = Attacked::start().await;
    let mut tried = 0;
    for operation in attacked.with_body() {
        for place in pointers(&operation.body, Value::is_i64) {
            let body = with(&operation.body, &place, json!("@here@")).to_string();
            for number in unfit() {
                let answer = attacked.send(&operation, body.replace("\"@here@\"", &number).into_bytes()).await;
                is_refused_at(&answer, &place, &format!("{} {} {number}", operation.method, operation.template));
            }
            for text in ["NaN", "Infinity", "0x10", "01", "+1", "1_000", "1.", ".1", "--1"] {
                let answer = attacked.send(&operation, body.replace("\"@here@\"", text).into_bytes()).await;
                is_clean(&answer, text);
                assert_eq!(answer.status, 400, "{text}: {}", answer.text);
            }
            for number in [i64::MAX, i64::MIN, i64::from(i32::MAX) + 1, -1, 0] {
                let body = with(&operation.body, &place, json!(number)).to_string();
                let sent = format!("{} {} {place} {number}", operation.method, operation.template);
                is_clean(&attacked.send(&operation, body.into_bytes()).await, &sent);
            }
            tried += 1;
        }
    }
    assert!(tried > 10, "only {tried} numbers");
    for operation in attacked.operations() {
        for (name, _) in operation.queries.iter().filter(|(_, schema)| schema["type"] == "integer") {
            // In a query `-0` is a way to write 0.
            let numbers = unfit().into_iter().filter(|number| number != "-0");
            for number in numbers.chain(["NaN", "%20", "٣", "-1"].map(str::to_owned)) {
                let path = format!("{}?{name}={number}", operation.path);
                is_refused_at(&attacked.get(&path).await, &format!("/{name}"), &path);
            }
        }
    }
    attacked.is_unharmed();
}

/// The dearest thing there can be, as often as there can be lines: the sum is exact, or it is refused.
#[tokio::test]
async fn no_sum_turns_over() {
    let attacked = Attacked::start().await;
    let shop = &attacked.shop;
    let dearest = 10_000_000_000_i64;
    let headers = [("authorization", attacked.admin.as_str())];
    for amount in [dearest + 1, i64::MAX, -1] {
        let product = json!({"title": "x", "variants": [{"price": {"amount": amount, "currency": "USD"}}]});
        is_refused_at(
            &shop.send("POST", "/api/v1/products", &headers, Some(product)).await,
            "/variants/0/price",
            "price",
        );
    }
    let jewel = shop.product(&attacked.admin, "Crown Jewel", dearest, 1_000_000_000).await;
    let (cart, token) = shop.guest_cart(&[]).await;
    let mine = ("x-cart-token", token.as_str());
    let items = format!("/api/v1/carts/{cart}/items");
    for quantity in [100_000, i64::from(u32::MAX), i64::MAX] {
        let answer = shop.send("POST", &items, &[mine], Some(json!({"variant_id": jewel, "quantity": quantity}))).await;
        is_refused_at(&answer, "/quantity", "quantity");
    }
    let line = json!({"variant_id": jewel, "quantity": 99_999});
    let cart = shop.send("POST", &items, &[mine], Some(line.clone())).await.expect(201);
    assert_eq!(cart["totals"]["total"]["amount"], dearest * 99_999);
    // With what is in it already it would be too many.
    is_refused_at(&shop.send("POST", &items, &[mine], Some(line)).await, "/quantity", "twice");

    let order = json!({
        "cart_id": cart["id"], "email": "guest@example.com", "shipping_address": crate::support::address(),
        "payment_method": "pm_card_visa",
    });
    let headers = [mine, ("idempotency-key", "dear")];
    let answer = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await;
    is_clean(&answer, "an order of a quadrillion");
    if answer.status == 201 {
        assert_eq!(answer.body["totals"]["total"]["amount"], dearest * 99_999);
    }
    attacked.is_unharmed();
}

/// A stock that is counted up and down past what a number holds.
#[tokio::test]
async fn no_stock_turns_over() {
    let attacked = Attacked::start().await;
    let shirt = attacked.shop.product(&attacked.admin, "Linen Shirt", 1_900, 1_000_000_000).await;
    let headers = [("authorization", attacked.admin.as_str())];
    let path = format!("/api/v1/variants/{shirt}/stock-adjustments");
    for _ in 0..5 {
        let more = json!({"delta": 1_000_000_000, "reason": "more"});
        let answer = attacked.shop.send("POST", &path, &headers, Some(more)).await;
        is_clean(&answer, "more");
    }
    for delta in [1_000_000_001, i64::MAX, i64::MIN, -1_000_000_001] {
        let answer = attacked.shop.send("POST", &path, &headers, Some(json!({"delta": delta, "reason": "x"}))).await;
        is_refused_at(&answer, "/delta", "delta");
    }
    let variant = attacked.get(&format!("/api/v1/variants/{shirt}")).await.expect(200);
    assert_eq!(variant["on_hand"], 6_000_000_000_i64);
    attacked.is_unharmed();
}
