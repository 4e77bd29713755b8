//! The module's statements, one per function.

mod due;
mod lines;
mod list;
mod orders;
mod refunds;
mod reversals;
mod rows;
mod timeline;

pub use due::{Position, clock, expirable, not_undone, unfinished};
pub use lines::{insert_lines, lines_of};
pub use list::{OrderFilter, OrderSort, list};
pub use orders::{
    by_cart, by_id, by_number, change, forget_customer, forget_keys, insert, lock, lock_if_free, set_finished,
    set_undone, touch,
};
pub use refunds::{RefundNews, RefundRow, note_refund, refunds, refunds_of};
pub use reversals::{
    Counted, Decision, NewReversal, ReversalLineRow, ReversalRow, count_lines, decide, insert_reversal, open_reversals,
    open_reversals_of, return_of, returns_of, reversal, reversal_lines, set_reversal_done, unrefunded,
};
pub use rows::{LineRow, NewOrder, OrderRow, StatusChange, TimelineEntry, TimelineRow};
pub use timeline::{append, page};
