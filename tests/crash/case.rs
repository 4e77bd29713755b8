//! One buyer's case: three of a thing at 10.00, of which there are ten, and how it must end.

use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{PASSWORD, Shop, address, id};

/// Whom [`Shop::admin`] makes. Its token is old after a quarter of an hour, which a run may take.
const ADMIN: &str = "admin@example.com";
pub const PRICE: i64 = 1_000;
pub const QUANTITY: i64 = 3;
pub const STOCK: i64 = 10;
/// What the order costs.
pub const TOTAL: i64 = PRICE * QUANTITY;

/// What a scenario is about.
#[derive(Debug)]
pub struct Case {
    pub admin: String,
    pub variant: String,
    pub cart: String,
    pub cart_token: String,
    /// Unique among the cases of a shop, for keys and names.
    pub name: String,
    /// The order as it was answered, if it was placed before the scenario begins.
    pub order: Value,
}

/// How a case ends. Amounts are minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub order: &'static str,
    pub payment: &'static str,
    pub captured: i64,
    pub refunded: i64,
    pub on_hand: i64,
    pub reserved: i64,
}

/// The usual end.
pub const PAID: End =
    End { order: "paid", payment: "succeeded", captured: TOTAL, refunded: 0, on_hand: STOCK - QUANTITY, reserved: 0 };

impl Case {
    /// A filled cart.
    pub async fn cart(shop: &Shop, price: i64) -> Self {
        shop.admin().await;
        let admin = shop.sign_in(ADMIN, PASSWORD).await;
        let name = shop.unique("case");
        let variant = shop.product(&admin, &name, price, STOCK).await;
        let (cart, cart_token) = shop.guest_cart(&[(&variant, QUANTITY)]).await;
        Self { admin, variant, cart, cart_token, name, order: Value::Null }
    }

    /// An order, paid if there is a method.
    pub async fn ordered(shop: &Shop, method: Option<&str>) -> Self {
        let case = Self::cart(shop, PRICE).await;
        let key = case.key("order");
        let headers = [("x-cart-token", case.cart_token.as_str()), ("idempotency-key", key.as_str())];
        let order = shop.send("POST", "/api/v1/orders", &headers, Some(case.body(method))).await.expect(201);
        Self { order, ..case }
    }

    /// The request that makes the order.
    pub fn body(&self, method: Option<&str>) -> Value {
        let mut body = json!({"cart_id": self.cart, "email": "guest@example.com", "shipping_address": address()});
        if let Some(method) = method {
            body["payment_method"] = json!(method);
        }
        body
    }

    pub fn key(&self, intent: &str) -> String {
        format!("{}-{intent}", self.name)
    }

    pub fn order_path(&self) -> String {
        format!("/api/v1/orders/{}", id(&self.order))
    }

    pub fn payment(&self) -> &str {
        id(&self.order["payment"])
    }

    pub fn token(&self) -> &str {
        self.order["token"].as_str().unwrap()
    }

    /// How it has ended: one order, one charge that was kept, and the stock to the piece.
    pub async fn ended(&self, owner: &Client, expected: End) -> Result<(), String> {
        let placed = "SELECT o.id::text, o.status, p.id::text, p.status, p.captured_minor, p.refunded_minor
            FROM orders.orders o JOIN payments.payments p ON p.order_id = o.id WHERE o.cart_id::text = $1";
        let placed = owner.query(placed, &[&self.cart]).await.unwrap();
        let [order] = placed.as_slice() else { return Err(format!("{} orders of one cart", placed.len())) };
        let stock = "SELECT on_hand, reserved FROM products.stock_levels WHERE variant_id::text = $1";
        let stock = owner.query_one(stock, &[&self.variant]).await.unwrap();
        let found = (
            (order.get::<_, String>(1), order.get::<_, String>(3)),
            (order.get::<_, i64>(4), order.get::<_, i64>(5)),
            (stock.get::<_, i64>(0), stock.get::<_, i64>(1)),
        );
        let wanted = (
            (expected.order.to_owned(), expected.payment.to_owned()),
            (expected.captured, expected.refunded),
            (expected.on_hand, expected.reserved),
        );
        if found != wanted {
            return Err(format!("it ended as {found:?}, not as {wanted:?}"));
        }
        self.charged(owner, order.get(2), expected).await
    }

    /// What the gateway kept is what it should, and came by one charge.
    async fn charged(&self, owner: &Client, payment: &str, expected: End) -> Result<(), String> {
        let charges = "SELECT captured_minor - refunded_minor FROM payments.sandbox_charges
            WHERE payment_id::text = $1 AND captured_minor > refunded_minor";
        let kept: Vec<i64> =
            owner.query(charges, &[&payment]).await.unwrap().iter().map(|charge| charge.get(0)).collect();
        let wanted: Vec<i64> =
            Some(expected.captured - expected.refunded).filter(|kept| *kept > 0).into_iter().collect();
        if kept == wanted { Ok(()) } else { Err(format!("the gateway kept {kept:?}, not {wanted:?}")) }
    }
}
