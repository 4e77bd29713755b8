//! From a cart to an order, in all the ways in which a checkout can go, and all the ways to pay.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use eshopz_testkit::load::body::{adds_up, amount, array, text};
use eshopz_testkit::load::{Call, Dice};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Outcome, Setback};
use crate::ledger::{Cart, Holder, Order, SharedOrder};
use crate::shop::{Shop, address};

const PLACE: &str = "POST /orders";

/// How a buyer goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Plain,
    /// The same request several times at once.
    Twins,
    /// The same under several keys.
    Rivals,
    /// Gone before the answer, and there again.
    HangUp,
}

/// How the order is to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payment {
    AtOnce,
    Later,
    Declined,
    Authenticated,
    Silent,
}

impl Payment {
    fn any(dice: &mut Dice) -> Self {
        match dice.below(20) {
            0..10 => Self::AtOnce,
            10..14 => Self::Later,
            14..16 => Self::Declined,
            16..19 => Self::Authenticated,
            _ => Self::Silent,
        }
    }

    const fn method(self) -> Option<&'static str> {
        match self {
            Self::AtOnce => Some("pm_card_visa"),
            Self::Later => None,
            Self::Declined => Some("pm_card_chargeDeclined"),
            Self::Authenticated => Some("pm_card_authenticationRequired"),
            Self::Silent => Some("pm_sandbox_timeout"),
        }
    }
}

impl Shop {
    /// Orders a cart; none when that was refused.
    pub async fn check_out(&self, cart: &Cart, dice: &mut Dice) -> Outcome<Option<(SharedOrder, Payment)>> {
        let payment = Payment::any(dice);
        let body = order_of(cart, payment);
        let keys = [self.client.unique("order"), self.client.unique("order"), self.client.unique("order")];
        let manner = match dice.below(10) {
            0..6 => Manner::Plain,
            6 | 7 => Manner::Twins,
            8 => Manner::Rivals,
            _ => Manner::HangUp,
        };
        let answers = match manner {
            Manner::Plain => vec![self.place(cart, &body, &keys[0]).await],
            Manner::Twins => join_all([0, 0, 0].map(|key: usize| self.place(cart, &body, &keys[key]))).await,
            Manner::Rivals => join_all([0, 1, 2].map(|key: usize| self.place(cart, &body, &keys[key]))).await,
            Manner::HangUp => {
                let after = u64::try_from(dice.below(150)).unwrap_or(0);
                self.abandon(cart, &body, &keys[0], Duration::from_millis(after)).await;
                vec![self.place(cart, &body, &keys[0]).await]
            }
        };
        self.judge(cart, payment, answers)
    }

    async fn place(&self, cart: &Cart, body: &Value, key: &str) -> Outcome<Answer> {
        let (name, value) = cart.holder.header();
        let headers = [(name, value.as_str()), ("idempotency-key", key)];
        self.client.expect(&place_call(&headers, body), &[200, 201, 402, 409]).await
    }

    async fn abandon(&self, cart: &Cart, body: &Value, key: &str, after: Duration) {
        let (name, value) = cart.holder.header();
        let headers = [(name, value.as_str()), ("idempotency-key", key)];
        self.client.hang_up(&place_call(&headers, body), after).await;
    }

    /// Writes down what was told. However many were answered, they must have been told of one order.
    fn judge(
        &self,
        cart: &Cart,
        payment: Payment,
        answers: Vec<Outcome<Answer>>,
    ) -> Outcome<Option<(SharedOrder, Payment)>> {
        let mut placed: Option<SharedOrder> = None;
        let mut refused = 0;
        let all = answers.len();
        for answer in answers {
            let answer = answer?;
            let body = &answer.reply.body;
            let shown = if answer.reply.status == 402 { &body["order"] } else { body };
            if answer.reply.status == 409 {
                self.check(body["code"] == "insufficient_stock", PLACE, &format!("cart {}", cart.id), body);
                refused += 1;
                continue;
            }
            self.check_answer(cart, payment, &answer);
            match &placed {
                Some(order) => self.join_orders(order, shown),
                None => placed = Some(self.write_down(cart, payment, shown)),
            }
        }
        match placed {
            Some(order) => {
                // What is scarce may have come back between two of them.
                let is_scarce = cart.lines.keys().any(|variant| self.scarce.contains(variant));
                self.check(refused == 0 || is_scarce, PLACE, "twins were refused what one was given", &json!(cart.id));
                self.client.tally.borrow_mut().count("orders placed");
                Ok(Some((order, payment)))
            }
            None if refused == all => {
                self.ledger.borrow_mut().refused.push(cart.id.clone());
                Ok(None)
            }
            None => Err(Setback::Lost),
        }
    }

