//! What goes along with a request: ids, versions, keys. Whichever process it meets.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Shop, address, id, is_problem};

pub async fn request_ids_and_traces_are_taken(shop: &Shop) {
    for path in ["/api/v1/products", "/api/v1/users/me", "/api/v1/carts/x", "/api/v1/orders", "/api/v1/payments"] {
        let answer = shop.send("GET", path, &[("x-request-id", "abc-123")], None).await;
        assert_eq!(answer.header("x-request-id"), "abc-123", "{path}");
        let answer = shop.send("GET", path, &[("x-request-id", "no spaces please")], None).await;
        assert!(!["", "no spaces please"].contains(&answer.header("x-request-id").as_str()), "{path}");
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let answer = shop.send("GET", path, &[("traceparent", trace)], None).await;
        assert_eq!(answer.header("traceparent"), trace, "{path}");
    }
}

pub async fn the_documents_are_served(shop: &Shop) {
    assert_eq!(shop.get("/openapi.json", &[]).await["openapi"], "3.1.0");
    let docs = shop.send("GET", "/docs/", &[], None).await;
    assert!(docs.status == 200 && docs.text.contains("swagger-ui"), "{}", docs.text);
    // Compressed for whoever takes that, which the client of this test does not undo.
    let style = shop.send("GET", "/docs/swagger-ui.css", &[], None).await;
    let squeezed = shop.send("GET", "/docs/swagger-ui.css", &[("accept-encoding", "br;q=0.9, gzip")], None).await;
    let lengths = [&style, &squeezed].map(|answer| answer.header("content-length").parse::<u64>().unwrap());
    assert!(style.text.contains(".swagger-ui") && lengths[1] < lengths[0] / 3, "{lengths:?}");
    assert_eq!([&style, &squeezed].map(|answer| answer.header("content-encoding")), ["", "gzip"]);
    assert_eq!([&style, &squeezed].map(|answer| answer.header("vary")), ["accept-encoding"; 2]);
}

pub async fn a_stale_change_is_refused_wherever_it_arrives(shop: &Shop) {
    let admin = shop.admin().await;
    let of_admin = ("authorization", admin.as_str());
    let product = json!({"title": "Linen Shirt", "variants": [{"price": {"amount": 1, "currency": "USD"}}]});
    let made = shop.send("POST", "/api/v1/products", &[of_admin], Some(product)).await;
    let (path, etag) = (made.header("location"), made.header("etag"));
    assert!(!etag.is_empty() && !path.is_empty());
    for _ in 0..shop.pods {
        let known = shop.send("GET", &path, &[("if-none-match", &etag), of_admin], None).await;
        assert_eq!(known.status, 304);
    }
    let change = |n: usize| Some(json!({"title": format!("Silk Shirt {n}")}));
    let headers = [of_admin, ("if-match", etag.as_str())];
    let answers = join_all((0..6).map(|n| shop.send("PATCH", &path, &headers, change(n)))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412], "one version was changed more than once");
    for _ in 0..2 * shop.pods {
        let stale = shop.send("PATCH", &path, &headers, change(7)).await;
        is_problem(&stale, &[412], "etag_mismatch");
    }
    let head = shop.send("HEAD", &path, &[], None).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

pub async fn a_key_is_good_once_wherever_it_arrives(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 2)]).await;
    let order = json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address()});
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "order")];
    let first = shop.send("POST", "/api/v1/orders", &headers, Some(order.clone())).await.expect(201);
    for _ in 0..2 * shop.pods {
        let again = shop.send("POST", "/api/v1/orders", &headers, Some(order.clone())).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.expect(201), first, "the first answer, word for word");
    }
    let mut other = order;
    other["email"] = json!("other@example.com");
    let reused = shop.send("POST", "/api/v1/orders", &headers, Some(other)).await;
    is_problem(&reused, &[422], "idempotency_key_reused");

    let payment = format!("/api/v1/payments/{}", id(&first["payment"]));
    let of_order = ("x-order-token", first["token"].as_str().unwrap());
    let visa = json!({"payment_method": "pm_card_visa"});
    let confirm = format!("{payment}/confirm");
    is_problem(&shop.send("POST", &confirm, &[of_order], Some(visa.clone())).await, &[428], "idempotency_key_required");
    let headers = [of_order, ("idempotency-key", "pay")];
    for _ in 0..2 * shop.pods {
        let paid = shop.send("POST", &confirm, &headers, Some(visa.clone())).await.expect(200);
        assert_eq!(paid["captured_amount"]["amount"], 9_800);
    }
    let refund = json!({"amount": {"amount": 100, "currency": "USD"}});
    let headers = [("authorization", admin.as_str()), ("idempotency-key", id(&first))];
    for _ in 0..2 * shop.pods {
        shop.send("POST", &format!("{payment}/refunds"), &headers, Some(refund.clone())).await.expect(201);
    }
    let read = shop.get(&payment, &[of_order]).await;
    assert_eq!(read["refunded_amount"]["amount"], 100);
    let charges = |history: &Value| history["items"].as_array().unwrap().len();
    assert_eq!(charges(&shop.get(&format!("{payment}/transactions"), &[of_order]).await), 2);
}
