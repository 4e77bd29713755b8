//! A person who leaves traces wherever there is room for one, each a text that occurs nowhere else.

use serde_json::{Value, json};

use crate::flows::payments::webhook;
use crate::support::{PASSWORD, Shop, id};

/// Every planted text. The email is made of two parts, since its domain is nothing of the person's.
pub const PLANTED: [&str; 16] = [
    "planted-email-7f3a",
    "PlantedName91bc",
    "5550731924",
    "planted-agent-5d20",
    "PlantedLabel66e1",
    "PlantedLine3c48",
    "PlantedFloor1a9e",
    "PlantedCity0aa9",
    "PlantedRegion77d2",
    "PL4NT3D",
    "PlantedCompany2b61",
    "planted-key-c0de",
    "PlantedReason8e15",
    "PlantedReturn4fd0",
    "PlantedRefund93aa",
    "PlantedBilling6cb7",
];

pub const EMAIL: &str = "planted-email-7f3a@example.com";
/// The secret of the sandbox's webhooks, unless another is set.
const WEBHOOKS: &str = "whsec_sandbox";

/// What is left of the person in the books.
pub struct Traces {
    pub authorization: String,
    pub admin: String,
    pub variant: String,
    /// Ids of the orders, those of the account first, then the guest's.
    pub orders: Vec<String>,
    pub payment: String,
}

fn home(label: &str) -> Value {
    json!({
        "name": label, "line1": "PlantedLine3c48 1", "line2": "PlantedFloor1a9e", "city": "PlantedCity0aa9",
        "region": "PlantedRegion77d2", "postal_code": "PL4NT3D", "country": "GB", "phone": "+49 5550731924",
    })
}

/// Registers, confirms the email, buys as a customer and as a guest, has something cancelled and something returned.
pub async fn lived(shop: &Shop) -> Traces {
    let admin = shop.admin().await;
    let variant = shop.product(&admin, "Linen Shirt", 4_900, 50).await;
    let account = json!({"email": EMAIL, "password": PASSWORD, "full_name": "PlantedName91bc"});
    shop.send("POST", "/api/v1/users", &[], Some(account)).await.expect(201);
    let token = json!({"token": shop.mailed_token(EMAIL, "confirm").await});
    assert_eq!(shop.send("POST", "/api/v1/auth/verify-email", &[], Some(token)).await.status, 204);
    let login = json!({"email": EMAIL, "password": PASSWORD});
    let agent = [("user-agent", "planted-agent-5d20")];
    let tokens = shop.send("POST", "/api/v1/auth/login", &agent, Some(login)).await.expect(200);
    let authorization = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let me = [("authorization", authorization.as_str())];
    let profile = json!({"phone": "+49 5550731924"});
    shop.send("PATCH", "/api/v1/users/me", &me, Some(profile)).await.expect(200);
    let mut address = home("PlantedLabel66e1");
    address["is_default"] = json!(true);
    shop.send("POST", "/api/v1/users/me/addresses", &me, Some(address)).await.expect(201);
    // A letter that is never answered.
    let forgotten = json!({"email": EMAIL});
    assert_eq!(shop.send("POST", "/api/v1/auth/password-reset", &[], Some(forgotten)).await.status, 202);
    shop.mailed_token(EMAIL, "password").await;

    let mut traces = Traces { authorization, admin, variant, orders: Vec::new(), payment: String::new() };
    let returned = traces.order(shop, "planted-key-c0de-1").await;
    let cut = traces.order(shop, "planted-key-c0de-2").await;
    let cancelled = traces.order(shop, "planted-key-c0de-3").await;
    traces.give_back(shop, &returned).await;
    traces.cancel(shop, &cut, &cancelled).await;
    let guest = traces.guest_order(shop).await;
    traces.payment = id(&returned["payment"]).to_owned();
    traces.orders = [&returned, &cut, &cancelled, &guest].map(|order| id(order).to_owned()).into();
    let open = shop.get("/api/v1/carts/mine", &[("authorization", &traces.authorization)]).await;
    traces.fill(shop, id(&open)).await;
    traces
}

