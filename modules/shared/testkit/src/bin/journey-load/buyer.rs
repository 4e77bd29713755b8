//! A worker: a journey, one request at a time, and in between a look at the catalogue. Every answer is checked.

use std::rc::Rc;

use eshopz_testkit::load::body::{adds_up, amount, array};
use eshopz_testkit::load::{Call, Dice, Shelf};
use reqwest::Method;
use serde_json::{Value, json};

use crate::Mix;
use crate::client::{Answer, Client};

/// One in so many requests of [`Mix::Shop`] is a step to an order.
const STEP_IN: usize = 20;

const CREATE: &str = "POST /carts";
const ADD: &str = "POST /carts/{id}/items";
const PLACE: &str = "POST /orders";
const READ: &str = "GET /orders/{id}";

/// Why a journey ends early.
enum Setback {
    /// The last one of a variant is gone.
    SoldOut,
    Wrong(&'static str, String),
}

type Outcome<T> = Result<T, Setback>;

/// A guest's cart.
struct Cart {
    id: String,
    token: String,
    variants: Vec<String>,
    total: i64,
}

/// How far a journey is.
#[derive(Default)]
enum Stage {
    #[default]
    Start,
    Filling(Cart),
    Full(Cart),
    Placed {
        id: String,
        token: String,
        total: i64,
    },
}

/// Somebody who buys again and again.
pub struct Buyer {
    client: Rc<Client>,
    shelf: Rc<Shelf>,
    dice: Dice,
    stage: Stage,
}

impl Buyer {
    pub fn new(client: Rc<Client>, shelf: Rc<Shelf>, seed: u64) -> Self {
        Self { client, shelf, dice: Dice::new(seed), stage: Stage::Start }
    }

    /// The next request.
    pub async fn ask(&mut self, mix: Mix) {
        let steps = matches!(mix, Mix::Journey) || self.dice.below(STEP_IN) == 0;
        let outcome = if steps { self.step().await } else { self.browse().await };
        match outcome {
            Ok(()) => {}
            Err(Setback::SoldOut) => self.client.tally.borrow_mut().sold_out += 1,
            Err(Setback::Wrong(operation, why)) => self.client.tally.borrow_mut().wrong(operation, &why),
        }
    }

    /// The journey's next step; it begins anew after the last one, and after a setback.
    async fn step(&mut self) -> Outcome<()> {
        self.stage = match std::mem::take(&mut self.stage) {
            Stage::Start => Stage::Filling(self.create().await?),
            Stage::Filling(cart) => {
                let cart = self.add(cart).await?;
                if cart.variants.len() < 2 { Stage::Filling(cart) } else { Stage::Full(cart) }
            }
            Stage::Full(cart) => self.place(&cart).await?,
            Stage::Placed { id, token, total } => {
                self.read_back(&id, &token, total).await?;
                self.client.tally.borrow_mut().journeys += 1;
                Stage::Start
            }
        };
        Ok(())
    }

    async fn create(&self) -> Outcome<Cart> {
        let call = Call {
            operation: CREATE,
            method: Method::POST,
            path: "/api/v1/carts".to_owned(),
            headers: &[],
            body: None,
        };
        let reply = self.expect(call, 201).await?;
        let body = &reply.body;
        let right = body["status"] == "open" && body["items"].as_array().is_some_and(Vec::is_empty);
        check(right, CREATE, "is not an open, empty cart", body)?;
        Ok(Cart { id: text(CREATE, body, "id")?, token: text(CREATE, body, "token")?, variants: Vec::new(), total: 0 })
    }

    async fn add(&mut self, mut cart: Cart) -> Outcome<Cart> {
        let shelf = self.shelf.clone();
        let line = shelf.take(&mut self.dice, cart.variants.first().map(String::as_str));
        let line = line.ok_or_else(|| Setback::Wrong(ADD, "everything is sold: restock the shop".to_owned()))?;
        let call = Call {
            operation: ADD,
            method: Method::POST,
            path: format!("/api/v1/carts/{}/items", cart.id),
            headers: &[("x-cart-token", &cart.token)],
            body: Some(json!({"variant_id": line.variant, "quantity": 1})),
        };
        let reply = self.in_stock(call, &[&line.variant]).await?;
        // The first of two identical requests may have had its effect, whatever its answer was.
        let repeated = reply.repeated;
        check(reply.status == 201 || repeated && reply.status == 200, ADD, "is not 201", &reply.body)?;
        let body = &reply.body;
        let items = array(&body["items"]);
        let added = items.iter().find(|item| item["variant_id"] == line.variant.as_str());
        let quantity = added.and_then(|item| item["quantity"].as_i64()).unwrap_or(0);
        check(quantity == 1 || repeated && quantity == 2, ADD, "has not one of the variant", body)?;
        check(added.map(|item| amount(&item["unit_price"])) == Some(line.price), ADD, "has another price", body)?;
        check(items.len() == cart.variants.len() + 1, ADD, "has other lines", body)?;
        check(adds_up(body), ADD, "does not add up", body)?;
        cart.variants.push(line.variant.clone());
        cart.total = amount(&body["totals"]["total"]);
        Ok(cart)
    }

