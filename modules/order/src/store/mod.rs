//! The module's statements, one per function.

mod columns;
mod due;
mod export;
mod forget;
mod lines;
mod list;
mod orders;
mod place;
mod refunds;
mod reversals;
mod rows;
mod timeline;
mod whole;

pub use due::{Due, Position, by_ids, take};
pub use export::exported;
pub use forget::{forget_keys, forget_orders, forget_words};
pub use lines::lines_of;
pub use list::{OrderFilter, OrderSort, list};
pub use orders::{
    begin_sale, by_cart, by_id, by_number, change, end_sale, lock, lock_if_free, set_finished, set_undone, touch,
};
pub use place::{Placing, leave_unpaid, pay, place};
pub use refunds::{
    RefundNews, RefundRow, insert_attempt, is_given_back, note_refund, older_are_pending, owed, refund, refunds_of,
    refunds_of_parts, revive_refund,
};
pub use reversals::{
    Counted, Decision, NewReversal, ReversalLineRow, ReversalRow, count_lines, decide, failed_refunds_of,
    insert_reversal, open_reversals_of, return_of, returns_of, reversal, reversal_lines, set_reversal_done,
};
pub use rows::{LineRow, NewOrder, OrderRow, StatusChange, TimelineEntry, TimelineRow};
pub use timeline::{append, page};
pub use whole::{Whole, whole_by_id, whole_by_number};
