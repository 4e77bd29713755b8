//! The order module through its HTTP, on a real PostgreSQL, with its neighbours in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "it/afterwards.rs"]
mod afterwards;
#[path = "it/audit_log.rs"]
mod audit_log;
#[path = "it/books.rs"]
mod books;
#[path = "it/cancel_lines.rs"]
mod cancel_lines;
#[path = "it/cancel_races.rs"]
mod cancel_races;
#[path = "it/checkout.rs"]
mod checkout;
#[path = "it/fakes.rs"]
mod fakes;
#[path = "it/jobs_apart.rs"]
mod jobs_apart;
#[path = "it/listing.rs"]
mod listing;
#[path = "it/neighbours.rs"]
mod neighbours;
#[path = "it/privacy.rs"]
mod privacy;
#[path = "it/reader.rs"]
mod reader;
#[path = "it/recovery.rs"]
mod recovery;
#[path = "it/refund_again.rs"]
mod refund_again;
#[path = "it/refusals.rs"]
mod refusals;
#[path = "it/returns.rs"]
mod returns;
#[path = "it/shop.rs"]
mod shop;
#[path = "it/sold_behind.rs"]
mod sold_behind;
#[path = "it/trouble.rs"]
mod trouble;
#[path = "it/twins.rs"]
mod twins;
#[path = "it/voided.rs"]
mod voided;
