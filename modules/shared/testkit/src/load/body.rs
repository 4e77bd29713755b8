//! Reading answers, of which a missing part is as good as a wrong one.
#![allow(clippy::indexing_slicing, reason = "JSON that is read has Null for what is not there")]

use serde_json::Value;

/// A member as text; empty when there is none.
#[must_use]
pub fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_default().to_owned()
}

/// The items of a list; none when it is no list.
#[must_use]
pub fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The minor units of a sum of money; -1 when it is none.
#[must_use]
pub fn amount(value: &Value) -> i64 {
    value["amount"].as_i64().unwrap_or(-1)
}

/// Whether lines and totals of a cart or order agree.
#[must_use]
pub fn adds_up(body: &Value) -> bool {
    let totals = &body["totals"];
    let line = |item: &Value| {
        let total = item["quantity"].as_i64().unwrap_or(0).saturating_mul(amount(&item["unit_price"]));
        (total == amount(&item["line_total"])).then_some(total)
    };
    let sum = array(&body["items"]).iter().map(line).try_fold(0_i64, |sum, line| sum.checked_add(line?));
    let subtotal = amount(&totals["subtotal"]);
    let added = subtotal - amount(&totals["discount"]) + amount(&totals["shipping"]) + amount(&totals["tax"]);
    sum == Some(subtotal) && added == amount(&totals["total"])
}
