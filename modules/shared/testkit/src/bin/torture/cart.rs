//! Carts: filled and changed by their owner, who keeps account of what must be in them.

use std::collections::{BTreeMap, BTreeSet};

use eshopz_testkit::load::body::{adds_up, amount, array, text};
use eshopz_testkit::load::{Call, Dice};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Outcome, Setback};
use crate::ledger::{Cart, Holder, Line};
use crate::shop::Shop;

const CREATE: &str = "POST /carts";
const ADD: &str = "POST /carts/{id}/items";
const CHANGE: &str = "PATCH /carts/{id}/items/{item}";
const REMOVE: &str = "DELETE /carts/{id}/items/{item}";
const READ: &str = "GET /carts/{id}";

impl Shop {
    /// A guest's empty cart.
    pub async fn guest_cart(&self) -> Outcome<Cart> {
        let call =
            Call { operation: CREATE, method: Method::POST, path: "/api/v1/carts".into(), headers: &[], body: None };
        let reply = self.client.expect(&call, &[201]).await?.reply;
        let token = text(&reply.body, "token");
        self.check(!token.is_empty() && array(&reply.body["items"]).is_empty(), CREATE, "is no new cart", &reply.body);
        let holder = Holder::Guest("x-cart-token", token);
        Ok(Cart { id: text(&reply.body, "id"), holder, lines: BTreeMap::new(), total: 0 })
    }

    /// Puts something into a cart; `false` when that is sold out.
    pub async fn add(&self, cart: &mut Cart, dice: &mut Dice) -> Outcome<bool> {
        let Some(variant) = self.choose(dice) else { return Ok(false) };
        let quantity = i64::from(dice.below(3) == 0) + 1;
        let body = json!({"variant_id": variant, "quantity": quantity});
        let answer = self.edit(ADD, Method::POST, cart, "items", Some(body), &[200, 201, 409]).await?;
        if answer.reply.status == 409 {
            if answer.reply.code() == "insufficient_stock" {
                self.shelf.sold_out(&variant);
            }
            return self.refused(ADD, cart, &answer, "insufficient_stock").await.map(|()| false);
        }
        // Each request before this one may have added to the line too.
        let known =
            cart.lines.entry(variant).or_insert_with(|| Line { item: String::new(), may_be: BTreeSet::from([0]) });
        let more = |have: i64| (1..=i64::from(answer.before) + 1).map(move |times| have + times * quantity);
        known.may_be = known.may_be.iter().copied().flat_map(more).collect();
        self.learn(ADD, cart, &answer);
        Ok(true)
    }

    fn choose(&self, dice: &mut Dice) -> Option<String> {
        match dice.below(4) {
            0 => self.scarce.get(dice.below(self.scarce.len())).cloned(),
            _ => self.shelf.take(dice, None).map(|line| line.variant.clone()),
        }
    }

    /// Changes the quantity of a line, or takes it out.
    pub async fn change(&self, cart: &mut Cart, dice: &mut Dice) -> Outcome<()> {
        let nth = dice.below(cart.lines.len());
        let Some((variant, line)) = cart.lines.iter().nth(nth).map(|(v, l)| (v.clone(), l.clone())) else {
            return Ok(());
        };
        let quantity = i64::try_from(dice.below(4)).unwrap_or(0);
        let path = format!("items/{}", line.item);
        let answer = if quantity == 0 {
            self.edit(REMOVE, Method::DELETE, cart, &path, None, &[200, 404]).await?
        } else {
            let body = json!({"quantity": quantity});
            self.edit(CHANGE, Method::PATCH, cart, &path, Some(body), &[200, 409]).await?
        };
        match answer.reply.status {
            // Gone by a request before, whose answer was lost.
            404 if answer.before > 0 => {
                cart.lines.remove(&variant);
                self.read_cart(cart).await
            }
            404 => {
                self.client.wrong(REMOVE, &format!("a line is gone of itself from cart {}", cart.id));
                Err(Setback::Lost)
            }
            409 => self.refused(CHANGE, cart, &answer, "insufficient_stock").await,
            _ => {
                if let Some(known) = cart.lines.get_mut(&variant) {
                    known.may_be = BTreeSet::from([quantity]);
                }
                self.learn(CHANGE, cart, &answer);
                Ok(())
            }
        }
    }

    /// Reads a cart and compares it with what its owner knows.
    pub async fn read_cart(&self, cart: &mut Cart) -> Outcome<()> {
        let answer = self.edit(READ, Method::GET, cart, "", None, &[200]).await?;
        self.learn(READ, cart, &answer);
        Ok(())
    }

    async fn edit(
        &self,
        operation: &'static str,
        method: Method,
        cart: &Cart,
        below: &str,
        body: Option<Value>,
        statuses: &[u16],
    ) -> Outcome<Answer> {
        let path = format!("/api/v1/carts/{}/{below}", cart.id);
        let (name, value) = cart.holder.header();
        let headers = [(name, value.as_str())];
        let path = path.trim_end_matches('/').to_owned();
        self.client.expect(&Call { operation, method, path, headers: &headers, body }, statuses).await
    }

    /// A refusal that can happen; the cart is then as an earlier attempt of the same request left it.
    async fn refused(&self, operation: &'static str, cart: &mut Cart, answer: &Answer, code: &str) -> Outcome<()> {
        if answer.reply.code() != code {
            self.client.wrong(operation, &format!("409 of cart {}: {}", cart.id, answer.reply.body));
            return Err(Setback::Lost);
        }
        if answer.before > 0 { Err(Setback::Refused) } else { self.read_cart(cart).await }
    }

    /// Holds a cart as it was answered against what it can be; from then on it is what was answered.
    fn learn(&self, operation: &'static str, cart: &mut Cart, answer: &Answer) {
        let body = &answer.reply.body;
        for difference in differences(cart, body) {
            self.client
                .wrong(operation, &format!("cart {}, request {}: {difference}", cart.id, answer.reply.request_id));
        }
        self.check(adds_up(body), operation, "does not add up", body);
        cart.take_over(body);
    }
}

impl Cart {
    /// Takes the cart for what an answer shows.
    pub fn take_over(&mut self, body: &Value) {
        let line = |item: &Value| {
            let quantity = item["quantity"].as_i64().unwrap_or(-1);
            (text(item, "variant_id"), Line { item: text(item, "id"), may_be: BTreeSet::from([quantity]) })
        };
        self.lines = array(&body["items"]).iter().map(line).collect();
        self.total = amount(&body["totals"]["total"]);
    }
}

/// Where a cart is not as its owner knows it.
pub fn differences(cart: &Cart, body: &Value) -> Vec<String> {
    let items = array(&body["items"]);
    let quantity_of = |variant: &str| {
        let item = items.iter().find(|item| item["variant_id"] == variant);
        item.and_then(|item| item["quantity"].as_i64()).unwrap_or(0)
    };
    let known = cart.lines.iter().filter_map(|(variant, line)| {
        let quantity = quantity_of(variant);
        let wrong = !line.may_be.contains(&quantity);
        wrong.then(|| format!("variant {variant} has {quantity}, which should be one of {:?}", line.may_be))
    });
    let others = items.iter().filter(|item| !cart.lines.contains_key(&text(item, "variant_id")));
    known.chain(others.map(|item| format!("a line that nobody added: {item}"))).collect()
}
