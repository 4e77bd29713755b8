//! The module's statements, one per function, by table.

pub mod addresses;
pub mod audit;
pub mod keys;
pub mod mailed_tokens;
pub mod sessions;
pub mod users;
