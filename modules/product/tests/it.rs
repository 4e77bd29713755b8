//! The product module through its HTTP and its contract, against a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "it/access.rs"]
mod access;
#[path = "it/audit_log.rs"]
mod audit_log;
#[path = "it/books.rs"]
mod books;
#[path = "it/categories.rs"]
mod categories;
#[path = "it/copies.rs"]
mod copies;
#[path = "it/descriptions.rs"]
mod descriptions;
#[path = "it/giving_back.rs"]
mod giving_back;
#[path = "it/hostile_files.rs"]
mod hostile_files;
#[path = "it/lists.rs"]
mod lists;
#[path = "it/products.rs"]
mod products;
#[path = "it/reservations.rs"]
mod reservations;
#[path = "it/search.rs"]
mod search;
#[path = "it/shop.rs"]
mod shop;
#[path = "it/stock.rs"]
mod stock;
#[path = "it/transfer.rs"]
mod transfer;
#[path = "it/variants.rs"]
mod variants;
