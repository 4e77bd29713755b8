//! The module's pure rules: emails, passwords, and the secrets that stand for a person.

pub mod email;
pub mod password;
pub mod secret;

/// The most entries in an address book.
pub const MAX_ADDRESSES: i64 = 100;
