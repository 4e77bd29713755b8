//! The payment module through its HTTP, on a real PostgreSQL, with the sandbox as its gateway.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "it/books.rs"]
mod books;
#[path = "it/captures.rs"]
mod captures;
#[path = "it/paying.rs"]
mod paying;
#[path = "it/reading.rs"]
mod reading;
#[path = "it/recovery.rs"]
mod recovery;
#[path = "it/refunds.rs"]
mod refunds;
#[path = "it/shop.rs"]
mod shop;
#[path = "it/undoing.rs"]
mod undoing;
#[path = "it/webhooks.rs"]
mod webhooks;
