//! The module's statements, one per function. Lines change only in a transaction that has the cart's
//! row locked, so a statement after the lock sees all that was in the cart before.

pub mod carts;
pub mod export;
pub mod items;
pub mod status;
