//! The user module through its HTTP, against a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "it/accounts.rs"]
mod accounts;
#[path = "it/addresses.rs"]
mod addresses;
#[path = "it/audit_log.rs"]
mod audit_log;
#[path = "it/books.rs"]
mod books;
#[path = "it/export.rs"]
mod export;
#[path = "it/keys.rs"]
mod keys;
#[path = "it/letters.rs"]
mod letters;
#[path = "it/profile.rs"]
mod profile;
#[path = "it/recovery.rs"]
mod recovery;
#[path = "it/registration.rs"]
mod registration;
#[path = "it/revocation.rs"]
mod revocation;
#[path = "it/rotation.rs"]
mod rotation;
#[path = "it/second_factor.rs"]
mod second_factor;
#[path = "it/sessions.rs"]
mod sessions;
#[path = "it/shop.rs"]
mod shop;
#[path = "it/sign_in.rs"]
mod sign_in;
#[path = "it/smtp.rs"]
mod smtp;
#[path = "it/tokens.rs"]
mod tokens;
