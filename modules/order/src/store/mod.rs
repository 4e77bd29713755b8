//! The module's statements, one per function.

mod due;
mod lines;
mod list;
mod orders;
mod rows;
mod timeline;

pub use due::{Position, expirable, not_undone, unfinished};
pub use lines::{insert_lines, lines_of};
pub use list::{OrderFilter, OrderSort, list};
pub use orders::{
    by_cart, by_id, by_number, change, forget_customer, forget_keys, insert, lock, lock_if_free, set_finished,
    set_undone,
};
pub use rows::{Change, LineRow, NewOrder, OrderRow, TimelineEntry, TimelineRow};
pub use timeline::{append, page};
