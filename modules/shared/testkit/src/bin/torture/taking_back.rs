//! Parts of an order that are taken back: items cancelled by their buyer before they are shipped, and returned after
//! they have arrived, which staff accept or reject.

use std::collections::BTreeMap;

use eshopz_testkit::load::Dice;
use eshopz_testkit::load::body::{array, text};
use futures::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Outcome;
use crate::ledger::SharedOrder;
use crate::shop::{Request, Shop};

const CANCEL: &str = "POST /orders/{id}/cancel items";
const ASK: &str = "POST /orders/{id}/returns";
const ACCEPT: &str = "POST /orders/{id}/returns/{id}/accept";
const REJECT: &str = "POST /orders/{id}/returns/{id}/reject";

impl Shop {
    /// Cancels one item, now and then by twins of one request.
    pub async fn cancel_item(&self, order: &SharedOrder, dice: &mut Dice) -> Outcome<()> {
        let (id, items) = {
            let mut order = order.borrow_mut();
            order.items_tried += 1;
            // With the last of its items the order itself is cancelled.
            order.cancels |= order.items_tried >= order.lines.values().sum();
            (order.id.clone(), any_item(&order.lines, dice))
        };
        let body = json!({"items": items, "reason": "too many"});
        let key = self.client.unique("cancel");
        let path = format!("/api/v1/orders/{id}/cancel");
        let mine = order.borrow().holder.header();
        let ask = |_| self.take_back(CANCEL, path.clone(), mine.clone(), Some(&key), &body);
        let told = join_all((0..twins(dice)).map(ask)).await.into_iter().collect::<Outcome<Vec<_>>>()?;
        let known = ["invalid_transition", "order_not_paid", "exceeds_ordered"];
        let Some(last) = self.agreed(CANCEL, told, &known) else { return Ok(()) };
        let mut order = order.borrow_mut();
        if last["status"] == "cancelled" {
            order.cancelled = true;
        } else {
            count(&mut order.items_cancelled, &items);
            self.client.tally.borrow_mut().count("items cancelled");
        }
        Ok(())
    }

    /// Asks for a return of one item, about which staff decide, sometimes in two ways at once.
    pub async fn return_item(&self, order: &SharedOrder, dice: &mut Dice) -> Outcome<()> {
        let (id, items) = (order.borrow().id.clone(), any_item(&order.borrow().lines, dice));
        let key = self.client.unique("return");
        let path = format!("/api/v1/orders/{id}/returns");
        let mine = order.borrow().holder.header();
        let body = json!({"items": items, "reason": "a loose button"});
        let ask = |_| self.take_back(ASK, path.clone(), mine.clone(), Some(&key), &body);
        let told = join_all((0..twins(dice)).map(ask)).await.into_iter().collect::<Outcome<Vec<_>>>()?;
        let Some(asked) = self.agreed(ASK, told, &["order_not_delivered", "exceeds_ordered"]) else { return Ok(()) };
        let path = format!("{path}/{}", text(&asked, "id"));
        let (restock, staff) = (dice.below(2) == 0, || ("authorization", self.admin.borrow().clone()));
        let (terms, reason) = (json!({"restock": restock}), json!({"reason": "worn"}));
        let accept = || self.take_back(ACCEPT, format!("{path}/accept"), staff(), None, &terms);
        let reject = || self.take_back(REJECT, format!("{path}/reject"), staff(), None, &reason);
        let decided = match dice.below(5) {
            0 => vec![reject().await?],
            1 => {
                let (accepted, rejected) = join(accept(), reject()).await;
                vec![accepted?, rejected?]
            }
            2 => join_all([accept(), accept()]).await.into_iter().collect::<Outcome<Vec<_>>>()?,
            _ => vec![accept().await?],
        };
        let Some(decided) = self.agreed(ACCEPT, decided, &["return_decided"]) else { return Ok(()) };
        if decided["status"] != "rejected" {
            count(&mut order.borrow_mut().items_returned, &items);
            self.client.tally.borrow_mut().count("items returned");
        }
        Ok(())
    }

    /// An answer, which is a change that was made or the problem that says why not.
    async fn take_back(
        &self,
        operation: &'static str,
        path: String,
        who: (&'static str, String),
        key: Option<&str>,
        body: &Value,
    ) -> Outcome<Value> {
        let request = Request { operation, method: Method::POST, path, who, key, body: Some(body.clone()) };
        Ok(self.expect(request, &[200, 201, 409]).await?.reply.body)
    }

    /// What several answers to one wish tell: those that were given it have been told of the same thing.
    fn agreed(&self, operation: &'static str, told: Vec<Value>, refusals: &[&str]) -> Option<Value> {
        let (refused, done): (Vec<Value>, Vec<Value>) = told.into_iter().partition(|body| body["code"].is_string());
        for problem in &refused {
            let known = refusals.iter().any(|code| problem["code"] == *code);
            self.check(known, operation, "is refused", problem);
        }
        let same = done.windows(2).all(|pair| pair[0]["id"] == pair[1]["id"]);
        let same_end =
            done.windows(2).all(|pair| (pair[0]["status"] == "rejected") == (pair[1]["status"] == "rejected"));
        self.check(same && same_end, operation, "twins were told of several", &json!(done));
        done.into_iter().next_back()
    }
}

/// One of a variant of the order.
fn any_item(lines: &BTreeMap<String, i64>, dice: &mut Dice) -> Value {
    let variant = lines.keys().nth(dice.below(lines.len()));
    json!([{"variant_id": variant, "quantity": 1}])
}

fn twins(dice: &mut Dice) -> usize {
    if dice.below(4) == 0 { 3 } else { 1 }
}

fn count(counted: &mut BTreeMap<String, i64>, items: &Value) {
    for item in array(items) {
        *counted.entry(text(item, "variant_id")).or_default() += 1;
    }
}