impl Traces {
    async fn fill(&self, shop: &Shop, cart: &str) {
        let line = json!({"variant_id": self.variant, "quantity": 3});
        let me = [("authorization", self.authorization.as_str())];
        shop.send("POST", &format!("/api/v1/carts/{cart}/items"), &me, Some(line)).await.expect(201);
    }

    /// Three shirts, paid; what the gateway tells of it has a name in it.
    async fn order(&self, shop: &Shop, key: &str) -> Value {
        let me = [("authorization", self.authorization.as_str()), ("idempotency-key", key)];
        let cart = shop.get("/api/v1/carts/mine", &me).await;
        self.fill(shop, id(&cart)).await;
        let order = json!({
            "cart_id": id(&cart), "shipping_address": home("PlantedCompany2b61"),
            "billing_address": home("PlantedName91bc"), "payment_method": "pm_card_visa",
        });
        let order = shop.send("POST", "/api/v1/orders", &me, Some(order)).await.expect(201);
        assert_eq!(order["status"], "paid");
        let payment = shop.get(&format!("/api/v1/payments/{}/transactions", id(&order["payment"])), &me).await;
        let event = json!({
            "id": shop.unique("evt"), "type": "payment_intent.succeeded",
            "data": {"object": {
                "id": payment["items"][0]["gateway_reference"], "amount": 14_700, "amount_received": 14_700,
                "metadata": {"payment_id": id(&order["payment"])},
                "billing_details": {"name": "PlantedBilling6cb7", "email": EMAIL},
            }},
        });
        assert_eq!(webhook(shop, WEBHOOKS, &event).await.status, 200);
        order
    }

    async fn give_back(&self, shop: &Shop, order: &Value) {
        let staff = |key: &'static str| [("authorization", self.admin.as_str()), ("idempotency-key", key)];
        let path = format!("/api/v1/orders/{}", id(order));
        for to in ["shipped", "delivered"] {
            let tracking = json!({"carrier": "PlantedCompany2b61", "number": "PL4NT3D"});
            let body = if to == "shipped" { json!({"to": to, "tracking": tracking}) } else { json!({"to": to}) };
            shop.send("POST", &format!("{path}/transitions"), &staff("s"), Some(body)).await.expect(200);
        }
        let me = [("authorization", self.authorization.as_str()), ("idempotency-key", "planted-key-c0de-4")];
        let wanted = json!({"items": [{"variant_id": self.variant, "quantity": 1}], "reason": "PlantedReturn4fd0"});
        let asked = shop.send("POST", &format!("{path}/returns"), &me, Some(wanted)).await.expect(201);
        let accept = format!("{path}/returns/{}/accept", id(&asked));
        let note = json!({"note": "to PlantedName91bc"});
        shop.send("POST", &accept, &staff("a"), Some(note)).await.expect(200);
        let refund = json!({"amount": {"amount": 100, "currency": "USD"}, "reason": "PlantedRefund93aa"});
        let path = format!("/api/v1/payments/{}/refunds", id(&order["payment"]));
        shop.send("POST", &path, &staff("planted-refund"), Some(refund)).await.expect(201);
    }

    async fn cancel(&self, shop: &Shop, cut: &Value, cancelled: &Value) {
        let staff = [("authorization", self.admin.as_str()), ("idempotency-key", "cut")];
        let part = json!({"items": [{"variant_id": self.variant, "quantity": 1}], "reason": "PlantedReason8e15"});
        shop.send("POST", &format!("/api/v1/orders/{}/cancel", id(cut)), &staff, Some(part)).await.expect(200);
        let me = [("authorization", self.authorization.as_str()), ("idempotency-key", "planted-key-c0de-5")];
        let reason = json!({"reason": "PlantedReason8e15"});
        let path = format!("/api/v1/orders/{}/cancel", id(cancelled));
        shop.send("POST", &path, &me, Some(reason)).await.expect(200);
    }

    /// As a guest, under the same email.
    async fn guest_order(&self, shop: &Shop) -> Value {
        let (cart, token) = shop.guest_cart(&[(&self.variant, 1)]).await;
        let order = json!({
            "cart_id": cart, "email": "Planted-EMAIL-7f3a@example.com",
            "shipping_address": home("PlantedName91bc"), "payment_method": "pm_card_visa",
        });
        let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "planted-key-c0de-6")];
        shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201)
    }
}
