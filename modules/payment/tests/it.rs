//! The payment module through its HTTP, on a real PostgreSQL, with the sandbox as its gateway;
//! and Stripe's gateway against a server that speaks Stripe, and one that plays its faults.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "it/accounts.rs"]
mod accounts;
#[path = "it/audit_log.rs"]
mod audit_log;
#[path = "it/books.rs"]
mod books;
#[path = "it/both_gateways.rs"]
mod both_gateways;
#[path = "it/by_hand.rs"]
mod by_hand;
#[path = "it/captures.rs"]
mod captures;
#[path = "it/dice.rs"]
mod dice;
#[path = "it/drift.rs"]
mod drift;
#[path = "it/kills.rs"]
mod kills;
#[path = "it/lost_webhooks.rs"]
mod lost_webhooks;
#[path = "it/other_gateway.rs"]
mod other_gateway;
#[path = "it/paying.rs"]
mod paying;
#[path = "it/privacy.rs"]
mod privacy;
#[path = "it/races.rs"]
mod races;
#[path = "it/reading.rs"]
mod reading;
#[path = "it/recovery.rs"]
mod recovery;
#[path = "it/refunds.rs"]
mod refunds;
#[path = "it/releases.rs"]
mod releases;
#[path = "it/replaced.rs"]
mod replaced;
#[path = "it/second_charge.rs"]
mod second_charge;
#[path = "it/sessions.rs"]
mod sessions;
#[path = "it/shop.rs"]
mod shop;
#[path = "it/starvation.rs"]
mod starvation;
#[path = "it/stripe/mod.rs"]
mod stripe;
#[path = "it/troubled.rs"]
mod troubled;
#[path = "it/undoing.rs"]
mod undoing;
#[path = "it/webhooks.rs"]
mod webhooks;
