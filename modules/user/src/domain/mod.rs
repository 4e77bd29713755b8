//! The module's pure rules: emails, passwords, codes, and the secrets that stand for a person.

pub mod email;
pub mod password;
pub mod recovery_code;
pub mod secret;
pub mod totp;

/// The most entries in an address book.
pub const MAX_ADDRESSES: i64 = 100;
