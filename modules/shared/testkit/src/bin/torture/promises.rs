//! When all is over: everything that a client was told is asked for once more, of the shop itself.

use std::collections::BTreeMap;
use std::rc::Rc;

use eshopz_testkit::load::Call;
use eshopz_testkit::load::body::{amount, array, text};
use futures::stream::{self, StreamExt as _};
use reqwest::Method;
use serde_json::Value;

use crate::account::RENEW;
use crate::cart::differences;
use crate::checkout::lines_of;
use crate::ledger::{Holder, Order};
use crate::shop::{Capture, Request, Shop};

/// Requests at the same time.
const AT_ONCE: usize = 8;
const ORDER: &str = "acknowledged order";
const CART: &str = "acknowledged cart";
const ACCOUNT: &str = "acknowledged account";

/// Asks for everything; what is not there is noted as a violation.
pub async fn ask(shop: &Rc<Shop>) {
    // First, as the orders and carts of accounts are asked for with what this gives.
    let accounts = shop.ledger.borrow().accounts.len();
    stream::iter(0..accounts).for_each_concurrent(AT_ONCE, |index| shop.ask_account(index)).await;
    let orders = shop.ledger.borrow().orders.len();
    stream::iter(0..orders).for_each_concurrent(AT_ONCE, |index| shop.ask_order(index)).await;
    let carts = shop.ledger.borrow().carts.len();
    stream::iter(0..carts).for_each_concurrent(AT_ONCE, |index| shop.ask_cart(index)).await;
}

impl Shop {
    /// A session that nobody has ended goes on, and the password opens another one.
    async fn ask_account(&self, index: usize) {
        let Some(account) = self.ledger.borrow().accounts.get(index).cloned() else { return };
        if account.borrow().since.elapsed() < RENEW {
            let bearer = account.borrow().bearer.clone();
            let headers = [("authorization", bearer.as_str())];
            let path = "/api/v1/users/me".to_owned();
            let call = Call { operation: ACCOUNT, method: Method::GET, path, headers: &headers, body: None };
            // A failure is noted by these, which is all that there is to do about it.
            let _ = self.client.expect(&call, &[200]).await;
        }
        let _ = self.refresh(&account).await;
        let email = account.borrow().email.clone();
        let _ = self.client.sign_in(&email).await;
    }

    async fn ask_order(&self, index: usize) {
        let Some(order) = self.ledger.borrow().orders.get(index).cloned() else { return };
        let (id, holder) = (order.borrow().id.clone(), order.borrow().holder.clone());
        let Some(body) = self.shown(ORDER, format!("/api/v1/orders/{id}"), &holder).await else { return };
        for broken in broken_promises(&order.borrow(), &body, self.capture) {
            self.check(false, ORDER, &broken, &body);
        }
        let captured = order.borrow().captured;
        if let (Some(captured), Ok(payment)) = (captured, self.payment(&order).await) {
            self.check(amount(&payment["captured_amount"]) == captured, ORDER, "another amount is captured", &payment);
        }
    }

    async fn ask_cart(&self, index: usize) {
        let Some(cart) = self.ledger.borrow().carts.get(index).cloned() else { return };
        let path = format!("/api/v1/carts/{}", cart.id);
        let Some(body) = self.shown(CART, path, &cart.holder).await else { return };
        for difference in differences(&cart, &body) {
            self.client.wrong(CART, &format!("cart {}: {difference}", cart.id));
        }
        self.check(body["status"] == "open", CART, "is not open", &body);
    }

    async fn shown(&self, operation: &'static str, path: String, holder: &Holder) -> Option<Value> {
        let request = Request { operation, method: Method::GET, path, who: holder.header(), key: None, body: None };
        self.expect(request, &[200]).await.ok().map(|answer| answer.reply.body)
    }
}

/// Where an order is not as its buyer, or the staff, was told.
fn broken_promises(order: &Order, body: &Value, capture: Capture) -> Vec<String> {
    let status = body["status"].as_str().unwrap_or_default();
    let is_paid = matches!(status, "paid" | "processing" | "shipped" | "delivered");
    let is_cancelled = status == "cancelled";
    let refunded = amount(&body["payment"]["refunded_amount"]);
    // Of what is held and not collected a part is let go instead.
    let is_manual = capture == Capture::Manual;
    let refunds = array(&body["refunds"]);
    let done: i64 = refunds.iter().filter(|one| one["status"] == "succeeded").map(|one| amount(&one["amount"])).sum();
    let shows = |id: &String| refunds.iter().any(|refund| refund["id"] == id.as_str());
    let rules = [
        (body["id"] == order.id.as_str(), "it is another order"),
        (amount(&body["totals"]["total"]) == order.total, "it has another total"),
        (lines_of(body) == order.lines, "it has other lines"),
        (is_paid || is_cancelled, "it is neither paid nor cancelled"),
        (is_cancelled || !order.cancelled, "it was cancelled and is not"),
        (is_paid || !order.paid || order.cancels, "it was paid, nobody has cancelled it, and it is cancelled"),
        (is_cancelled || order.pays, "nobody has paid for it, and it is not cancelled"),
        (!order.shipped || matches!(status, "shipped" | "delivered"), "it was shipped and is not"),
        (refunds.iter().all(|one| one["status"] != "pending"), "a refund is pending"),
        (refunded == done || is_manual && refunded <= done, "its refunds are not what its payment has refunded"),
        (order.refunds.iter().all(|(id, _)| shows(id)), "a refund that was acknowledged is not shown"),
        (is_cancelled || counted(body, "cancelled_quantity") == order.items_cancelled, "other items are cancelled"),
        (counted(body, "returned_quantity") == order.items_returned, "other items are returned"),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, broken)| broken.to_owned()).collect()
}

/// How many of each variant an order shows under this name.
fn counted(order: &Value, name: &str) -> BTreeMap<String, i64> {
    let items = array(&order["items"]).iter();
    let counted = items.map(|item| (text(item, "variant_id"), item[name].as_i64().unwrap_or(-1)));
    counted.filter(|(_, count)| *count != 0).collect()
}
