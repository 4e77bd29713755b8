//! What a file's quantity does to a variant's stock.

use super::super::state::VariantState;
use crate::csv::Reason;

/// Sets the stock if the file asks for another quantity than last time: what was sold since is not
/// undone by the same file. What orders have reserved stays there.
pub fn apply(variant: &mut VariantState, quantity: Option<i64>, backorder: Option<bool>) -> Result<(), Reason> {
    variant.stock.backorder = backorder.unwrap_or(variant.stock.backorder);
    let asked = quantity.and_then(|quantity| i32::try_from(quantity).ok());
    if let Some(asked) = asked.filter(|asked| variant.imported_on_hand != Some(*asked)) {
        variant.imported_on_hand = Some(asked);
        variant.stock.on_hand = i64::from(asked);
    }
    let stock = variant.stock;
    if !stock.backorder && stock.on_hand < stock.reserved {
        return Err(Reason::BelowReserved { reserved: stock.reserved });
    }
    // Only what may be sold beyond its stock can be below nothing.
    if !stock.backorder && stock.on_hand < 0 { Err(Reason::NegativeQuantity) } else { Ok(()) }
}
