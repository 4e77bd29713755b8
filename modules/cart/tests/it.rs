//! The cart module through its HTTP, against a real PostgreSQL, with a catalogue made of memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "it/accounts.rs"]
mod accounts;
#[path = "it/carts.rs"]
mod carts;
#[path = "it/items.rs"]
mod items;
#[path = "it/limits.rs"]
mod limits;
#[path = "it/merge.rs"]
mod merge;
#[path = "it/neighbours.rs"]
mod neighbours;
#[path = "it/outage.rs"]
mod outage;
#[path = "it/shop.rs"]
mod shop;
#[path = "it/upkeep.rs"]
mod upkeep;
