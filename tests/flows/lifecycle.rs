//! Parts of an order are cancelled before it is shipped: just their stock and just their money go back.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Shop, address, id};

/// A guest's order of a shirt for 49.00, three times, and a hat for 25.00, all paid.
async fn two_lines(shop: &Shop, admin: &str) -> (Value, String, String) {
    let shirt = shop.product(admin, "Linen Shirt", 4_900, 10).await;
    let hat = shop.product(admin, "Straw Hat", 2_500, 10).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 3), (&hat, 1)]).await;
    let order = json!({
        "cart_id": cart, "email": "guest@example.com", "shipping_address": address(), "payment_method": "pm_card_visa",
    });
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "order")];
    let order = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
    assert_eq!((&order["status"], &order["refunds"]), (&json!("paid"), &json!([])));
    (order, shirt, hat)
}

fn of(variant: &str, quantity: i64) -> Value {
    json!({"items": [{"variant_id": variant, "quantity": quantity}], "reason": "one too many"})
}

/// All refunds that an order shows are done, and the payment says the same.
fn is_back(amount: i64) -> impl Fn(&Value) -> bool {
    move |order| {
        let refunds = order["refunds"].as_array().unwrap();
        let sum: i64 = refunds.iter().map(|refund| refund["amount"]["amount"].as_i64().unwrap()).sum();
        refunds.iter().all(|refund| refund["status"] == "succeeded")
            && sum == amount
            && order["payment"]["refunded_amount"]["amount"] == amount
    }
}

pub async fn lines_are_cancelled_one_after_the_other(shop: &Shop) {
    let admin = shop.admin().await;
    let (order, shirt, hat) = two_lines(shop, &admin).await;
    let (path, token) = (format!("/api/v1/orders/{}", id(&order)), order["token"].as_str().unwrap());
    let (cancel, guest) = (format!("{path}/cancel"), [("x-order-token", token)]);

    let after = shop.send("POST", &cancel, &guest, Some(of(&shirt, 2))).await.expect(200);
    assert_eq!((&after["status"], &after["totals"]), (&json!("paid"), &order["totals"]));
    assert_eq!((&after["items"][0]["quantity"], &after["items"][0]["cancelled_quantity"]), (&json!(3), &json!(2)));
    let read = shop.until(&path, &guest, is_back(9_800)).await;
    assert_eq!(read["refunds"][0]["reason"], "one too many");
    shop.assert_available(&shirt, 9).await;
    shop.assert_available(&hat, 9).await;

    let over = shop.send("POST", &cancel, &guest, Some(of(&shirt, 2))).await;
    assert_eq!((over.status, over.body["code"].as_str()), (409, Some("exceeds_ordered")));
    assert_eq!(over.body["lines"], json!([{"variant_id": shirt, "requested": 2, "left": 1}]));

    // An admin takes the hat out as well, and what is left is sent.
    let staff = [("authorization", admin.as_str())];
    shop.send("POST", &cancel, &staff, Some(of(&hat, 1))).await.expect(200);
    shop.until(&path, &guest, is_back(12_300)).await;
    shop.assert_available(&hat, 10).await;
    let shipped = Some(json!({"to": "shipped"}));
    shop.send("POST", &format!("{path}/transitions"), &staff, shipped).await.expect(200);
    let late = shop.send("POST", &cancel, &guest, Some(of(&shirt, 1))).await;
    assert_eq!((late.status, late.body["code"].as_str()), (409, Some("invalid_transition")));
    let timeline = shop.get(&format!("{path}/timeline"), &guest).await;
    let told: Vec<(&str, &str, &str)> = timeline["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["event"] == "lines_cancelled")
        .map(|entry| {
            let text = |value: &'static str| entry[value].as_str().unwrap();
            (text("to"), entry["actor"]["type"].as_str().unwrap(), text("reason"))
        })
        .collect();
    assert_eq!(told, [("paid", "guest", "one too many"), ("paid", "admin", "one too many")]);
}

pub async fn the_last_line_cancels_the_order(shop: &Shop) {
    let admin = shop.admin().await;
    let (order, shirt, hat) = two_lines(shop, &admin).await;
    let (path, token) = (format!("/api/v1/orders/{}", id(&order)), order["token"].as_str().unwrap());
    let (cancel, guest) = (format!("{path}/cancel"), [("x-order-token", token)]);
    shop.send("POST", &cancel, &guest, Some(of(&hat, 1))).await.expect(200);
    let last = shop.send("POST", &cancel, &guest, Some(of(&shirt, 3))).await.expect(200);
    assert_eq!((&last["status"], &last["cancel_reason"]), (&json!("cancelled"), &json!("one too many")));
    let total = order["totals"]["total"]["amount"].as_i64().unwrap();
    let read = shop.until(&path, &guest, is_back(total)).await;
    assert_eq!(
        (&read["items"][0]["cancelled_quantity"], &read["items"][1]["cancelled_quantity"]),
        (&json!(3), &json!(1))
    );
    shop.assert_available(&shirt, 10).await;
    shop.assert_available(&hat, 10).await;
}

/// Twins of a cancellation, wherever they arrive, cancel once; others of the same line get what is left.
pub async fn twins_cancel_a_line_once(shop: &Shop) {
    let admin = shop.admin().await;
    let (order, shirt, _) = two_lines(shop, &admin).await;
    let (path, token) = (format!("/api/v1/orders/{}", id(&order)), order["token"].as_str().unwrap());
    let cancel = format!("{path}/cancel");
    let twin = [("x-order-token", token), ("idempotency-key", "cancel")];
    let answers = join_all((0..12).map(|_| shop.send("POST", &cancel, &twin, Some(of(&shirt, 2))))).await;
    let is_told = |status: u16, code: &Value| status == 200 || code == "idempotency_in_progress";
    let others: Vec<_> = answers.iter().filter(|answer| !is_told(answer.status, &answer.body["code"])).collect();
    assert!(others.is_empty() && answers.iter().any(|answer| answer.status == 200), "{others:?}");
    let read = shop.until(&path, &twin[..1], is_back(9_800)).await;
    assert_eq!(read["items"][0]["cancelled_quantity"], 2);
    shop.assert_available(&shirt, 9).await;
}

/// A cart that was ordered is not ordered again for somebody else.
pub async fn an_ordered_cart_goes_nowhere_else(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 1)]).await;
    let mut body = json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address()});
    let of_cart = ("x-cart-token", token.as_str());
    let placed = shop
        .send("POST", "/api/v1/orders", &[of_cart, ("idempotency-key", "first")], Some(body.clone()))
        .await
        .expect(201);
    body["payment_method"] = json!("pm_card_visa");
    for (key, member, value) in [
        ("email", "email", json!("other@example.com")),
        (
            "address",
            "shipping_address",
            json!({"name": "Eve", "line1": "1 Other Street", "city": "London",
            "postal_code": "SW1Y 4JH", "country": "GB"}),
        ),
    ] {
        let mut other = body.clone();
        other[member] = value;
        let refused = shop.send("POST", "/api/v1/orders", &[of_cart, ("idempotency-key", key)], Some(other)).await;
        assert_eq!((refused.status, refused.body["code"].as_str()), (409, Some("cart_ordered")));
        assert_eq!(refused.body["order"], json!({"id": placed["id"], "number": placed["number"]}));
    }
    let again = shop.send("POST", "/api/v1/orders", &[of_cart, ("idempotency-key", "again")], Some(body)).await;
    assert_eq!(again.expect(200)["status"], "paid");
}