    async fn place(&self, cart: &Cart) -> Outcome<Stage> {
        let key = format!("order-of-{}", cart.id);
        let body = json!({
            "cart_id": cart.id, "email": "ada@example.com", "payment_method": "pm_card_visa",
            "shipping_address": {
                "name": "Ada Lovelace", "line1": "12 St James Square", "city": "London", "postal_code": "SW1Y 4JH",
                "country": "GB",
            },
        });
        let call = Call {
            operation: PLACE,
            method: Method::POST,
            path: "/api/v1/orders".to_owned(),
            headers: &[("x-cart-token", &cart.token), ("idempotency-key", &key)],
            body: Some(body),
        };
        let variants: Vec<&str> = cart.variants.iter().map(String::as_str).collect();
        let reply = self.in_stock(call, &variants).await?;
        let body = &reply.body;
        check(reply.status == 201, PLACE, "is not 201", body)?;
        check(body["status"] == "paid" && body["payment"]["status"] == "succeeded", PLACE, "is not paid", body)?;
        let has = |variant: &&str| array(&body["items"]).iter().any(|item| item["variant_id"] == **variant);
        check(variants.iter().all(has), PLACE, "has other lines than the cart", body)?;
        check(amount(&body["totals"]["total"]) == cart.total && adds_up(body), PLACE, "has another total", body)?;
        check(amount(&body["payment"]["amount"]) == cart.total, PLACE, "took another amount", body)?;
        Ok(Stage::Placed { id: text(PLACE, body, "id")?, token: text(PLACE, body, "token")?, total: cart.total })
    }

    async fn read_back(&self, id: &str, token: &str, total: i64) -> Outcome<()> {
        let headers = [("x-order-token", token)];
        let path = format!("/api/v1/orders/{id}");
        let call = Call { operation: READ, method: Method::GET, path, headers: &headers, body: None };
        let body = self.expect(call, 200).await?.body;
        let right = body["id"] == id && body["status"] == "paid" && amount(&body["totals"]["total"]) == total;
        check(right && adds_up(&body), READ, "is not the order that was placed", &body)
    }

    /// A look at the catalogue.
    async fn browse(&mut self) -> Outcome<()> {
        let shelf = self.shelf.clone();
        let Some(product) = shelf.look(&mut self.dice) else { return Ok(()) };
        let (operation, path) = match self.dice.below(10) {
            0..4 => ("GET /products/{handle}", format!("/api/v1/products/{}", product.handle)),
            4..6 => ("GET /products/{id}", format!("/api/v1/products/{}", product.id)),
            6..9 => ("GET /products", "/api/v1/products?limit=20".to_owned()),
            _ => ("GET /categories", "/api/v1/categories".to_owned()),
        };
        let body = self.expect(Call::get(operation, path), 200).await?.body;
        let right = match operation {
            "GET /products" | "GET /categories" => !array(&body["items"]).is_empty(),
            _ => body["id"] == product.id.as_str() && body["handle"] == product.handle.as_str(),
        };
        check(right, operation, "is not what was asked for", &body)
    }

    async fn expect(&self, call: Call<'_>, status: u16) -> Outcome<Answer> {
        let operation = call.operation;
        let reply = self.client.call(call).await.map_err(|why| Setback::Wrong(operation, why))?;
        check(reply.status == status, operation, &format!("is {} and not {status}", reply.status), &reply.body)?;
        Ok(reply)
    }

    /// Asks for something that others may have bought up.
    async fn in_stock(&self, call: Call<'_>, variants: &[&str]) -> Outcome<Answer> {
        let operation = call.operation;
        let reply = self.client.call(call).await.map_err(|why| Setback::Wrong(operation, why))?;
        if reply.status == 409 && reply.body["code"] == "insufficient_stock" {
            variants.iter().for_each(|variant| self.shelf.sold_out(variant));
            return Err(Setback::SoldOut);
        }
        Ok(reply)
    }
}

fn check(right: bool, operation: &'static str, what: &str, body: &Value) -> Outcome<()> {
    if right { Ok(()) } else { Err(Setback::Wrong(operation, format!("the answer {what}: {body}"))) }
}

fn text(operation: &'static str, body: &Value, field: &str) -> Outcome<String> {
    let found = body.get(field).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| Setback::Wrong(operation, format!("the answer has no {field}: {body}")))
}