    fn check_answer(&self, cart: &Cart, payment: Payment, answer: &Answer) {
        let body = &answer.reply.body;
        let about = format!("cart {}, request {}", cart.id, answer.reply.request_id);
        if answer.reply.status == 402 {
            let may = matches!(payment, Payment::Declined) || is_gateways(&text(body, "code"));
            self.check(may, PLACE, &format!("{about}: declined"), body);
            return;
        }
        let right = amount(&body["totals"]["total"]) == cart.total && adds_up(body);
        self.check(right, PLACE, &format!("{about}: another total than {}", cart.total), body);
        let ordered = lines_of(body);
        let wanted = cart.lines.iter().filter_map(|(variant, line)| Some((variant.clone(), *line.may_be.first()?)));
        self.check(ordered == wanted.collect(), PLACE, &format!("{about}: other lines than the cart"), body);
    }

    fn write_down(&self, cart: &Cart, payment: Payment, shown: &Value) -> SharedOrder {
        let token = text(shown, "token");
        let holder = match &cart.holder {
            Holder::Guest(..) => Holder::Guest("x-order-token", token),
            account @ Holder::Account(_) => account.clone(),
        };
        let paid = shown["status"] == "paid";
        let order = Rc::new(RefCell::new(Order {
            id: text(shown, "id"),
            holder,
            payment: text(&shown["payment"], "id"),
            total: amount(&shown["totals"]["total"]),
            lines: lines_of(shown),
            pays: payment.method().is_some(),
            paid,
            cancels: false,
            cancelled: false,
            shipped: false,
            items_tried: 0,
            items_cancelled: BTreeMap::new(),
            items_returned: BTreeMap::new(),
            captured: None,
            refunds: Vec::new(),
        }));
        self.ledger.borrow_mut().orders.push(order.clone());
        order
    }

    /// Twins are told of the same order; the guest's token may be in one answer only.
    fn join_orders(&self, order: &SharedOrder, shown: &Value) {
        let mut order = order.borrow_mut();
        self.check(shown["id"] == order.id.as_str(), PLACE, &format!("twins of order {}", order.id), shown);
        order.paid |= shown["status"] == "paid";
        if let (Holder::Guest(_, known), false) = (&mut order.holder, text(shown, "token").is_empty()) {
            *known = text(shown, "token");
        }
    }
}

fn place_call<'a>(headers: &'a [(&'static str, &'a str)], body: &Value) -> Call<'a> {
    let path = "/api/v1/orders".to_owned();
    Call { operation: PLACE, method: Method::POST, path, headers, body: Some(body.clone()) }
}

fn order_of(cart: &Cart, payment: Payment) -> Value {
    let mut body = json!({
        "cart_id": cart.id, "shipping_address": address(),
        "expected_total": {"amount": cart.total, "currency": "USD"},
    });
    if let Some(method) = payment.method() {
        body["payment_method"] = json!(method);
    }
    if matches!(cart.holder, Holder::Guest(..)) {
        body["email"] = json!("guest@example.com");
    }
    body
}

/// Whether it is the gateway's trouble and not the card's.
pub fn is_gateways(code: &str) -> bool {
    matches!(code, "gateway_timeout" | "processing_error" | "gateway_unavailable")
}

pub fn lines_of(order: &Value) -> BTreeMap<String, i64> {
    let line = |item: &Value| (text(item, "variant_id"), item["quantity"].as_i64().unwrap_or(-1));
    array(&order["items"]).iter().map(line).collect()
}
