//! What happens to an order after it was placed: paid, confirmed by the bank, read, cancelled, or left to expire.

use std::time::Duration;

use chrono::Utc;
use eshopz_testkit::load::body::{amount, text};
use eshopz_testkit::load::{Call, Dice};
use futures::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bank;
use crate::checkout::{Payment, is_gateways};
use crate::client::Outcome;
use crate::ledger::SharedOrder;
use crate::shop::{Capture, Request, Shop};

const CONFIRM: &str = "POST /payments/{id}/confirm";
const WEBHOOK: &str = "POST /payments/webhooks/{gateway}";
const READ: &str = "GET /orders/{id}";
const READ_PAYMENT: &str = "GET /payments/{id}";
const CANCEL: &str = "POST /orders/{id}/cancel";

impl Shop {
    /// Goes on with an order that was placed.
    pub async fn follow(&self, order: &SharedOrder, payment: Payment, dice: &mut Dice) -> Outcome<()> {
        match payment {
            Payment::AtOnce | Payment::Silent => {}
            // Some never pay, and their order expires.
            Payment::Later if dice.below(3) == 0 => {}
            Payment::Later => self.confirm(order, "pm_card_visa", dice).await?,
            Payment::Declined => {
                self.confirm(order, "pm_card_chargeDeclined", dice).await?;
                self.confirm(order, "pm_card_mastercard", dice).await?;
            }
            Payment::Authenticated if dice.below(4) == 0 => {}
            Payment::Authenticated => self.authenticate(order, dice).await?,
        }
        self.read_order(order).await?;
        match dice.below(12) {
            0 | 1 => self.cancel(order, None).await,
            2 | 3 => self.cancel_item(order, dice).await,
            _ => Ok(()),
        }
    }

    async fn confirm(&self, order: &SharedOrder, method: &str, dice: &mut Dice) -> Outcome<()> {
        let key = self.client.unique("confirm");
        order.borrow_mut().pays = true;
        if dice.below(8) == 0 {
            let (payment, (name, value)) = (order.borrow().payment.clone(), order.borrow().holder.header());
            let headers = [(name, value.as_str()), ("idempotency-key", key.as_str())];
            let path = format!("/api/v1/payments/{payment}/confirm");
            let body = Some(json!({"payment_method": method}));
            let call = Call { operation: CONFIRM, method: Method::POST, path, headers: &headers, body };
            self.client.hang_up(&call, Duration::from_millis(u64::try_from(dice.below(80)).unwrap_or(0))).await;
        }
        let times = if dice.below(5) == 0 { 3 } else { 1 };
        let confirmed = join_all((0..times).map(|_| self.confirm_once(order, method, &key))).await;
        confirmed.into_iter().collect()
    }

    async fn confirm_once(&self, order: &SharedOrder, method: &str, key: &str) -> Outcome<()> {
        let (payment, who) = (order.borrow().payment.clone(), order.borrow().holder.header());
        let request = Request {
            operation: CONFIRM,
            method: Method::POST,
            path: format!("/api/v1/payments/{payment}/confirm"),
            who,
            key: Some(key),
            body: Some(json!({"payment_method": method})),
        };
        let reply = self.expect(request, &[200, 402, 409]).await?.reply;
        let body = &reply.body;
        let (declines, is_manual) = (method.contains("Declined"), self.capture == Capture::Manual);
        let right = match reply.status {
            200 if body["status"] == "processing" => true,
            // Collected already, if staff was quick.
            200 => !declines && (body["status"] == "succeeded" || is_manual && body["status"] == "authorized"),
            402 => declines || is_gateways(&text(body, "code")),
            _ => body["code"] == "payment_not_confirmable",
        };
        self.check(right, CONFIRM, &format!("request {}, {method}", reply.request_id), body);
        Ok(())
    }

    /// The bank says yes, several times, and now and then the payer takes another card meanwhile.
    async fn authenticate(&self, order: &SharedOrder, dice: &mut Dice) -> Outcome<()> {
        let payment = self.payment(order).await?;
        let reference = text(&payment["next_action"], "reference");
        if reference.is_empty() {
            let known =
                ["requires_action", "processing", "cancelled", "requires_payment_method", "authorized", "succeeded"];
            let known = known.iter().any(|status| payment["status"] == *status);
            self.check(known, READ_PAYMENT, "has no reference to authenticate", &payment);
            return Ok(());
        }
        let event = bank::authenticated(&self.client.unique("evt"), &reference, &payment, self.capture);
        let copies = 1 + dice.below(3);
        let told = join_all((0..copies).map(|_| self.tell(&event)));
        let told: Vec<Outcome<()>> = if dice.below(4) == 0 {
            let (told, confirmed) = join(told, self.confirm(order, "pm_card_visa", dice)).await;
            confirmed?;
            told
        } else {
            told.await
        };
        told.into_iter().collect()
    }

    async fn tell(&self, event: &Value) -> Outcome<()> {
        let body = event.to_string();
        let signature = bank::sign(Utc::now().timestamp(), &body);
        let headers = [("sandbox-signature", signature.as_str())];
        let path = "/api/v1/payments/webhooks/sandbox".to_owned();
        let call =
            Call { operation: WEBHOOK, method: Method::POST, path, headers: &headers, body: Some(event.clone()) };
        self.client.expect(&call, &[200]).await.map(drop)
    }

    /// The order's payment, as its payer sees it.
    pub async fn payment(&self, order: &SharedOrder) -> Outcome<Value> {
        let (id, who) = (order.borrow().payment.clone(), order.borrow().holder.header());
        let path = format!("/api/v1/payments/{id}");
        let request = Request { operation: READ_PAYMENT, method: Method::GET, path, who, key: None, body: None };
        Ok(self.expect(request, &[200]).await?.reply.body)
    }

    async fn read_order(&self, order: &SharedOrder) -> Outcome<()> {
        let (id, who) = (order.borrow().id.clone(), order.borrow().holder.header());
        let path = format!("/api/v1/orders/{id}");
        let request = Request { operation: READ, method: Method::GET, path, who, key: None, body: None };
        let body = self.expect(request, &[200]).await?.reply.body;
        let mut order = order.borrow_mut();
        let right = amount(&body["totals"]["total"]) == order.total && body["id"] == id.as_str();
        self.check(right, READ, "is not what was ordered", &body);
        order.paid |= body["status"] == "paid";
        Ok(())
    }

    /// Cancels as the owner, or as somebody else who may.
    pub async fn cancel(&self, order: &SharedOrder, by: Option<(&'static str, String)>) -> Outcome<()> {
        let (id, who) = (order.borrow().id.clone(), by.unwrap_or_else(|| order.borrow().holder.header()));
        order.borrow_mut().cancels = true;
        let path = format!("/api/v1/orders/{id}/cancel");
        let body = Some(json!({"reason": "changed my mind"}));
        let request = Request { operation: CANCEL, method: Method::POST, path, who, key: None, body };
        let reply = self.expect(request, &[200, 409]).await?.reply;
        let cancelled = reply.status == 200;
        let right = if cancelled { reply.body["status"] == "cancelled" } else { reply.code() == "invalid_transition" };
        self.check(right, CANCEL, &format!("order {id}, request {}", reply.request_id), &reply.body);
        order.borrow_mut().cancelled |= cancelled;
        Ok(())
    }
}
