//! What has arrived comes back: asked for, decided by staff, refunded.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Shop, id};

/// A guest's order of so many of a thing for 30.00, delivered. Gives it with the path and the thing.
async fn delivered(shop: &Shop, admin: &str, quantity: i64) -> (Value, String, String) {
    let scarf = shop.product(admin, "Wool Scarf", 3_000, 10).await;
    let order = shop.guest_order(&scarf, quantity, Some("pm_card_visa")).await;
    let path = format!("/api/v1/orders/{}", id(&order));
    for to in ["shipped", "delivered"] {
        let change = Some(json!({"to": to}));
        shop.send("POST", &format!("{path}/transitions"), &[("authorization", admin)], change).await.expect(200);
    }
    (order, path, scarf)
}

async fn ask(shop: &Shop, order: &Value, key: &str, variant: &str, quantity: i64) -> Answer {
    let headers = [("x-order-token", order["token"].as_str().unwrap()), ("idempotency-key", key)];
    let body = json!({"items": [{"variant_id": variant, "quantity": quantity}], "reason": "too warm"});
    shop.send("POST", &format!("/api/v1/orders/{}/returns", id(order)), &headers, Some(body)).await
}

pub async fn a_return_is_accepted_and_refunded(shop: &Shop) {
    let admin = shop.admin().await;
    let (order, path, scarf) = delivered(shop, &admin, 3).await;
    let (staff, guest) = ([("authorization", admin.as_str())], [("x-order-token", order["token"].as_str().unwrap())]);
    let asked = ask(shop, &order, "one", &scarf, 2).await;
    let place = asked.header("location");
    let asked = asked.expect(201);
    assert_eq!(
        (&asked["status"], place.as_str()),
        (&json!("requested"), format!("{path}/returns/{}", id(&asked)).as_str())
    );
    let again = ask(shop, &order, "one", &scarf, 2).await;
    assert_eq!((again.header("idempotency-replayed").as_str(), id(&again.expect(201))), ("true", id(&asked)));
    shop.assert_available(&scarf, 7).await;

    let accepted = shop.send("POST", &format!("{place}/accept"), &staff, None).await.expect(200);
    assert_eq!((&accepted["refund_amount"]["amount"], &accepted["restocked"]), (&json!(6_000), &json!(true)));
    let read = shop.until(&place, &guest, |made| made["status"] == "refunded").await;
    assert_eq!((&read["refund"]["status"], &read["reason"]), (&json!("succeeded"), &json!("too warm")));
    let is_back = |order: &Value| order["payment"]["refunded_amount"]["amount"] == 6_000;
    let order_now = shop.until(&path, &guest, is_back).await;
    assert_eq!((&order_now["status"], &order_now["items"][0]["returned_quantity"]), (&json!("delivered"), &json!(2)));
    assert_eq!((&order_now["refunds"][0]["id"], order_now["refunds"].as_array().unwrap().len()), (&asked["id"], 1));
    shop.assert_available(&scarf, 9).await;
    shop.send("POST", &format!("{place}/accept"), &staff, None).await.expect(200);
    shop.assert_available(&scarf, 9).await;

    // The last one is worn: less for it, and it is not for sale again.
    let worn = ask(shop, &order, "two", &scarf, 1).await;
    let terms = json!({"restock": false, "refund_amount": {"amount": 1_000, "currency": "USD"}, "note": "worn"});
    let verdict = format!("{}/accept", worn.header("location"));
    shop.send("POST", &verdict, &staff, Some(terms)).await.expect(200);
    let is_back = |order: &Value| order["payment"]["refunded_amount"]["amount"] == 7_000;
    shop.until(&path, &guest, is_back).await;
    shop.assert_available(&scarf, 9).await;
    let list = shop.get(&format!("{path}/returns"), &guest).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let events: Vec<String> = shop.get(&format!("{path}/timeline"), &guest).await["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} by {}", entry["event"].as_str().unwrap(), entry["actor"]["type"].as_str().unwrap()))
        .collect();
    let (asked, taken) = ("return_requested by guest", "return_accepted by admin");
    assert_eq!(events[events.len() - 4..], [asked, taken, asked, taken]);
}

pub async fn a_return_is_rejected_and_asked_for_again(shop: &Shop) {
    let admin = shop.admin().await;
    let (order, path, scarf) = delivered(shop, &admin, 1).await;
    let staff = [("authorization", admin.as_str())];
    let asked = ask(shop, &order, "one", &scarf, 1).await;
    let place = asked.header("location");
    asked.expect(201);
    let more = ask(shop, &order, "two", &scarf, 1).await;
    assert_eq!((more.status, more.body["code"].as_str()), (409, Some("exceeds_ordered")));
    let reason = Some(json!({"reason": "worn"}));
    let rejected = shop.send("POST", &format!("{place}/reject"), &staff, reason).await.expect(200);
    assert_eq!((&rejected["status"], &rejected["note"]), (&json!("rejected"), &json!("worn")));
    let late = shop.send("POST", &format!("{place}/accept"), &staff, None).await;
    assert_eq!((late.status, late.body["code"].as_str()), (409, Some("return_decided")));
    ask(shop, &order, "three", &scarf, 1).await.expect(201);
    let read = shop.get(&path, &staff).await;
    assert_eq!((&read["items"][0]["returned_quantity"], &read["refunds"]), (&json!(0), &json!([])));
    shop.assert_available(&scarf, 9).await;
}

/// Whoever asks and whoever decides at the same moment, no more comes back than was bought, and once.
pub async fn returns_race_and_nothing_comes_back_twice(shop: &Shop) {
    let admin = shop.admin().await;
    let (order, path, scarf) = delivered(shop, &admin, 3).await;
    let keys: Vec<String> = (0..8).map(|number| format!("key-{}", number / 2)).collect();
    let answers = join_all(keys.iter().map(|key| ask(shop, &order, key, &scarf, 2))).await;
    let made: std::collections::BTreeSet<String> =
        answers.iter().filter(|answer| answer.status == 201).map(|answer| answer.header("location")).collect();
    assert_eq!(made.len(), 1, "{:?}", answers.iter().map(|answer| &answer.text).collect::<Vec<_>>());
    let place = made.first().unwrap();
    let staff = [("authorization", admin.as_str())];
    let decisions = join_all((0..6).map(|number| async move {
        let (verb, body) = if number % 2 == 0 { ("accept", json!({})) } else { ("reject", json!({"reason": "no"})) };
        shop.send("POST", &format!("{place}/{verb}"), &staff, Some(body)).await.status
    }))
    .await;
    let accepted = decisions[0] == 200;
    let expected: Vec<u16> = (0..6).map(|number| if (number % 2 == 0) == accepted { 200 } else { 409 }).collect();
    assert_eq!(decisions, expected);
    let (refunded, available) = if accepted { (6_000, 9) } else { (0, 7) };
    shop.until(&path, &staff, |order| order["payment"]["refunded_amount"]["amount"] == refunded).await;
    shop.assert_available(&scarf, available).await;
}
