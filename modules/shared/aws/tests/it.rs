//! The adapters against a server that speaks AWS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "tests"
)]

#[path = "it/events/mod.rs"]
mod events;

#[path = "it/secrets.rs"]
mod secrets;
