//! The shop's staff: partial refunds, also two at once, cancellations and parcels.

use eshopz_testkit::load::Dice;
use eshopz_testkit::load::body::{amount, text};
use futures::future::{join, join_all};
use reqwest::Method;
use serde_json::json;

use crate::client::Outcome;
use crate::ledger::SharedOrder;
use crate::shop::{Capture, Request, Shop};

const REFUND: &str = "POST /payments/{id}/refunds";
const COLLECT: &str = "POST /payments/{id}/capture";
const MOVE: &str = "POST /orders/{id}/transitions";
/// Orders that staff looks at are among so many of the last.
const RECENT: usize = 200;

impl Shop {
    /// Does something to an order that somebody has paid for.
    pub async fn staff(&self, dice: &mut Dice) -> Outcome<()> {
        let Some(order) = self.recent_order(dice) else { return Ok(()) };
        match dice.below(10) {
            0..3 if self.capture == Capture::Manual => self.collect(&order, dice).await,
            0..4 => self.refund_part(&order, dice).await,
            4 | 5 => self.refund_twice(&order).await,
            6 => self.cancel(&order, Some(self.admin_header())).await,
            7 => {
                let (cancelled, shipped) =
                    join(self.cancel(&order, Some(self.admin_header())), self.take_to(&order, "shipped")).await;
                cancelled.and(shipped)
            }
            8 => {
                let (cancelled, shipped) = join(self.cancel_item(&order, dice), self.take_to(&order, "shipped")).await;
                cancelled.and(shipped)
            }
            _ => {
                for state in ["processing", "shipped", "delivered"] {
                    self.take_to(&order, state).await?;
                }
                self.return_item(&order, dice).await
            }
        }
    }

    fn recent_order(&self, dice: &mut Dice) -> Option<SharedOrder> {
        let ledger = self.ledger.borrow();
        let recent = ledger.orders.iter().rev().take(RECENT).filter(|order| order.borrow().paid);
        let recent: Vec<&SharedOrder> = recent.collect();
        recent.get(dice.below(recent.len())).map(|order| (*order).clone())
    }

    fn admin_header(&self) -> (&'static str, String) {
        ("authorization", self.admin.borrow().clone())
    }

    /// A part, now and then by twins of one request.
    async fn refund_part(&self, order: &SharedOrder, dice: &mut Dice) -> Outcome<()> {
        let part = (order.borrow().total / 4).max(1);
        let key = self.client.unique("refund");
        let times = if dice.below(4) == 0 { 3 } else { 1 };
        let refunds = join_all((0..times).map(|_| self.refund(order, part, &key))).await;
        let ids: Vec<Option<String>> = refunds.into_iter().collect::<Outcome<_>>()?;
        let same = ids.windows(2).all(|pair| pair.first() == pair.last());
        self.check(same, REFUND, "twins were told of several refunds", &json!(ids));
        Ok(())
    }

    /// Two that are too much together.
    async fn refund_twice(&self, order: &SharedOrder) -> Outcome<()> {
        let most = order.borrow().total * 3 / 5;
        let keys = [self.client.unique("refund"), self.client.unique("refund")];
        let (first, second) = join(self.refund(order, most, &keys[0]), self.refund(order, most, &keys[1])).await;
        let both = first?.is_some() && second?.is_some();
        self.check(!both || most == 0, REFUND, "more was refunded than was paid", &json!(order.borrow().id));
        Ok(())
    }

    /// The refund's id; none when there is not so much left.
    async fn refund(&self, order: &SharedOrder, minor: i64, key: &str) -> Outcome<Option<String>> {
        let payment = order.borrow().payment.clone();
        let request = Request {
            operation: REFUND,
            method: Method::POST,
            path: format!("/api/v1/payments/{payment}/refunds"),
            who: self.admin_header(),
            key: Some(key),
            body: Some(json!({"amount": {"amount": minor, "currency": "USD"}, "reason": "a loose button"})),
        };
        let reply = self.expect(request, &[201, 409]).await?.reply;
        if reply.status == 409 {
            let about = format!("payment {payment}, request {}", reply.request_id);
            self.check(reply.code() == "refund_exceeds_captured", REFUND, &about, &reply.body);
            return Ok(None);
        }
        self.check(amount(&reply.body["amount"]) == minor, REFUND, "is of another amount", &reply.body);
        let id = text(&reply.body, "id");
        let mut order = order.borrow_mut();
        if !order.refunds.iter().any(|(known, _)| *known == id) {
            order.refunds.push((id.clone(), minor));
            self.client.tally.borrow_mut().count("refunds");
        }
        Ok(Some(id))
    }

    /// Collects what is held, whole or in part, now and then by twins.
    async fn collect(&self, order: &SharedOrder, dice: &mut Dice) -> Outcome<()> {
        let (payment, total) = (order.borrow().payment.clone(), order.borrow().total);
        let part = json!({"amount": {"amount": (total * 2 / 3).max(1), "currency": "USD"}});
        let body = if dice.below(2) == 0 { part } else { json!({}) };
        let (key, path) = (self.client.unique("capture"), format!("/api/v1/payments/{payment}/capture"));
        let ask = |_| {
            let (path, who, body) = (path.clone(), self.admin_header(), Some(body.clone()));
            let request =
                Request { operation: COLLECT, method: Method::POST, path, who, key: Some(key.as_str()), body };
            self.expect(request, &[200, 409])
        };
        let times = if dice.below(4) == 0 { 3 } else { 1 };
        for answer in join_all((0..times).map(ask)).await {
            let reply = answer?.reply;
            if reply.status == 409 {
                let known = ["payment_not_capturable", "capture_exceeds_authorized", "gateway_refused"];
                self.check(known.contains(&reply.code()), COLLECT, &format!("payment {payment}"), &reply.body);
                continue;
            }
            let captured = amount(&reply.body["captured_amount"]);
            let before = order.borrow_mut().captured.replace(captured);
            self.check(before.is_none_or(|before| before == captured), COLLECT, "was collected twice", &reply.body);
            if before.is_none() {
                self.client.tally.borrow_mut().count("captures");
            }
        }
        Ok(())
    }

    async fn take_to(&self, order: &SharedOrder, state: &str) -> Outcome<()> {
        let id = order.borrow().id.clone();
        let path = format!("/api/v1/orders/{id}/transitions");
        let body = Some(json!({"to": state}));
        let request =
            Request { operation: MOVE, method: Method::POST, path, who: self.admin_header(), key: None, body };
        let reply = self.expect(request, &[200, 409]).await?.reply;
        let moved = reply.status == 200 && reply.body["status"] == state;
        let right = moved || reply.code() == "invalid_transition";
        self.check(right, MOVE, &format!("order {id}, request {}", reply.request_id), &reply.body);
        order.borrow_mut().shipped |= moved && state != "processing";
        Ok(())
    }
}
